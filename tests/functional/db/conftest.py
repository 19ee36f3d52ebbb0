from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import (
    AggregateManager,
    DriftManager,
    HostManager,
    OperationManager,
    PoolManager,
    WebhookManager,
)
from nova_aggregates.objects import (
    Aggregate,
    Credentials,
    DriftFinding,
    DriftPolicy,
    Host,
    HostRegistration,
    Operation,
    OperationFailure,
    Requester,
    Trust,
)
from tests.databases import backend, database, empty_url, migrated_url, shared_database

__all__ = ["backend", "database", "empty_url", "migrated_url", "shared_database"]

WHO = Requester(user_id="admin", project_id="demo", request_id="req-1")
DRIFT = DriftFinding(
    host="host1",
    kind="member_missing",
    expected="member",
    found="not in the pool",
    message="Host host1 is not in the pool.",
    cure="Add it again.",
    policy=DriftPolicy.REPORT,
)
FAILURE = OperationFailure(code="HOST_OFFLINE", message="It is off.", cure="Switch it on.")


@dataclasses.dataclass
class Site:
    """The managers over one database, and short words for what most tests do first."""

    database: Database
    aggregates: AggregateManager
    hosts: HostManager
    operations: OperationManager
    pools: PoolManager
    drift: DriftManager
    webhooks: WebhookManager

    @classmethod
    def over(cls, database: Database, box: SecretBox) -> Site:
        managers = (
            AggregateManager,
            HostManager,
            OperationManager,
            PoolManager,
            DriftManager,
            WebhookManager,
        )
        return cls(database, *(manager(database, box) for manager in managers))

    def host(self, name: str, zone: str = "east") -> Host:
        number = len(self.hosts.index()) + 1
        registration = HostRegistration(
            name=name,
            address=f"127.0.{number // 250}.{number % 250 + 1}",
            port=443,
            credentials=Credentials("root", f"secret of {name}"),
            trust=Trust(insecure=True),
            zone=zone,
        )
        return self.hosts.register(WHO, registration)

    def aggregate(self, name: str, *hosts: str, zone: str | None = None) -> Aggregate:
        """An aggregate whose hosts have all joined."""
        created = self.aggregates.create(WHO, name=name, availability_zone=zone)
        for host in hosts:
            self.aggregates.add_host(WHO, created.id, host)
            self.operations.succeed(self.take_next(created.id))
        return self.aggregates.show(created.id)

    def take_next(self, aggregate_id: int, owner: str = "manager-1") -> Operation:
        """Take the operation of the aggregate whose turn it is."""
        turn = [o for o in self.operations.runnable(100) if o.aggregate_id == aggregate_id]
        assert turn, "nothing is runnable in this aggregate"
        return self.operations.take(turn[0].uuid, owner)

    def members(self, aggregate_id: int) -> list[str]:
        return list(self.aggregates.show(aggregate_id).hosts)


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> SecretBox:
    return SecretBox.create(tmp_path_factory.mktemp("keys") / "credentials.key")


@pytest.fixture
def site(database: Database, box: SecretBox) -> Site:
    return Site.over(database, box)


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite"
