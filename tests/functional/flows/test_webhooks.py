"""Events arrive at a real HTTP server: signed, in order, none missing, whatever happens to it."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.db import tables
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.flows.locks import Locks
from nova_aggregates.flows.webhooks import SIGNATURE, Webhooks, WebhookSettings
from nova_aggregates.manager import WebhookManager
from nova_aggregates.networks import Networks
from nova_aggregates.objects import Once, Requester
from tests.functional.flows.test_daemon import Start, config, start
from tests.unit.flows.bench import Bench

__all__ = ["config", "start"]

KEY = b"key of the tests"
WHO = Requester("u", "p", "r")


class Receiver(ThreadingHTTPServer):
    """Keeps what it takes. ``answers`` are the statuses of the next posts, then 204."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.taken: list[dict] = []
        self.refused: list[int] = []
        self.answers: list[int] = []
        self.signatures: list[tuple[str | None, bytes]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=geheim"

    @property
    def ids(self) -> list[int]:
        return [event["id"] for event in self.taken]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = json.loads(body)
        self.server.signatures.append((self.headers[SIGNATURE], body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        (self.server.taken if status < 300 else self.server.refused).append(
            event if status < 300 else event["id"]
        )
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Site:
    """A database in which things happen, and managers that deliver."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.directory = directory
        self.running: list[Webhooks] = []
        self.aggregate = bench.aggregate("blue")
        bench.register("host9", "127.9.9.9", "p")

    def deliver(self, *urls: str, attempts: int = 3, **more: Any) -> Webhooks:
        operations = self.bench.managers.operations
        made = Webhooks(
            WebhookSettings(urls, KEY, attempts, 2.0, interval=0.02, first_pause=0.01, **more),
            operations,
            WebhookManager(self.bench.database, SecretBox(self.bench.key)),
            Locks(f"file://{self.directory}"),
        )
        self.running.append(made)
        made.start()
        return made

    def happen(self) -> list[int]:
        """Two more events; the numbers of all so far."""
        operations = self.bench.managers.operations
        asked = self.bench.managers.aggregates.add_host(WHO, self.aggregate, "host9")
        assert asked.operation is not None
        operations.cancel(WHO, asked.operation.uuid)
        return [event.id for event in operations.events_after(0, 1000)]


@pytest.fixture
def place(bench: Bench, tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "locks").mkdir()
    made = Site(bench, tmp_path / "locks")
    yield made
    for each in made.running:
        each.stop()
        each.wait(20)


def test_the_manager_process_delivers_and_keeps_house(
    place: Site, receiver: Receiver, config: Path, start: Start
) -> None:
    key = config.with_name("hook.key")
    key.write_bytes(KEY)
    key.chmod(0o600)
    config.write_text(
        config.read_text() + f"[webhooks]\nurls = {receiver.url}\nsecret_file = {key}\n"
    )
    known(place, receiver.url)
    once = Once("key", "scope", "digest")
    place.bench.managers.aggregates.set_metadata(WHO, place.aggregate, {"k": "v"}, once=once)
    with place.bench.database.transaction() as connection:
        eight_days_ago = utcnow() - datetime.timedelta(days=8)
        connection.execute(sa.update(tables.idempotency_keys).values(created_at=eight_days_ago))
    wanted = place.happen()
    start()
    until(lambda: len(receiver.taken) >= len(wanted))
    assert receiver.ids == wanted
    given, body = receiver.signatures[0]
    assert given == "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()

    def purged() -> bool:
        with place.bench.database.read() as connection:
            return connection.execute(sa.select(tables.idempotency_keys)).first() is None

    until(purged)


def known(place: Site, url: str) -> None:
    """The cursor of a new URL begins at the present; here it is made before anything happens."""
    WebhookManager(place.bench.database, SecretBox(place.bench.key)).position(url)


def test_all_in_order_and_signed(place: Site, receiver: Receiver) -> None:
    known(place, receiver.url)
    place.deliver(receiver.url)
    for _ in range(5):
        wanted = place.happen()
    until(lambda: len(receiver.taken) >= len(wanted))
    assert receiver.ids == wanted
    first = receiver.taken[0]
    stored = place.bench.managers.operations.events_after(0, 1)[0]
    assert first == {
        "id": stored.id,
        "operation": stored.operation,
        "aggregate_id": place.aggregate,
        "at": stored.at.isoformat(timespec="microseconds"),
        "kind": "queued",
        "data": {"action": "add_host"},
    }
    for given, body in receiver.signatures:
        assert given == "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()


def test_a_receiver_outside_the_networks_gets_nothing(
    place: Site, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    known(place, receiver.url)
    place.happen()
    place.deliver(receiver.url, attempts=1, networks=Networks(("192.0.2.0/24",), "x"))
    until(lambda: "in none of [webhooks] networks" in caplog.text)
    assert receiver.taken == []


def test_refusals_are_repeated_and_nothing_overtakes(
    place: Site, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    known(place, receiver.url)
    receiver.answers = [500, 404, 302, 503, 204, 400]
    wanted = place.happen()
    with caplog.at_level(logging.INFO, "nova_aggregates.flows.webhooks"):
        place.deliver(receiver.url)
        until(lambda: len(receiver.taken) >= len(wanted))
        assert receiver.ids == wanted
        assert receiver.refused == [wanted[0]] * 4 + [wanted[1]]
        until(lambda: "answers_again" in caplog.text)
    assert caplog.text.count("webhook.not_taken") == 1
    assert "answered 302" in caplog.text
    assert "geheim" not in caplog.text


def test_a_receiver_that_is_away_misses_nothing(place: Site, receiver: Receiver) -> None:
    known(place, receiver.url)
    port = receiver.server_port
    receiver.close()
    place.deliver(receiver.url)
    wanted = place.happen()
    back = Receiver(port)
    try:
        until(lambda: len(back.taken) >= len(wanted))
        assert back.ids == wanted
    finally:
        back.close()


def test_after_a_restart_it_goes_on_where_it_was(place: Site, receiver: Receiver) -> None:
    known(place, receiver.url)
    first = place.deliver(receiver.url)
    wanted = place.happen()
    until(lambda: receiver.ids == wanted)
    first.stop()
    first.wait(20)
    wanted = place.happen()
    place.deliver(receiver.url)
    until(lambda: len(receiver.taken) >= len(wanted))
    assert receiver.ids == wanted


def test_a_new_url_is_not_told_the_past(place: Site, receiver: Receiver) -> None:
    past = place.happen()
    known(place, receiver.url)
    place.deliver(receiver.url)
    wanted = place.happen()[len(past) :]
    until(lambda: len(receiver.taken) >= len(wanted))
    assert receiver.ids == wanted


def test_two_managers_share_the_urls(place: Site, receiver: Receiver) -> None:
    other = Receiver()
    try:
        for url in (receiver.url, other.url):
            known(place, url)
        for _ in range(2):
            place.deliver(receiver.url, other.url)
        for _ in range(5):
            wanted = place.happen()
        for each in (receiver, other):
            until(lambda e=each: len(e.taken) >= len(wanted))
            assert each.ids == wanted
    finally:
        other.close()


def test_one_that_is_away_does_not_hold_up_another(place: Site, receiver: Receiver) -> None:
    away = Receiver()
    known(place, receiver.url)
    known(place, away.url)
    away.close()
    place.deliver(away.url, receiver.url)
    wanted = place.happen()
    until(lambda: receiver.ids == wanted)


class TestSettings:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        (tmp_path / "hook.key").write_text("geheim\n")
        (tmp_path / "hook.key").chmod(0o600)
        return tmp_path / "hook.key"

    def read(self, key: Path, *urls: str) -> WebhookSettings:
        file = key.with_name("service.conf")
        file.write_text(f"[webhooks]\nurls = {','.join(urls)}\nsecret_file = {key}\n")
        conf = cfg.ConfigOpts()
        options.register(conf)
        conf(["--config-file", str(file)])
        return WebhookSettings.from_conf(conf)

    def test_the_key(self, key: Path) -> None:
        url = "http://127.0.0.1/a"
        settings = self.read(key, url, url)
        assert (settings.urls, settings.key) == ((url,), b"geheim")
        assert "geheim" not in repr(settings)
        key.chmod(0o644)
        with pytest.raises(ConfigurationInvalid, match="chmod 600"):
            self.read(key, url)
        key.chmod(0o600)
        key.write_text("\n")
        with pytest.raises(ConfigurationInvalid, match="is empty"):
            self.read(key, url)
        key.unlink()
        with pytest.raises(ConfigurationInvalid, match="cannot be read"):
            self.read(key, url)
        assert self.read(key).urls == (), "without URLs no key is needed"

    @pytest.mark.parametrize(
        "url", ["geheim", "ftp://geheim/", "http:///geheim", "http://geheim:x/", "file:///geheim"]
    )
    def test_what_is_no_url(self, key: Path, url: str) -> None:
        with pytest.raises(ConfigurationInvalid, match="URL number 2") as caught:
            self.read(key, "http://127.0.0.1/", url)
        assert "geheim" not in str(caught.value)
