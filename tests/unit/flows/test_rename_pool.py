from __future__ import annotations

from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import Bench
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import fails


def test_the_label_of_the_pool_follows_the_name(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"), bench.rename(blue, "azure"))
    assert site["h1"].pool.name == "azure"


def test_of_two_renames_the_last_one_stays(bench: Bench, site: FakeSite) -> None:
    blue = bench.aggregate("blue")
    uuids = [bench.add(blue, "h1"), bench.rename(blue, "azure"), bench.rename(blue, "navy")]
    bench.start()
    bench.succeeded(*uuids)
    assert site["h1"].pool.name == "navy"
    # The first step that names it takes the present name, so one call is enough.
    assert site.calls == [("set_name", "navy")]


def test_a_rename_behind_the_removal_of_the_last_host_names_nothing(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"))
    bench.succeeded(bench.remove(blue, "h1"), bench.rename(blue, "azure"))
    assert site["h1"].pool.name == ""


def test_a_rename_that_cannot_be_done_is_taken_back(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"))
    refused = errors.ApiFailure("RBAC_PERMISSION_DENIED", ("pool.set_name_label", "no"))
    site.fail["set_name"] = [("before", refused)]
    fails(bench, bench.rename(blue, "azure"), "RBAC_PERMISSION_DENIED")
    assert site["h1"].pool.name == "blue"
    assert bench.show(blue).name == "blue"


def test_a_rename_whose_answer_was_lost_is_simply_repeated(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"))
    lost = errors.OutcomeUnknown("OUTCOME_UNKNOWN", ("pool.set_name_label", "cut"))
    site.fail["set_name"] = [("before", lost), ("after", lost)]
    bench.succeeded(bench.rename(blue, "azure"))
    assert site["h1"].pool.name == "azure"


def test_a_master_that_is_away_for_a_moment_is_waited_for(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].away_for = 5
    bench.succeeded(bench.rename(blue, "azure"))
    assert site["h1"].pool.name == "azure"


def test_a_master_that_stays_away_is_not_waited_for_for_ever(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].dead = True
    fails(bench, bench.rename(blue, "azure"), "NO_MASTER_FOUND")
    assert bench.show(blue).name == "blue"
