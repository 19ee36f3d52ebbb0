"""From records to views: types, null references, missing fields, what "ready" means."""

from __future__ import annotations

import pytest

from nova_aggregates.xenapi.decode import Record, Table, seconds
from nova_aggregates.xenapi.observe import observe
from nova_aggregates.xenapi.types import HostView, PoolView
from tests.unit.xenapi.xen_records import (
    NULL,
    MemoryConnection,
    Records,
    add,
    host,
    own,
    pbd,
    ref,
    sr,
    standalone,
    vm,
)

GIB = 1024**3


def pool_of_two() -> Records:
    records = standalone("a")
    own(records, "pool").update(name_label="rack 1", uuid="pool-uuid")
    add(records, "host", "b", host("b", address="10.0.0.2"))
    add(records, "host_metrics", "b-metrics", {"live": True, "memory_total": "0"})
    add(records, "SR", "nfs", sr("nfs", shared=True, physical_size="-1"))
    for name in ("a", "b"):
        add(records, "PBD", f"{name}-nfs", pbd(name, "nfs"))
    add(records, "PBD", "b-tools", pbd("b", "tools"))
    return records


def look(records: Records) -> PoolView:
    return observe(MemoryConnection(records))  # type: ignore[arg-type]


def member(view: PoolView, name: str) -> HostView:
    found = view.host(f"uuid-{name}")
    assert found is not None
    return found


def test_pool() -> None:
    view = look(pool_of_two())
    assert (view.uuid, view.name, view.master_uuid) == ("pool-uuid", "rack 1", "uuid-a")
    assert view.master is member(view, "a")
    assert [host.is_master for host in view.hosts] == [True, False]
    assert view.settled
    assert not view.ha_enabled


def test_six_round_trips() -> None:
    connection = MemoryConnection(pool_of_two())
    observe(connection)  # type: ignore[arg-type]
    assert len(connection.calls) == 6


def test_host_in_real_types() -> None:
    records = pool_of_two()
    add(records, "VM", "w", vm("web1", power_state="Running", resident_on=ref("a")))
    view = member(look(records), "a")
    assert (view.boot_time, view.agent_start_time) == (1795229534.0, 1795235600.0)
    assert view.product == "XCP-ng 8.3.0"
    assert view.capacity.vcpus == 8
    assert view.capacity.vcpus_used == 2
    assert view.capacity.memory_bytes == 64 * GIB
    assert view.capacity.memory_free_bytes == 32 * GIB
    # The tools SR holds no disks, and the share of the NFS server is unknown (-1).
    assert view.capacity.disk_bytes == 100 * GIB
    (guest,) = view.guests
    assert (guest.name, guest.memory_bytes, guest.resident_on) == ("web1", 4 * GIB, ref("a"))


def test_only_guests_are_guests() -> None:
    records = pool_of_two()
    for flag in ("is_control_domain", "is_a_template", "is_a_snapshot"):
        add(records, "VM", flag, vm(flag, resident_on=ref("a"), **{flag: True}))
    assert member(look(records), "a").guests == ()


def joining(**changes: object) -> Records:
    """The member as the master sees it between pool.join and its first hello."""
    records = pool_of_two()
    (records["host"] or {})[ref("b")].update(enabled=False, cpu_info={}, **changes)
    (records["host_metrics"] or {})[ref("b-metrics")].update(live=False)
    return records


def test_member_is_ready_when_enabled_live_and_attached() -> None:
    records = joining()
    (records["PBD"] or {}).pop(ref("b-nfs"))
    (records["PBD"] or {}).pop(ref("b-tools"))
    view = look(records)
    assert (member(view, "b").ready, view.settled) == (False, False)
    assert member(view, "b").storage_missing == ("nfs", "tools")

    (records["host_metrics"] or {})[ref("b-metrics")]["live"] = True
    assert not member(look(records), "b").ready
    (records["host"] or {})[ref("b")]["enabled"] = True
    assert not member(look(records), "b").ready
    add(records, "PBD", "b-nfs", pbd("b", "nfs", attached=False))
    add(records, "PBD", "b-tools", pbd("b", "tools"))
    assert member(look(records), "b").storage_missing == ("nfs",)
    (records["PBD"] or {})[ref("b-nfs")]["currently_attached"] = True
    assert member(look(records), "b").ready
    assert look(records).settled


@pytest.mark.parametrize("metrics", [NULL, "", "OpaqueRef:dangling", None])
def test_host_without_metrics_is_not_live(metrics: str | None) -> None:
    records = joining(metrics=metrics)
    assert not member(look(records), "b").live


def test_storage_that_is_attached_nowhere_blames_nobody() -> None:
    records = pool_of_two()
    for name in ("a", "b"):
        (records["PBD"] or {})[ref(f"{name}-nfs")]["currently_attached"] = False
    assert look(records).settled


def test_storage_that_the_master_never_had_is_not_asked_of_others() -> None:
    records = pool_of_two()
    (records["PBD"] or {}).pop(ref("a-nfs"))
    assert member(look(records), "a").shared_storage_attached


def test_pool_with_an_operation_is_not_settled() -> None:
    records = pool_of_two()
    own(records, "pool")["current_operations"] = {"OpaqueRef:t": "eject"}
    view = look(records)
    assert view.current_operations == ("eject",)
    assert not view.settled


def test_master_that_is_not_in_the_database() -> None:
    records = pool_of_two()
    own(records, "pool")["master"] = ref("gone")
    view = look(records)
    assert view.master is None
    assert view.master_uuid == ""


def test_names_behind_references() -> None:
    records = pool_of_two()
    add(records, "VM", "w", vm("web1", resident_on=ref("b"), power_state="Running"))
    view = look(records)
    assert view.name_of(ref("b")) == "host b"
    assert view.name_of(ref("w")) == "guest web1"
    assert view.name_of(view.ref) == "pool rack 1"
    assert view.name_of("OpaqueRef:other") is None


def test_old_release_with_few_fields() -> None:
    records: Records = {
        "pool": {ref("p"): {"uuid": "u", "name_label": "", "master": ref("h")}},
        "host": {ref("h"): {"uuid": "h", "name_label": "h", "enabled": True, "metrics": ref("m")}},
        "host_metrics": {ref("m"): {"live": True}},
        "PBD": {},
        "SR": {},
        "VM": {},
    }
    (only_host,) = look(records).hosts
    assert only_host.ready
    assert only_host.boot_time is None
    assert only_host.capacity.vcpus == 0


# --- decoding ----------------------------------------------------------------------------------


def test_record() -> None:
    record = Record(
        "r",
        {
            "number": "123456789012345",
            "typed": 7,
            "flag": True,
            "text_flag": "true",
            "null": NULL,
            "empty": "",
            "link": ref("x"),
            "ops": {"t1": "b", "t2": "a"},
        },
    )
    assert record.integer("number") == 123456789012345
    assert record.integer("typed") == 7
    assert (record.integer("missing"), record.integer("empty", 3)) == (0, 3)
    assert (record.flag("flag"), record.flag("text_flag"), record.flag("missing")) == (
        True,
        True,
        False,
    )
    assert [record.link(name) for name in ("null", "empty", "missing", "flag")] == [None] * 4
    assert record.link("link") == ref("x")
    assert (record.texts("missing"), record.mapping("flag")) == ((), {})
    assert Record("", {"current_operations": {"t1": "b", "t2": "a"}}).operations() == ("a", "b")


def test_seconds() -> None:
    assert (seconds("1795229534."), seconds("12.5"), seconds(""), seconds("x")) == (
        1795229534.0,
        12.5,
        None,
        None,
    )


def test_table_that_is_not_offered() -> None:
    assert not Table(None).offered
    assert Table({}).offered
    assert Table(None).get(None) is None
    assert Table({"r": {"uuid": "u"}}).named("r") == "u"
