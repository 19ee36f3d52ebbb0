"""A new key for the stored passwords while the service goes on, on every database."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_aggregates.cmd import manage
from nova_aggregates.db import tables
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.manager import rotation
from nova_aggregates.objects import Credentials
from tests.functional.db.conftest import WHO, Site
from tests.functional.db.test_import import pool_with

HOSTS = 7


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    SecretBox.create(tmp_path / "own.key")
    return tmp_path / "own.key"


@pytest.fixture
def own(database: Database, key_file: Path) -> Site:
    """A site with a key file of its own, hosts in and out of a pool."""
    site = Site.over(database, SecretBox(key_file))
    for number in range(HOSTS):
        site.host(f"host{number}")
    site.aggregates.import_pool(WHO, pool_with("member1", "member2"))
    return site


@pytest.fixture
def command(migrated_url: str, key_file: Path, tmp_path: Path) -> list[str]:
    file = tmp_path / "service.conf"
    file.write_text(
        f"[database]\nconnection = {migrated_url}\n[credentials]\nkey_file = {key_file}\n"
    )
    rotate = ["credentials", "rotate", "--settled-after", "0"]
    return ["--config-file", str(file), *rotate]


def tokens(site: Site) -> list[str]:
    with site.database.read() as connection:
        found = [connection.execute(sa.select(t.c.secret)) for t in (tables.hosts, tables.pools)]
        return [token for rows in found for token in rows.scalars()]


def passwords(site: Site) -> set[str]:
    return {site.hosts.credentials(host.id).password for host in site.hosts.index()}


def test_every_password_gets_the_new_key(
    own: Site,
    command: list[str],
    key_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, old_key = passwords(own), key_file.read_bytes()
    assert manage.main(command) == 0
    out = capsys.readouterr().out
    assert f"{HOSTS + 3} passwords" in out
    assert old_key.decode().strip() not in out
    new_key, kept = key_file.read_bytes().split()
    assert kept == old_key.strip()
    key_file.write_bytes(new_key)
    fresh = SecretBox(key_file)
    assert len(tokens(own)) == HOSTS + 3
    assert all(fresh.is_new(token) for token in tokens(own))
    assert passwords(Site.over(own.database, fresh)) == before


def test_former_keys_are_dropped_when_nothing_needs_them(
    own: Site, command: list[str], key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = passwords(own)
    assert manage.main(command) == 0
    assert manage.main([*command, "--drop-old"]) == 0
    assert "removed from the file: 2" in capsys.readouterr().out
    assert len(key_file.read_bytes().split()) == 1
    assert passwords(own) == before, "a process that runs reads the file again"


def test_what_was_under_way_with_the_former_key(own: Site, key_file: Path) -> None:
    """A transaction that sealed before the rotation and commits behind its batches."""
    secrets = SecretBox(key_file)
    late = secrets.seal("late")
    assert rotation.rotate(own.database, secrets, batch=3) == HOSTS + 3
    with own.database.transaction() as connection:
        connection.execute(
            sa.update(tables.hosts).where(tables.hosts.c.name == "host0").values(secret=late)
        )
    assert rotation.drop_old(own.database, secrets, settled_after=0) == 1
    number = own.hosts.show("host0").id
    assert Site.over(own.database, SecretBox(key_file)).hosts.credentials(number).password == "late"


def test_changes_at_the_same_time_are_all_readable(own: Site, key_file: Path) -> None:
    number = own.hosts.show("host0").id
    stop, last = threading.Event(), ["secret of host0"]

    def change() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            own.hosts.set_credentials(number, Credentials("root", f"p{count}"))
            last[0] = f"p{count}"

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3):
            rotation.rotate(own.database, SecretBox(key_file))
    finally:
        stop.set()
        thread.join(timeout=30)
    assert rotation.drop_old(own.database, SecretBox(key_file), settled_after=0) == 3
    fresh = Site.over(own.database, SecretBox(key_file))
    assert fresh.hosts.credentials(number).password == last[0]


def test_a_password_that_no_key_opens_stops_it(
    own: Site, command: list[str], key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with own.database.transaction() as connection:
        connection.execute(
            sa.update(tables.hosts).where(tables.hosts.c.name == "host3").values(secret="lost")
        )
    assert manage.main([*command, "--drop-old"]) == 1
    err = capsys.readouterr().err
    assert "cannot be decrypted" in err
    assert err.count("\n") == 1
    assert len(key_file.read_bytes().split()) == 2, "no key is dropped"
    with pytest.raises(ConfigurationInvalid):
        passwords(own)
