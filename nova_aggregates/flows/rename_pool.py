"""rename_pool: the pool's label follows the aggregate's name."""

from __future__ import annotations

import dataclasses

from taskflow.patterns import linear_flow

from nova_aggregates.flows.add_host import name_pool
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work

NAME = "rename_pool"


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(FindPool(work), Rename(work))


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """What the steps know of the pool."""

    pool_uuid: str | None  # None: it was dissolved meanwhile, so there is nothing to name


class FindPool(Learn):
    label = "find_pool"
    percent = 10

    def learn(self) -> Naming:
        pool = self.work.pool()
        return Naming(pool.xen_uuid if pool else None)


class Rename(Act[Naming]):
    label = "name_pool"
    percent = 40
    repeatable = True
    facts_type = Naming

    def needed(self, facts: Naming) -> bool:
        return facts.pool_uuid is not None

    def act(self, facts: Naming) -> None:
        name_pool(self.work)
