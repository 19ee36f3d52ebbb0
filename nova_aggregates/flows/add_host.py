"""add_host: the first host makes the aggregate's pool, every further one joins it."""

from __future__ import annotations

import dataclasses

from taskflow.patterns import linear_flow

from nova_aggregates.flows.encounter import meet
from nova_aggregates.flows.joining import join_steps
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work

NAME = "add_host"


def build(work: Work) -> linear_flow.Flow:
    """The graph. Which of the two it is cannot change while the operation runs: nobody else
    changes the aggregate's pool meanwhile, and the first host stays its master."""
    pool = work.pool()
    if pool is None or pool.master_host_id == work.operation.host_id:
        return linear_flow.Flow(f"{NAME}.first").add(
            MeetFirst(work),
            Establish(work),
            NamePool(work),
            BringIntoService(work),
            Admit(work),
        )
    return linear_flow.Flow(f"{NAME}.further").add(*join_steps(work))


@dataclasses.dataclass(frozen=True, slots=True)
class FirstHost:
    """What the steps know of the first host."""

    host_uuid: str
    pool_uuid: str
    old_name: str  # of its pool of one, as it was before


class MeetFirst(Learn):
    label = "identify_host"
    percent = 5

    def learn(self) -> FirstHost:
        met = meet(self.work)
        if met.view is None:
            raise StepFailed.of(
                "HOST_IS_SLAVE",
                "The host that shall found the pool is a member of it already.",
                "Look at the pool's master, then repeat the request.",
            )
        return FirstHost(met.host_uuid, met.view.uuid, met.view.name)


class _FirstStep(Act[FirstHost]):
    facts_type = FirstHost


class Establish(_FirstStep):
    """Before the naming: from now on a rename of the aggregate queues one of the pool."""

    label = "establish_pool"
    percent = 25

    def act(self, facts: FirstHost) -> None:
        work = self.work
        host = work.host()
        work.managers.pools.establish(
            work.operation,
            aggregate_id=work.aggregate_id,
            xen_uuid=facts.pool_uuid,
            master_host_id=host.id,
            credentials=work.managers.hosts.credentials(host.id),
        )

    def undo(self, facts: FirstHost) -> None:
        if self.work.pool() is not None:
            self.work.managers.pools.dissolve(self.work.operation, self.work.aggregate_id)


class NamePool(_FirstStep):
    label = "name_pool"
    percent = 45
    repeatable = True

    def act(self, facts: FirstHost) -> None:
        name_pool(self.work)

    def undo(self, facts: FirstHost) -> None:
        with self.work.host_session(self.work.host()) as session:
            view = session.observe()
            if view.uuid == facts.pool_uuid and view.name != facts.old_name:
                session.set_name(facts.old_name)


class BringIntoService(_FirstStep):
    label = "bring_into_service"
    percent = 65

    def act(self, facts: FirstHost) -> None:
        work = self.work

        def look() -> None:
            with work.pool_session() as session:
                host = session.observe().host(facts.host_uuid)
                if host is None:
                    raise NotYet("The host is not in its own database.")
                if not host.enabled:
                    session.enable(facts.host_uuid)
                    raise NotYet("The host is disabled.")
                if not host.live:
                    raise NotYet("The host is not live.")

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "HOST_NOT_READY",
                f"The host did not come into service within {work.timing.join:g} seconds. {reason}",
                "Enable the host by hand (xe host-enable), mend what prevents it, and repeat the "
                "request.",
            )

        work.until(look, work.timing.join, late)


class Admit(_FirstStep):
    label = "admit_host"
    percent = 90

    def act(self, facts: FirstHost) -> None:
        work = self.work
        host = work.host()
        work.managers.pools.joined(
            work.operation, host.id, work.managers.hosts.credentials(host.id)
        )


def name_pool(work: Work) -> None:
    """Give the pool the aggregate's present name, and see that it has it.

    :raises StepFailed: it has another one in spite of that.
    """
    name = work.wanted_name()
    if name is None:
        return
    with work.pool_session() as session:
        if work.observe_pool(session).name == name:
            return
        work.point_of_no_return("the pool is being named")
        session.set_name(name)
        found = session.observe().name
    if found != name:
        raise StepFailed.of(
            "POOL_NAME_DIFFERS",
            f"The pool is named {found!r} although it was just given the name {name!r}.",
            "Somebody else renames it; find out who, then repeat the request.",
        )
