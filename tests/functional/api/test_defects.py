"""Defects of Nova's first host aggregates that show at the API: E3 to E17 of the contract."""

from __future__ import annotations

from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import PoolManager
from nova_aggregates.objects import (
    Credentials,
    Finding,
    OperationFailure,
    Severity,
)
from tests.functional.api.conftest import Client

FAILURE = OperationFailure("HOST_OFFLINE", "host1 does not answer.", "Switch it on.")
FINDING = Finding("join.cpu", "CPU", Severity.BLOCKING, "CPUs differ.", "Level them.", "a", "b")


class Manager:
    """Ends operations the way the manager process does, without any hypervisor."""

    def __init__(self, client: Client) -> None:
        conf = client.api.conf
        self.operations = client.api.operations
        self.hosts = client.api.hosts
        self.pools = PoolManager(Database.from_conf(conf), SecretBox(conf.credentials.key_file))

    def take(self, uuid: str) -> object:
        return self.operations.take(uuid, "test")

    def first_host(self, uuid: str) -> None:
        """The first host of an aggregate has made its pool."""
        operation = self.operations.take(uuid, "test")
        credentials = Credentials("root", "x")
        self.pools.establish(
            operation,
            aggregate_id=operation.aggregate_id,
            xen_uuid="pool-uuid",
            master_host_id=operation.host_id,
            credentials=credentials,
        )
        self.pools.joined(operation, operation.host_id, credentials)
        self.operations.succeed(operation)


def test_e3_there_is_no_switch_that_does_nothing(client: Client) -> None:
    aggregate = client.create("blue")
    body = {"add_host": {"host": "host1", "force": True}}
    client.fault("badRequest", 400, client.act(aggregate, body))
    assert client.show(aggregate)["hosts"] == []


def test_e4_two_quick_first_adds_are_queued_one_after_the_other(client: Client) -> None:
    aggregate = client.create("blue")
    first, second = client.add(aggregate, "host1"), client.add(aggregate, "host2")
    assert second.json()["aggregate"]["hosts"] == ["host1", "host2"]
    runnable = client.api.operations.runnable(10)
    assert [operation.uuid for operation in runnable] == [first.headers["X-Operation-Id"]]
    Manager(client).first_host(first.headers["X-Operation-Id"])
    runnable = client.api.operations.runnable(10)
    assert [operation.uuid for operation in runnable] == [second.headers["X-Operation-Id"]]


def test_e5_the_answer_names_an_operation_and_that_tells_why_it_failed(client: Client) -> None:
    aggregate = client.create("blue")
    uuid = client.add(aggregate, "host1").headers["X-Operation-Id"]
    operations = client.api.operations
    operation = operations.take(uuid, "test")
    operations.step(operation, "check", 10)
    shown = client.good("GET", f"/os-operations/{uuid}")["operation"]
    assert (shown["state"], shown["step"], shown["progress"]) == ("running", "check", 10)
    assert shown["started_at"]
    assert not shown["finished_at"]
    operations.fail(operation, FAILURE, (FINDING,))
    shown = client.good("GET", f"/os-operations/{uuid}")["operation"]
    assert shown["state"] == "failed"
    assert shown["finished_at"]
    assert shown["error"] == {
        "code": "HOST_OFFLINE",
        "message": "host1 does not answer.",
        "cure": "Switch it on.",
    }
    assert shown["findings"] == [
        {
            "check": "join.cpu",
            "code": "CPU",
            "severity": "blocking",
            "message": "CPUs differ.",
            "cure": "Level them.",
            "ours": "a",
            "theirs": "b",
        }
    ]


def test_e6_a_remove_that_failed_leaves_the_host_where_it_is(client: Client) -> None:
    manager, aggregate = Manager(client), client.create("blue")
    manager.first_host(client.add(aggregate, "host1").headers["X-Operation-Id"])
    answer = client.remove(aggregate, "host1")
    assert answer.json()["aggregate"]["hosts"] == []
    operation = client.api.operations.take(answer.headers["X-Operation-Id"], "test")
    client.api.operations.fail(operation, FAILURE)
    shown = client.show(aggregate)
    assert (shown["hosts"], shown["operational_state"]) == (["host1"], "active")


def test_e7_a_failed_add_is_no_error_and_can_be_repeated(client: Client) -> None:
    aggregate = client.create("blue")
    uuid = client.add(aggregate, "host1").headers["X-Operation-Id"]
    operation = client.api.operations.take(uuid, "test")
    client.api.operations.fail(operation, FAILURE)
    shown = client.show(aggregate)
    assert (shown["hosts"], shown["operational_state"]) == ([], "created")
    assert client.add(aggregate, "host1").status_code == 200


def test_e9_error_is_left_by_the_next_operation_that_succeeds(client: Client) -> None:
    manager, aggregate = Manager(client), client.create("blue")
    uuid = client.add(aggregate, "host1").headers["X-Operation-Id"]
    operation = client.api.operations.take(uuid, "test")
    client.api.operations.error(operation, FAILURE)
    assert client.show(aggregate)["operational_state"] == "error"
    uuid = client.add(aggregate, "host2").headers["X-Operation-Id"]
    manager.first_host(uuid)
    assert client.show(aggregate)["operational_state"] == "active"


def test_e10_the_master_can_be_removed_while_others_remain(client: Client) -> None:
    aggregate = client.create("blue")
    Manager(client).first_host(client.add(aggregate, "host1").headers["X-Operation-Id"])
    client.add(aggregate, "host2")
    answer = client.remove(aggregate, "host1")
    assert answer.status_code == 200
    assert answer.json()["aggregate"]["hosts"] == ["host2"]
    assert answer.headers["X-Operation-Id"]


def test_e11_facts_of_the_pool_are_not_in_the_metadata(client: Client) -> None:
    aggregate = client.create("blue")
    Manager(client).first_host(client.add(aggregate, "host1").headers["X-Operation-Id"])
    assert client.show(aggregate)["metadata"] == {}
    # The keys that the old service kept them in are ordinary ones.
    metadata = {"operational_state": "error", "master_compute": "host2", "host1": "mine"}
    answer = client.act(aggregate, {"set_metadata": {"metadata": metadata}})
    shown = answer.json()["aggregate"]
    assert (shown["metadata"], shown["operational_state"]) == (metadata, "active")


def test_e12_a_host_leaves_only_when_asked_for_by_name(client: Client) -> None:
    aggregate = client.create("blue")
    Manager(client).first_host(client.add(aggregate, "host1").headers["X-Operation-Id"])
    client.fault("badRequest", 400, client.send("DELETE", f"/os-aggregates/{aggregate}"))
    assert client.good("GET", "/os-operations?state=queued") == {"operations": []}


def test_e13_a_rename_renames_the_pool(client: Client) -> None:
    aggregate = client.create("blue")
    Manager(client).first_host(client.add(aggregate, "host1").headers["X-Operation-Id"])
    answer = client.send("PUT", f"/os-aggregates/{aggregate}", {"aggregate": {"name": "green"}})
    uuid = answer.headers["X-Operation-Id"]
    operation = client.good("GET", f"/os-operations/{uuid}")["operation"]
    assert (operation["action"], operation["host"]) == ("rename_pool", None)


def test_e14_a_host_that_left_may_join_another_aggregate(client: Client) -> None:
    blue, green = client.create("blue"), client.create("green")
    Manager(client).first_host(client.add(blue, "host1").headers["X-Operation-Id"])
    client.remove(blue, "host1")
    answer = client.add(green, "host1")
    assert answer.status_code == 200
    assert answer.json()["aggregate"]["hosts"] == ["host1"]


def test_e15_a_deleted_name_begins_anew(client: Client) -> None:
    former = client.create("blue")
    client.act(former, {"set_metadata": {"metadata": {"secret": "old"}}})
    client.good("DELETE", f"/os-aggregates/{former}")
    later = client.show(client.create("blue"))
    assert later["id"] != former
    assert later["metadata"] == {}
    client.fault("itemNotFound", 404, client.send("GET", f"/os-aggregates/{former}"))


def test_e16_removing_an_unknown_key_is_no_error(client: Client) -> None:
    aggregate = client.create("blue")
    for value in (None, ""):
        answer = client.act(aggregate, {"set_metadata": {"metadata": {"never-set": value}}})
        assert answer.status_code == 200
        assert answer.json()["aggregate"]["metadata"] == {}


def test_e17_two_actions_in_one_body_do_nothing(client: Client) -> None:
    aggregate = client.create("blue")
    body = {"add_host": {"host": "host1"}, "set_metadata": {"metadata": {"a": "b"}}}
    client.fault("badRequest", 400, client.act(aggregate, body))
    shown = client.show(aggregate)
    assert (shown["hosts"], shown["metadata"], shown["updated_at"]) == ([], {}, None)


def test_the_list_survives_the_deletion_of_one(client: Client) -> None:
    ids = [client.create(name) for name in ("a", "b", "c")]
    client.good("DELETE", f"/os-aggregates/{ids[1]}")
    listed = client.good("GET", "/os-aggregates")["aggregates"]
    assert [aggregate["id"] for aggregate in listed] == [ids[0], ids[2]]


def test_a_new_zone_leaves_the_metadata_alone(client: Client) -> None:
    aggregate = client.create("blue")
    client.act(aggregate, {"set_metadata": {"metadata": {"ssd": "true"}}})
    body = {"aggregate": {"availability_zone": "zone-b"}}
    answer = client.good("PUT", f"/os-aggregates/{aggregate}", body)["aggregate"]
    assert (answer["metadata"], answer["availability_zone"]) == ({"ssd": "true"}, "zone-b")


def test_set_metadata_bumps_updated_at(client: Client) -> None:
    aggregate = client.create("blue")
    first = client.act(aggregate, {"set_metadata": {"metadata": {"a": "1"}}}).json()["aggregate"]
    assert first["updated_at"] > first["created_at"]
    again = client.act(aggregate, {"set_metadata": {"metadata": {"a": "2"}}}).json()["aggregate"]
    assert again["updated_at"] > first["updated_at"]


def test_a_key_that_was_added_is_there_on_each_answer(client: Client) -> None:
    aggregate = client.create("blue")
    client.add(aggregate, "host1")
    body = {"set_metadata": {"metadata": {"k": "v"}}}
    answers = [
        client.act(aggregate, body).json()["aggregate"],
        client.show(aggregate),
        client.good("GET", "/os-aggregates")["aggregates"][0],
        client.good("PUT", f"/os-aggregates/{aggregate}", {"aggregate": {"name": "green"}})[
            "aggregate"
        ],
        client.remove(aggregate, "host1").json()["aggregate"],
    ]
    keys = [
        "id",
        "name",
        "availability_zone",
        "operational_state",
        "hosts",
        "metadata",
        "created_at",
        "updated_at",
        "deleted",
        "deleted_at",
    ]
    for answer in answers:
        assert list(answer) == keys
        assert answer["metadata"] == {"k": "v"}
