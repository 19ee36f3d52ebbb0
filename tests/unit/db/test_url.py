from __future__ import annotations

import pytest

from nova_aggregates.db.url import parse_url
from nova_aggregates.exceptions import ConfigurationInvalid


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("sqlite:///relative.sqlite", "sqlite"),
        ("sqlite:////absolute.sqlite", "sqlite"),
        ("postgresql://u:p@h/x", "postgresql+psycopg2"),
        ("postgres://u:p@h/x", "postgresql+psycopg2"),
        ("postgresql+psycopg2://u:p@h/x", "postgresql+psycopg2"),
        ("mysql://u:p@h/x", "mysql+pymysql"),
        ("mysql+pymysql://u:p@h/x?charset=utf8mb4", "mysql+pymysql"),
        ("mariadb://u:p@h/x", "mysql+pymysql"),
        ("mariadb+pymysql://u:p@h/x", "mysql+pymysql"),
    ],
)
def test_the_driver_is_the_one_that_is_tested(text: str, driver: str) -> None:
    assert parse_url(text).drivername == driver


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "oracle://u:geheim@h/x",
        "mysql+mysqldb://u:geheim@h/x",
        "postgresql://u:geheim@h:notaport/x",
    ],
)
def test_what_cannot_work_is_told_without_the_password(text: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"\[database\] connection") as caught:
        parse_url(text)
    assert "geheim" not in str(caught.value)
