"""One API call, and the table of what the methods do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.datamodel import Datamodel, Method
from nova_aggregates.simulator.errors import NULL_REF
from nova_aggregates.simulator.levels import Level
from nova_aggregates.simulator.machine import Machine, Process, Session
from nova_aggregates.simulator.values import EPOCH

Handler = Callable[..., Any | Awaitable[Any]]

HANDLERS: dict[str, Handler] = {}


def api(*names: str) -> Callable[[Handler], Handler]:
    """Register what a method of the datamodel does. Handlers get the Call and the parameters."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


def backoff() -> Iterator[float]:
    """Seconds between two looks at a conflict: 1, 2, 4 … and at most 20 (helpers.ml retry)."""
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, 20.0)


@dataclass
class Call:
    """Who asks for what, where. ``process`` is the toolstack that took the call."""

    process: Process
    method: Method
    session_ref: str = NULL_REF
    session: Session | None = None
    local: bool = False  # a local session: no role check, no look at the master's locks
    task: str | None = None
    shown_name: str = ""

    @property
    def machine(self) -> Machine:
        return self.process.machine

    @property
    def model(self) -> Datamodel:
        return self.process.machine.model

    @property
    def level(self) -> Level:
        return self.process.machine.level

    @property
    def clock(self) -> Clock:
        return self.process.machine.clock

    @property
    def db(self) -> Database:
        """The pool's database; the caller has made sure that it is within reach."""
        return self.machine.site.database_of(self.process)

    @property
    def master(self) -> Machine:
        return self.machine.site.master_of(self.process)

    def task_ref(self) -> str:
        """The task of this call. A synchronous one gets a short-lived record of its own."""
        if self.task is None:
            self.task = create_task(
                self.db, self.clock, self.shown_name or self.method.name, self.host_ref
            )
        return self.task

    @property
    def host_ref(self) -> str:
        """This host in the pool's database, or the null reference when it is not there."""
        found = self.db.first("host", uuid=self.machine.disk.uuid)
        return found[0] if found else NULL_REF


def create_task(
    db: Database, clock: Clock, name: str, host: str, *, description: str = "", subtask_of: str = ""
) -> str:
    return db.create(
        "task",
        name_label=name,
        name_description=description,
        created=clock.stamp(),
        finished=EPOCH,
        status="pending",
        resident_on=host,
        type="<none/>",
        subtask_of=subtask_of or NULL_REF,
    )
