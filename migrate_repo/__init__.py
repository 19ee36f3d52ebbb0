"""The sqlalchemy-migrate repository; installed as part of the package."""
