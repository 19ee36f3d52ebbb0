"""Where an aggregate and its pool differ, as the last audit found it."""

from __future__ import annotations

from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import DriftManager
from nova_aggregates.objects import DriftFinding, DriftPolicy
from tests.functional.api.conftest import Client


def test_every_difference_with_its_cure(client: Client) -> None:
    conf = client.api.conf
    audit = DriftManager(Database.from_conf(conf), SecretBox(conf.credentials.key_file))
    blue, red = client.create("blue"), client.create("red")
    values = {
        "host": "host1",
        "kind": "member_missing",
        "expected": "in the pool",
        "found": "a pool of its own",
        "message": "host1 is not in the pool.",
        "cure": "Add it again.",
    }
    audit.record(blue, [DriftFinding(**values, policy=DriftPolicy.REPORT)])
    (found,) = client.good("GET", f"/os-aggregates/{blue}/drift")["drift"]
    first_seen, last_seen = found.pop("first_seen"), found.pop("last_seen")
    assert found == {**values, "policy": "report"}
    assert first_seen <= last_seen
    assert client.good("GET", f"/os-aggregates/{red}/drift") == {"drift": []}
    audit.record(blue, [])
    assert client.good("GET", f"/os-aggregates/{blue}/drift") == {"drift": []}


def test_a_deleted_aggregate_is_still_known(client: Client) -> None:
    aggregate = client.create("blue")
    client.good("DELETE", f"/os-aggregates/{aggregate}")
    assert client.good("GET", f"/os-aggregates/{aggregate}/drift") == {"drift": []}
    missing = client.send("GET", f"/os-aggregates/{aggregate + 1}/drift")
    client.fault("itemNotFound", 404, missing)
