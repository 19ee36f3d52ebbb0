"""The migration scripts, one a version."""
