"""Facts about the pool behind an aggregate. Only the owner of the running operation writes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from nova_aggregates.db import aggregates, hosts, members, operations, pools
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import HostNotFound, OperationLost
from nova_aggregates.objects import Credentials, Host, HostStatus, Operation, Pool


class PoolManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def show(self, aggregate_id: int) -> Pool | None:
        """The pool behind the aggregate, deleted or not; None when there is none."""
        row = self._database.query(partial(pools.by_aggregate, aggregate_id=aggregate_id))
        if row is None:
            return None
        return Pool(
            aggregate_id=row.aggregate_id,
            xen_uuid=row.xen_uuid,
            master_host_id=row.master_host_id,
            credentials=Credentials(row.username, self._secrets.open(row.secret)),
        )

    def members(self, aggregate_id: int) -> list[Host]:
        """The hosts that are meant to be in the pool, in the order of joining."""

        def work(connection: Connection) -> list[Host]:
            if not aggregates.is_id(aggregate_id):
                return []
            return [hosts.host_of(row) for row in members.of_aggregate(connection, aggregate_id)]

        return self._database.query(work)

    def establish(
        self,
        op: Operation,
        *,
        aggregate_id: int,
        xen_uuid: str,
        master_host_id: int,
        credentials: Credentials,
    ) -> None:
        """The first host's pool is the aggregate's; may be repeated.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """
        secret = self._secrets.seal(credentials.password)
        self._write(
            op,
            lambda connection: pools.write(
                connection,
                aggregate_id,
                xen_uuid=xen_uuid,
                master_host_id=master_host_id,
                username=credentials.username,
                secret=secret,
            ),
        )

    def set_master(self, op: Operation, aggregate_id: int, host_id: int) -> None:
        """Another member is the master now.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """
        self._write(op, partial(pools.set_master, aggregate_id=aggregate_id, host_id=host_id))

    def dissolve(self, op: Operation, aggregate_id: int) -> None:
        """The last host left; may be repeated.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """
        self._write(op, partial(pools.delete, aggregate_id=aggregate_id))

    def joined(self, op: Operation, host_id: int, credentials: Credentials) -> None:
        """The host is in the pool: in service, with the credentials of the pool.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        :raises HostNotFound: there is no such host.
        """
        self._write_host(op, host_id, HostStatus.ENABLED, self._columns(credentials))

    def left(self, op: Operation, host_id: int) -> None:
        """The host is out of the pool: out of service, still with the credentials of the pool
        (xenapi-reference: pool.eject keeps them).

        :raises OperationLost: another manager owns the operation now, or it has ended.
        :raises HostNotFound: there is no such host.
        """
        self._write_host(op, host_id, HostStatus.DISABLED, {})

    def _columns(self, credentials: Credentials) -> dict[str, Any]:
        return {
            "username": credentials.username,
            "secret": self._secrets.seal(credentials.password),
        }

    def _write_host(
        self, op: Operation, host_id: int, status: HostStatus, columns: dict[str, Any]
    ) -> None:
        def work(connection: Connection) -> None:
            values = dict(columns)
            pool = pools.by_aggregate(connection, op.aggregate_id)
            if status is HostStatus.DISABLED and pool is not None:
                values = {"username": pool.username, "secret": pool.secret}
            if not hosts.change(
                connection,
                host_id,
                **values,
                status=status,
                status_reason=None,
                updated_at=utcnow(),
            ):
                raise HostNotFound(host=f"number {host_id}")

        self._write(op, work)

    def _write(self, op: Operation, work: Callable[[Connection], Any]) -> None:
        def fenced(connection: Connection) -> None:
            work(connection)
            # After the work, because hosts are locked before operations; the exception undoes it.
            if not operations.change_owned(connection, op):
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            aggregates.bump_generation(connection)

        self._database.run(fenced)
