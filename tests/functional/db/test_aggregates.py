"""The rules of aggregates, on every database."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from nova_aggregates.db import aggregates as rows
from nova_aggregates.db import shelf
from nova_aggregates.exceptions import (
    AggregateKindFixed,
    AggregateNameTaken,
    AggregateNotEmpty,
    AggregateNotFound,
    HostInAnotherAggregate,
    HostInThisAggregate,
    HostNotFound,
    HostNotInAggregate,
    HostZoneMismatch,
    ZoneChangeRefused,
    ZoneUnknown,
)
from nova_aggregates.objects import (
    Action,
    Aggregate,
    AggregateKind,
    AggregateSearch,
    AggregateState,
    OperationState,
    SortKey,
)
from tests.functional.db.conftest import FAILURE, WHO, Site

# Pairs that a careless collation takes for equal: case, padding, accents, expansions.
ALIKE = [("host1", "Host1"), ("host1", "host1 "), ("e", "é"), ("strasse", "straße"), ("i", "İ")]


def generation(site: Site) -> int:
    return site.aggregates.generation()


class TestCreate:
    def test_answers_what_show_and_index_answer(self, site: Site) -> None:
        site.host("host1")
        created = site.aggregates.create(
            WHO, name="a", availability_zone="east", metadata={"k": "v", "gone": None, "e": ""}
        )
        assert created == site.aggregates.show(created.id)
        assert [created] == site.aggregates.index()
        assert created.state is AggregateState.CREATED
        assert created.kind is AggregateKind.POOL
        assert created.metadata == {"k": "v"}
        assert (created.hosts, created.updated_at, created.deleted) == ((), None, False)

    def test_refuses_a_zone_without_hosts_and_names_the_others(self, site: Site) -> None:
        site.host("host1", "east")
        site.host("host2", "west")
        with pytest.raises(ZoneUnknown, match=r"East\..*one of: east, west"):
            site.aggregates.create(WHO, name="a", availability_zone="East")

    def test_no_zone_is_no_check(self, site: Site) -> None:
        created = site.aggregates.create(WHO, name="a", availability_zone=None)
        assert created.availability_zone is None

    def test_refuses_a_taken_name(self, site: Site) -> None:
        site.aggregate("a")
        with pytest.raises(AggregateNameTaken):
            site.aggregate("a")

    @pytest.mark.parametrize(("one", "other"), ALIKE)
    def test_names_that_look_alike_differ(self, site: Site, one: str, other: str) -> None:
        first, second = site.aggregate(one), site.aggregate(other)
        assert [a.name for a in site.aggregates.index()] == [one, other]
        assert first.id != second.id

    def test_a_name_of_255_characters_outside_the_basic_plane(self, site: Site) -> None:
        name = "\N{GRINNING FACE}" * 255
        assert site.aggregates.show(site.aggregate(name).id).name == name

    def test_a_deleted_name_starts_clean(self, site: Site) -> None:
        old = site.aggregates.create(WHO, name="a", availability_zone=None, metadata={"k": "old"})
        site.aggregates.delete(WHO, old.id)
        new = site.aggregate("a")
        assert new.id != old.id
        assert new.uuid != old.uuid
        assert new.metadata == {}
        assert [a.id for a in site.aggregates.index()] == [new.id]

    def test_numbers_are_never_given_twice(self, site: Site) -> None:
        first = site.aggregate("a")
        site.aggregates.delete(WHO, first.id)
        with site.database.transaction() as connection:
            connection.execute(sa.delete(rows.aggregates))
        assert site.aggregate("b").id > first.id


class TestShowAndIndex:
    @pytest.mark.parametrize("number", [0, -1, 2**31 - 1, 2**31, 2**63, -(2**63), 10**30])
    def test_numbers_that_no_row_can_have(self, site: Site, number: int) -> None:
        for call in (
            lambda: site.aggregates.show(number),
            lambda: site.aggregates.update(WHO, number, name="b"),
            lambda: site.aggregates.delete(WHO, number),
            lambda: site.aggregates.set_metadata(WHO, number, {"k": "v"}),
            lambda: site.aggregates.add_host(WHO, number, "host1"),
            lambda: site.aggregates.remove_host(WHO, number, "host1"),
            lambda: site.operations.index(aggregate_id=number),
        ):
            with pytest.raises(AggregateNotFound):
                call()
        assert site.pools.show(number) is None
        assert site.pools.members(number) == []

    def test_index_by_zone(self, site: Site) -> None:
        site.host("host1", "east")
        site.host("host2", "west")
        east = site.aggregate("a", "host1", zone="east")
        site.aggregate("b", "host2", zone="west")
        site.aggregate("c")
        assert site.aggregates.index(availability_zone="east") == [east]
        for zone in ("East", "east ", "", "nul\0", "\ud800", "x" * 300):
            assert site.aggregates.index(availability_zone=zone) == []

    def test_index_takes_three_queries_whatever_the_number(self, site: Site) -> None:
        for number in range(12):
            site.host(f"host{number}")
            aggregate = site.aggregate(f"a{number}", f"host{number}")
            site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v", "l": "w"})
        selects: list[str] = []

        def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
            if statement.startswith("SELECT"):
                selects.append(statement)

        sa.event.listen(site.database.engine, "before_cursor_execute", note)
        try:
            found = site.aggregates.index()
        finally:
            sa.event.remove(site.database.engine, "before_cursor_execute", note)
        assert len(found) == 12
        assert all(len(a.hosts) == 1 and len(a.metadata) == 2 for a in found)
        assert len(selects) <= 3

    def test_hosts_come_in_the_order_of_joining(self, site: Site) -> None:
        for name in ("host1", "host2", "host3"):
            site.host(name)
        aggregate = site.aggregate("a", "host3", "host1", "host2")
        assert aggregate.hosts == ("host3", "host1", "host2")
        assert [h.name for h in site.pools.members(aggregate.id)] == ["host3", "host1", "host2"]


class TestUpdate:
    def test_rename_to_a_taken_name(self, site: Site) -> None:
        site.aggregate("a")
        other = site.aggregate("b")
        with pytest.raises(AggregateNameTaken):
            site.aggregates.update(WHO, other.id, name="a")
        assert site.aggregates.show(other.id).name == "b"

    def test_rename_in_case_only(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        assert site.aggregates.update(WHO, aggregate.id, name="A").aggregate.name == "A"

    def test_the_former_name_is_free(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        site.aggregates.update(WHO, aggregate.id, name="b")
        assert site.aggregate("a").name == "a"
        with pytest.raises(AggregateNameTaken):
            site.aggregate("b")

    def test_an_empty_aggregate_has_no_pool_to_rename(self, site: Site) -> None:
        accepted = site.aggregates.update(WHO, site.aggregate("a").id, name="b")
        assert accepted.operation is None
        assert accepted.aggregate.state is AggregateState.CREATED

    def test_a_live_pool_is_renamed_by_an_operation(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        accepted = site.aggregates.update(WHO, aggregate.id, name="b")
        assert accepted.operation is not None
        assert accepted.operation.action is Action.RENAME_POOL
        assert accepted.operation.parameters["name"] == "b"
        assert accepted.aggregate.state is AggregateState.CHANGING
        site.operations.succeed(site.take_next(aggregate.id))
        assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE

    def test_a_rename_waits_behind_the_first_add(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        site.take_next(aggregate.id)
        renamed = site.aggregates.update(WHO, aggregate.id, name="b").operation
        assert renamed is not None
        assert renamed.state is OperationState.QUEUED

    def test_a_rename_waits_behind_the_last_remove(self, site: Site) -> None:
        """Should that fail, the pool is still there and must have the new name."""
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.remove_host(WHO, aggregate.id, "host1")
        assert site.aggregates.update(WHO, aggregate.id, name="b").operation is not None

    def test_the_same_name_again_is_no_rename(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        assert site.aggregates.update(WHO, aggregate.id, name="a").operation is None

    def test_a_failed_rename_gives_the_name_back(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.update(WHO, aggregate.id, name="b")
        site.aggregates.update(WHO, aggregate.id, name="c")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.aggregates.show(aggregate.id).name == "c", "the later rename still counts"
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.aggregates.show(aggregate.id).name == "a"
        assert site.aggregate("c").name == "c"

    def test_a_failed_rename_does_not_take_a_name_from_another(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.update(WHO, aggregate.id, name="b")
        site.aggregate("a")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.aggregates.show(aggregate.id).name == "b"

    def test_zone_change_keeps_the_metadata(self, site: Site) -> None:
        site.host("host1", "east")
        site.host("host2", "west")
        aggregate = site.aggregate("a", zone="east")
        site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"})
        changed = site.aggregates.update(WHO, aggregate.id, availability_zone="west").aggregate
        assert (changed.availability_zone, changed.metadata) == ("west", {"k": "v"})

    def test_zone_change_with_members_of_another_zone(self, site: Site) -> None:
        site.host("host1", "east")
        site.host("host2", "west")
        aggregate = site.aggregate("a", "host1", zone="east")
        with pytest.raises(ZoneChangeRefused, match="host1 in east"):
            site.aggregates.update(WHO, aggregate.id, name="b", availability_zone="west")
        assert site.aggregates.show(aggregate.id) == aggregate, "and the name stays as well"

    def test_zone_change_to_an_unknown_zone(self, site: Site) -> None:
        site.host("host1", "east")
        aggregate = site.aggregate("a", zone="east")
        with pytest.raises(ZoneUnknown):
            site.aggregates.update(WHO, aggregate.id, availability_zone="north")

    def test_updated_at_moves(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        first = site.aggregates.update(WHO, aggregate.id, name="b").aggregate.updated_at
        second = site.aggregates.update(WHO, aggregate.id, name="c").aggregate.updated_at
        assert first is not None
        assert second is not None
        assert aggregate.created_at < first < second


class TestDelete:
    def test_refused_with_hosts(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        with pytest.raises(AggregateNotEmpty, match="host1"):
            site.aggregates.delete(WHO, aggregate.id)

    def test_leaves_the_lists(self, site: Site) -> None:
        kept, gone = site.aggregate("a"), site.aggregate("b")
        site.aggregates.delete(WHO, gone.id)
        assert site.aggregates.index() == [kept]
        for call in (
            lambda: site.aggregates.show(gone.id),
            lambda: site.aggregates.delete(WHO, gone.id),
            lambda: site.aggregates.update(WHO, gone.id, name="c"),
            lambda: site.aggregates.set_metadata(WHO, gone.id, {"k": "v"}),
        ):
            with pytest.raises(AggregateNotFound):
                call()

    def test_the_last_operations_go_on_and_stay_visible(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.remove_host(WHO, aggregate.id, "host1")
        site.aggregates.delete(WHO, aggregate.id)
        assert site.aggregate("a").id != aggregate.id
        operation = site.operations.succeed(site.take_next(aggregate.id))
        assert operation.state is OperationState.SUCCEEDED
        listed = site.operations.index(aggregate_id=aggregate.id)
        assert [o.action for o in listed] == [Action.REMOVE_HOST, Action.ADD_HOST]
        with site.database.read() as connection:
            deleted = shelf.fetch(connection, aggregate.id, deleted=True)
        assert deleted is not None
        assert (deleted.state, deleted.deleted) == (AggregateState.DISMISSED, True)
        assert deleted.deleted_at is not None


class TestHosts:
    def test_add_and_remove_are_intended_at_once(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        added = site.aggregates.add_host(WHO, aggregate.id, "host1")
        assert added.aggregate.hosts == ("host1",)
        assert added.aggregate.state is AggregateState.CHANGING
        assert added.operation is not None
        assert (added.operation.action, added.operation.host) == (Action.ADD_HOST, "host1")
        assert added.operation.requester == WHO
        removed = site.aggregates.remove_host(WHO, aggregate.id, "host1")
        assert removed.aggregate.hosts == ()
        site.aggregates.delete(WHO, aggregate.id)

    def test_two_quick_first_adds_are_both_queued(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        aggregate = site.aggregate("a")
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        site.aggregates.add_host(WHO, aggregate.id, "host2")
        assert [o.host for o in site.operations.runnable(10)] == ["host1"]
        site.operations.succeed(site.take_next(aggregate.id))
        assert site.aggregates.show(aggregate.id).state is AggregateState.CHANGING
        assert [o.host for o in site.operations.runnable(10)] == ["host2"]
        site.operations.succeed(site.take_next(aggregate.id))
        assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE

    def test_a_host_in_this_aggregate(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        with pytest.raises(HostInThisAggregate):
            site.aggregates.add_host(WHO, aggregate.id, "host1")
        assert len(site.operations.index()) == 1, "a refused request leaves no operation"

    def test_a_host_in_another_aggregate(self, site: Site) -> None:
        site.host("host1")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        with pytest.raises(HostInAnotherAggregate, match=f"a .id {first.id}"):
            site.aggregates.add_host(WHO, second.id, "host1")
        assert site.members(second.id) == []

    def test_a_host_of_another_zone(self, site: Site) -> None:
        site.host("host1", "east")
        site.host("host2", "west")
        aggregate = site.aggregate("a", zone="east")
        with pytest.raises(HostZoneMismatch, match="west"):
            site.aggregates.add_host(WHO, aggregate.id, "host2")
        no_zone = site.aggregate("b")
        assert site.aggregates.add_host(WHO, no_zone.id, "host2").aggregate.hosts == ("host2",)

    @pytest.mark.parametrize(
        "name", ["Host1", "host1 ", " host1", "", "nul\0", "\ud800", "h" * 300]
    )
    def test_an_unknown_host(self, site: Site, name: str) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        with pytest.raises(HostNotFound):
            site.aggregates.add_host(WHO, aggregate.id, name)
        with pytest.raises(HostNotFound):
            site.aggregates.remove_host(WHO, aggregate.id, name)

    def test_a_host_that_is_no_member(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        for host in ("host1", "host2"):
            with pytest.raises(HostNotInAggregate):
                site.aggregates.remove_host(WHO, second.id, host)
        assert site.members(first.id) == ["host1"]

    def test_a_host_that_left_one_aggregate_joins_another(self, site: Site) -> None:
        site.host("host1")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        site.aggregates.remove_host(WHO, first.id, "host1")
        site.operations.succeed(site.take_next(first.id))
        site.aggregates.add_host(WHO, second.id, "host1")
        site.operations.succeed(site.take_next(second.id))
        assert site.members(second.id) == ["host1"]
        assert site.aggregates.show(first.id).state is AggregateState.CREATED


class TestMetadata:
    def test_other_keys_stay_and_unknown_keys_may_be_removed(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        site.aggregates.set_metadata(WHO, aggregate.id, {"a": "1", "b": "2", "c": "3"})
        changed = site.aggregates.set_metadata(
            WHO, aggregate.id, {"a": "9", "b": None, "c": "", "unknown": None, "d": "4"}
        )
        # "" is a value here; v1.1 makes null of it.
        assert changed.metadata == {"a": "9", "c": "", "d": "4"}
        assert site.aggregates.show(aggregate.id) == changed

    def test_updated_at_moves_even_when_nothing_changes(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        first = site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"})
        second = site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"})
        assert first.updated_at is not None
        assert second.updated_at is not None
        assert aggregate.created_at < first.updated_at < second.updated_at

    @pytest.mark.parametrize(("one", "other"), ALIKE)
    def test_keys_that_look_alike_differ(self, site: Site, one: str, other: str) -> None:
        aggregate = site.aggregate("a")
        changed = site.aggregates.set_metadata(WHO, aggregate.id, {one: "1", other: "2"})
        assert changed.metadata == {one: "1", other: "2"}
        changed = site.aggregates.set_metadata(WHO, aggregate.id, {other: None})
        assert changed.metadata == {one: "1"}

    def test_longest_key_and_value(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        text = "\N{GRINNING FACE}" * 255
        assert site.aggregates.set_metadata(WHO, aggregate.id, {text: text}).metadata == {
            text: text
        }


class TestKind:
    def test_a_label_takes_hosts_without_operations(self, site: Site) -> None:
        site.host("host1")
        site.aggregate("pool", "host1")
        labels = [
            site.aggregates.create(
                WHO,
                name=name,
                availability_zone=None,
                metadata={"hypervisor_pool": "false"},
            )
            for name in ("label1", "label2")
        ]
        for label in labels:
            assert label.kind is AggregateKind.LABEL
            accepted = site.aggregates.add_host(WHO, label.id, "host1")
            assert accepted.operation is None
            assert accepted.aggregate.state is AggregateState.ACTIVE
        accepted = site.aggregates.remove_host(WHO, labels[0].id, "host1")
        assert accepted.operation is None
        assert accepted.aggregate.state is AggregateState.CREATED
        assert site.aggregates.update(WHO, labels[1].id, name="other").operation is None

    def test_an_empty_aggregate_changes_its_kind(self, site: Site) -> None:
        aggregate = site.aggregate("a")
        for value, kind in (
            ("false", AggregateKind.LABEL),
            ("False", AggregateKind.LABEL),
            (None, AggregateKind.POOL),
            ("true", AggregateKind.POOL),
        ):
            changed = site.aggregates.set_metadata(WHO, aggregate.id, {"hypervisor_pool": value})
            assert changed.kind is kind

    def test_an_aggregate_in_use_keeps_its_kind(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        with pytest.raises(AggregateKindFixed):
            site.aggregates.set_metadata(
                WHO, aggregate.id, {"hypervisor_pool": "false", "other": "v"}
            )
        assert site.aggregates.show(aggregate.id).metadata == {}
        site.aggregates.remove_host(WHO, aggregate.id, "host1")
        with pytest.raises(AggregateKindFixed):
            site.aggregates.set_metadata(WHO, aggregate.id, {"hypervisor_pool": "false"})
        site.operations.succeed(site.take_next(aggregate.id))
        site.aggregates.set_metadata(WHO, aggregate.id, {"hypervisor_pool": "false"})
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        with pytest.raises(AggregateKindFixed):
            site.aggregates.set_metadata(WHO, aggregate.id, {"hypervisor_pool": ""})

    def test_pool_facts_are_not_in_the_metadata(self, site: Site) -> None:
        host = site.host("host1")
        aggregate = site.aggregate("a")
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        operation = site.take_next(aggregate.id)
        site.pools.establish(
            operation,
            aggregate_id=aggregate.id,
            xen_uuid="u",
            master_host_id=host.id,
            credentials=site.hosts.credentials(host.id),
        )
        site.aggregates.set_metadata(
            WHO, aggregate.id, {"master_compute": "evil", "hypervisor_pool": "true", "k": None}
        )
        pool = site.pools.show(aggregate.id)
        assert pool is not None
        assert (pool.master_host_id, pool.xen_uuid) == (host.id, "u")


def test_the_generation_moves_with_every_visible_change(site: Site) -> None:
    def moves(change: Callable[[], object]) -> bool:
        before = generation(site)
        change()
        return generation(site) > before

    assert moves(lambda: site.host("host1"))
    assert moves(lambda: site.aggregate("a"))
    aggregate = site.aggregates.index()[0]
    assert moves(lambda: site.aggregates.update(WHO, aggregate.id, name="b"))
    assert moves(lambda: site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"}))
    assert moves(lambda: site.aggregates.add_host(WHO, aggregate.id, "host1"))
    operation = site.take_next(aggregate.id)
    host = site.hosts.show("host1")
    assert moves(lambda: site.pools.joined(operation, host.id, site.hosts.credentials(host.id)))
    assert moves(lambda: site.operations.succeed(operation))
    assert moves(lambda: site.aggregates.remove_host(WHO, aggregate.id, "host1"))
    assert moves(lambda: site.aggregates.delete(WHO, aggregate.id))
    assert not moves(site.aggregates.index)


class TestSearch:
    def test_changes_with_deleted_ones(self, site: Site) -> None:
        """On every database, and more deleted ones than are asked for at once."""
        old = site.aggregate("old")
        middle = site.aggregate("middle").created_at
        gone = [site.aggregate(f"gone{number}") for number in range(20)]
        for aggregate in gone:
            site.aggregates.set_metadata(WHO, aggregate.id, {"number": aggregate.name})
            site.aggregates.delete(WHO, aggregate.id)
        page = site.aggregates.search(AggregateSearch(changed_since=middle))
        assert [aggregate.name for aggregate in page.aggregates] == [
            "middle",
            *(aggregate.name for aggregate in gone),
        ]
        for aggregate in page.aggregates[1:]:
            assert aggregate.deleted
            assert aggregate.metadata == {"number": aggregate.name}
        later = page.aggregates[-1].deleted_at
        assert later is not None
        changed = site.aggregates.update(WHO, old.id, name="new").aggregate
        assert site.aggregates.search(
            AggregateSearch(changed_since=later, name="new")
        ).aggregates == (changed,)

    @pytest.mark.parametrize("key", SortKey)
    @pytest.mark.parametrize("descending", [False, True])
    def test_pages_are_the_list(self, site: Site, key: SortKey, descending: bool) -> None:
        for name in ("b", "a", "d", "c"):
            aggregate = site.aggregate(name)
        site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"})
        search = AggregateSearch(sort_key=key, descending=descending)
        whole = site.aggregates.search(search)
        assert not whole.more
        assert len(whole.aggregates) == 4
        found: list[Aggregate] = []
        more, marker = True, None
        while more:
            page = site.aggregates.search(dataclasses.replace(search, limit=1, marker=marker))
            found += page.aggregates
            more, marker = page.more, page.aggregates[-1].id
        assert found == list(whole.aggregates)
        values = [
            aggregate.state.value if key is SortKey.STATE else getattr(aggregate, key)
            for aggregate in found
        ]
        # Unset ones count as the smallest.
        ranks = [(value is not None, value or "") for value in values]
        assert ranks == sorted(ranks, reverse=descending)
