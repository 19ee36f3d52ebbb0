"""A manager whose lock is taken away in the middle of an operation sends nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import etcd3gw
import pytest
import redis
from sqlalchemy.engine import make_url

from tests.lock_services import lock_service
from tests.unit.flows.bench import Bench, make_template
from tests.unit.flows.site import FakeSite


class Setting:
    def __init__(self, kind: str, bench: Bench, site: FakeSite, url: str) -> None:
        self.kind, self.bench, self.site, self.url = kind, bench, site, url

    def take_away(self, aggregate: int) -> None:
        name = f"{self.bench.namespace}-aggregate-{aggregate}"
        if self.kind == "redis":
            server = redis.Redis.from_url(self.url.partition("?")[0])
            assert server.delete(f"_tooz_{name}_lock")
        else:
            parts = make_url(self.url)
            assert etcd3gw.client(host=parts.host, port=parts.port).delete(f"/tooz/locks{name}")


@pytest.fixture(params=["redis", "etcd"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    with lock_service(request.param, tmp_path) as url:
        site = FakeSite(2)
        bench = Bench(tmp_path, make_template(tmp_path), site)
        bench.locks_url = url
        for host in site.hosts:
            bench.register(host.name, host.address, host.pool.password)
        yield Setting(request.param, bench, site, url)
        bench.close()


def test_nothing_is_changed_after_the_lock_was_lost(setting: Setting) -> None:
    bench, site = setting.bench, setting.site
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))

    def gate(verb: str, _about: str) -> None:
        if verb == "designate_new_master":
            setting.take_away(blue)

    site.gate = gate
    uuid_ = bench.remove(blue, "h1")
    bench.succeeded(uuid_)
    events = bench.managers.operations.events(uuid_)
    calls = [(each.data["method"], each.fence) for each in events if each.kind == "xenapi"]
    assert calls == [("pool.designate_new_master", 1), ("pool.eject", 2)]
