"""Database URLs: which are accepted, and how each driver is chosen."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from nova_aggregates.exceptions import ConfigurationInvalid

# The driver that is tested with each backend. "mariadb" and "mysql" are one dialect to us: the
# server says which of the two it is.
DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
}
SETTING = "[database] connection"


def parse_url(text: str) -> URL:
    """The URL with its driver.

    :raises ConfigurationInvalid: malformed, of another database, without its driver installed, or
        SQLite in memory (each connection would see a database of its own).
    """
    try:
        url = make_url(text)
        driver = DRIVERS[url.drivername]
    except (SQLAlchemyError, ValueError, KeyError):
        raise ConfigurationInvalid(
            what=f"{SETTING} is no URL of a supported database",
            cure="use sqlite:///FILE, postgresql+psycopg2://USER:PASSWORD@HOST/NAME or "
            "mysql+pymysql://USER:PASSWORD@HOST/NAME",
        ) from None
    url = url.set(drivername=driver)
    if driver == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ConfigurationInvalid(
                what=f"{SETTING} names no file", cure="use sqlite:////absolute/path/of/a/file"
            )
        return url
    try:
        url.get_dialect().dbapi()
    except ImportError:
        backend = url.get_backend_name()
        raise ConfigurationInvalid(
            what=f"The driver of {driver} is not installed",
            cure=f"run: pip install 'nova-aggregates[{backend}]'",
        ) from None
    return url
