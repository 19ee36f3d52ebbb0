"""What can go wrong around a manager that lives on."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.resilience.kills import AtCall, Rehearsal, Tried
from tests.resilience.stage import FLOWS, Stage
from tests.resilience.witness import Deed, Trap, is_changing

ALONE = ("add_host first", "rename_pool", "remove_host last")
REPEATING = ("cancel", "retry")
Cut = Callable[[], None]


@dataclasses.dataclass(frozen=True)
class Cutter:
    """How to take the database away: ``cut`` at once; ``mend`` when the point has been reached."""

    cut: Cut
    mend: Cut


def points(rehearsal: Rehearsal, deed: Deed, reads: int | None) -> Iterator[AtCall]:
    """Each changing call, and ``reads`` (None: all) of those that only read."""
    calls = list(rehearsal.numbered_calls())
    reading = [call for call in calls if not is_changing(call[0])]
    if reads is not None:
        stride = max(1, len(reading) // max(1, reads))
        reading = reading[stride // 2 :: stride][:reads]
    for method, number in calls:
        if is_changing(method) or (method, number) in reading:
            what = f"{deed.name.lower()} at {method} ({number})"
            yield AtCall(rehearsal.flow, what, method, number, deed)


def try_fault(stage: Stage, point: AtCall, cutter: Cutter | None = None) -> Tried:
    """One fault while one manager works.

    :raises AssertionError: the operation or something else was lost.
    """
    play = point.flow.play(stage.arrange(point.flow.members))
    operation = stage.request(play)
    master = (*play.before.members, play.subject)[0]
    host = {Deed.RESTART_MASTER: master, Deed.RESTART_JOINER: play.subject}.get(point.deed, "")
    witness = stage.site.witness
    witness.arm(
        Trap(
            point.method,
            point.number,
            point.deed,
            host=host,
            cut=cutter.cut if cutter is not None else None,
        )
    )
    stage.start()
    stage.wait_for(
        lambda: witness.sprung.is_set() or stage.operations.show(operation.uuid).state.ended,
        30,
        lambda: stage.told(stage.operations.show(operation.uuid)),
    )
    reached = witness.sprung.is_set()
    since = time.monotonic()
    if cutter is not None and reached:
        cutter.mend()
    stage.ended(operation.uuid)
    seconds = time.monotonic() - since
    stage.judge(play, witness.rest(), may_fail=True, broken_off=bool(host))
    return Tried(point, reached, seconds)


def in_turn(rehearsals: list[Rehearsal], deed: Deed, reads: int | None) -> list[AtCall]:
    assert [each.flow for each in rehearsals] == list(FLOWS)
    return [
        point
        for each in rehearsals
        # The calls of these are those of others.
        if not (reads is not None and each.flow.name in REPEATING)
        # Where there is but one host, it is the master.
        if not (deed is Deed.RESTART_JOINER and each.flow.name in ALONE)
        for point in points(each, deed, reads)
    ]


@contextlib.contextmanager
def locked_sqlite(stage: Stage, seconds: float) -> Iterator[Cutter]:
    """Another program holds SQLite's write lock for that long."""
    other = sqlite3.connect(
        make_url(stage.url).database or "", isolation_level=None, check_same_thread=False
    )
    over = threading.Event()

    def cut() -> None:
        other.execute("BEGIN IMMEDIATE").close()

    def mend() -> None:
        over.wait(seconds)  # nobody sets it: this is how long the fault lasts
        other.execute("ROLLBACK").close()

    try:
        yield Cutter(cut, mend)
    finally:
        other.close()


@contextlib.contextmanager
def terminated_postgresql(stage: Stage) -> Iterator[Cutter]:
    """The server ends every other connection to the database."""
    engine = sa.create_engine(stage.url, isolation_level="AUTOCOMMIT", future=True)
    with engine.connect() as connection:

        def cut() -> None:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

        yield Cutter(cut, lambda: None)
    engine.dispose()
