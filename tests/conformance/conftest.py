"""What the conformance suite runs against: the hosts that are given, or simulated ones.

Against hosts of one's own::

    NOVA_AGGREGATES_XENAPI_PASSWORD=... pytest tests/conformance \\
        --xenapi-url https://10.0.0.1,https://10.0.0.2,https://10.0.0.3 [--destructive]

Without ``--destructive`` the first host, a pool's master, is read and given harmless settings that
are put back. With it three standalone hosts are joined, ejected, disabled and restarted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from nova_aggregates.simulator.testing import SimulatedSite
from tests.conformance.client import Host, Session, Site

URL, USER, DESTRUCTIVE = "--xenapi-url", "--xenapi-user", "--destructive"
PASSWORD = "NOVA_AGGREGATES_XENAPI_PASSWORD"
TIME_SCALE = 50.0
covered: Counter[str] = Counter()
replayed: list[int] = []  # differences, one entry a recorded scenario


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "tests/conformance (give it as an argument)")
    group.addoption(URL, default="", help="URLs of real hosts, the first one a pool's master")
    group.addoption(USER, default="root", help=f"who logs in; the password is in {PASSWORD}")
    group.addoption(
        DESTRUCTIVE, action="store_true", default=False, help="also what joins, ejects, restarts"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "section(name): of the XenAPI reference, what it covers")
    config.addinivalue_line("markers", "destructive: joins, ejects, disables or restarts hosts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    given = config.getoption(URL, default="")
    if given and not config.getoption(DESTRUCTIVE, default=False):
        refused = pytest.mark.skip(reason=f"only with {DESTRUCTIVE}")
        for item in items:
            if item.get_closest_marker("destructive"):
                item.add_marker(refused)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call":
        return
    for name, value in report.user_properties:
        if name == "section" and report.passed:
            covered[str(value)] += 1
        if name == "differences":
            replayed.append(int(value))


@pytest.fixture(autouse=True)
def _count(request: pytest.FixtureRequest, record_property: pytest.RecordProperty) -> None:
    marker = request.node.get_closest_marker("section")
    if marker is not None:
        record_property("section", marker.args[0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if covered:
        by_section = ", ".join(f"{s}: {n}" for s, n in sorted(covered.items()))
        total = sum(covered.values())
        terminalreporter.write_line(f"conformance: {total} behaviours by section: {by_section}")
    if replayed:
        terminalreporter.write_line(
            f"conformance: {len(replayed)} recorded scenarios replayed, {sum(replayed)} differences"
        )


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config) -> Iterator[Site]:
    given = pytestconfig.getoption(URL, default="")
    if given:
        user = pytestconfig.getoption(USER)
        password = os.environ.get(PASSWORD, "")
        if not password:
            pytest.exit(f"{PASSWORD} is not set: the password of {user} at {given}")
        urls = [url.strip().rstrip("/") for url in given.split(",")]
        yield Site([Host(url, user, password) for url in urls], pause=1.0, patience=1800.0)
        return
    with SimulatedSite(hosts=3, time_scale=TIME_SCALE, password="conformance") as simulated:
        hosts = [Host(h.url, h.username, h.password) for h in simulated.hosts]
        yield Site(hosts, pause=0.01, patience=100.0)


@pytest.fixture(scope="session")
def master(site: Site) -> Host:
    return site.hosts[0]


@pytest.fixture
def session(master: Host) -> Iterator[Session]:
    found = master.log_in()
    yield found
    found.call("session.logout")


def host_of(site: Site, session: Session, position: int) -> str:
    """The reference of a host of the site in the pool that the session is at."""
    address = site.hosts[position].address
    for ref, record in session.call("host.get_all_records").items():
        if record["address"] == address:
            return str(ref)
    raise LookupError(f"{address} is no member")


def usable(session: Session, host: str) -> bool:
    """Enabled, live, and every shared repository attached."""
    if not (session.call("host.get_enabled", host) and session.live(host)):
        return False
    plugs = session.call("PBD.get_all_records").values()
    repositories = session.call("SR.get_all_records")
    return all(
        p["currently_attached"]
        for p in plugs
        if p["host"] == host and repositories[p["SR"]]["shared"]
    )


@pytest.fixture(scope="session")
def pair(site: Site) -> Iterator[Site]:
    """A pool of the first two hosts; afterwards they are two again."""
    first, second = site.hosts[:2]
    joiner = second.log_in()
    joiner.call("pool.join", first.address, first.user, first.password)

    def arrived() -> bool:
        session = first.log_in()
        return usable(session, host_of(site, session, 1))

    site.wait("the joiner is enabled", arrived)
    yield site
    session = first.log_in()
    session.call("pool.eject", host_of(site, session, 1))
    site.wait("the ejected host is down", lambda: second.standing() == "down")
    site.wait("the ejected host is back", lambda: second.standing() == "master")
