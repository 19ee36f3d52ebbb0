"""Section 5: disable, enable, evacuate, reboot, restart_agent, power."""

from __future__ import annotations

import pytest

from tests.conformance.client import BOGUS, NULL, Session, Site
from tests.conformance.conftest import host_of, usable

pytestmark = pytest.mark.destructive


@pytest.fixture
def at_master(pair: Site) -> Session:
    return pair.hosts[0].log_in()


@pytest.fixture
def member(pair: Site, at_master: Session) -> str:
    return host_of(pair, at_master, 1)


@pytest.mark.section("5.2")
@pytest.mark.parametrize("position", [0, 1])
def test_disable_and_enable_may_be_repeated(pair: Site, at_master: Session, position: int) -> None:
    host = host_of(pair, at_master, position)
    for arguments in ((), (), (False,), (True,)):
        assert at_master.call("host.disable", host, *arguments) == ""
        assert at_master.call("host.get_enabled", host) is False
    for _ in range(2):
        assert at_master.call("host.enable", host) == ""
        assert at_master.call("host.get_enabled", host) is True


@pytest.mark.section("5.2")
def test_operations_of_a_disabled_host(at_master: Session, member: str) -> None:
    enabled = set(at_master.call("host.get_allowed_operations", member))
    at_master.call("host.disable", member)
    disabled = set(at_master.call("host.get_allowed_operations", member))
    at_master.call("host.enable", member)
    assert {"reboot", "shutdown"} <= disabled - enabled


@pytest.mark.section("5.3")
@pytest.mark.parametrize(
    "arguments",
    [(), (NULL,), (NULL, "0"), (NULL, 2), (NULL, "-1"), (NULL, "0", "x", "y"), (BOGUS,)],
)
def test_an_empty_host_is_evacuated_at_once(
    at_master: Session, member: str, arguments: tuple[object, ...]
) -> None:
    assert at_master.call("host.evacuate", member, *arguments) == ""
    assert at_master.call("host.get_enabled", member) is True


@pytest.mark.section("5.3")
def test_nobody_prevents_the_evacuation_of_an_empty_host(at_master: Session, member: str) -> None:
    assert at_master.call("host.assert_can_evacuate", member) == ""
    assert at_master.call("host.get_vms_which_prevent_evacuation", member) == {}


@pytest.mark.section("5.5")
@pytest.mark.parametrize("method", ["host.reboot", "host.shutdown"])
def test_only_disabled_hosts_go_down(at_master: Session, member: str, method: str) -> None:
    assert at_master.failure(method, member) == ["HOST_NOT_DISABLED"]


@pytest.mark.section("5.5")
def test_a_live_host_is_not_powered_on(at_master: Session, member: str) -> None:
    assert at_master.failure("host.power_on", member) == ["HOST_IS_LIVE", member]


def times(session: Session, host: str) -> dict[str, str]:
    config = session.call("host.get_other_config", host)
    return {key: config[key] for key in ("boot_time", "agent_start_time")}


@pytest.mark.section("5.2")
@pytest.mark.parametrize(("automatic", "comes_back"), [(True, True), (False, False)])
def test_a_restart_of_the_toolstack_forgets_a_disable(
    pair: Site, at_master: Session, member: str, automatic: bool, comes_back: bool
) -> None:
    at_master.call("host.disable", member, automatic)
    before = times(at_master, member)
    assert at_master.call("host.restart_agent", member) == ""

    def restarted() -> bool:
        if times(at_master, member)["agent_start_time"] == before["agent_start_time"]:
            return False
        return bool(at_master.call("host.get_enabled", member)) is comes_back

    pair.wait("the toolstack has restarted", restarted)
    pair.wait("it can be enabled", lambda: at_master.call("host.enable", member) == "")
    pair.wait("it is usable", lambda: usable(at_master, member))
    assert times(at_master, member)["boot_time"] == before["boot_time"]


@pytest.mark.section("5.5")
def test_a_reboot(pair: Site, at_master: Session, member: str) -> None:
    at_master.call("host.disable", member)
    before = times(at_master, member)
    assert at_master.call("host.reboot", member) == ""
    assert "shutdown" in at_master.call("host.get_current_operations", member).values()

    def back() -> bool:
        now = times(at_master, member)
        return now["agent_start_time"] != before["agent_start_time"] and usable(at_master, member)

    pair.wait("the host is back and enabled", back)
    assert at_master.call("host.get_current_operations", member) == {}


@pytest.mark.section("5.1")
def test_a_hosts_clock(at_master: Session, member: str) -> None:
    assert at_master.call("host.get_servertime", member).value.endswith("Z")


@pytest.mark.section("7")
def test_a_plugin_that_is_not_there(at_master: Session, member: str) -> None:
    error = at_master.failure("host.call_plugin", member, "xenhost", "host_data", {})
    assert error == ["XENAPI_MISSING_PLUGIN", "xenhost"]


@pytest.mark.section("5.9")
def test_without_high_availability_there_is_none_to_turn_off(at_master: Session) -> None:
    assert at_master.failure("pool.disable_ha") == ["HA_NOT_ENABLED"]
