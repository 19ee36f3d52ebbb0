"""SIGKILL at any point of an import: repeated, it finishes; the pool is never touched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from nova_aggregates.objects import AggregateState, Credentials, HostStatus
from tests.functional.flows.truth import PoolTruth
from tests.resilience.kills import AtCall, AtCommit, Point, Rehearsal
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Manager
from tests.resilience.stage import PROMISE, Flow, Scene, Stage, start_anew
from tests.resilience.witness import Deed, Trap, is_changing

FEWEST = 12
IMPORT = Flow("import", 2, 2, lambda scene: pytest.fail("it is no request"))


class Import:
    """A pool of two that the service does not know."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.scene: Scene = stage.arrange(2)
        self.before: PoolTruth = stage.truth.pool(self.scene.members[0])
        stage.scene = None
        master = stage.site.host(self.scene.members[0])
        password = stage.directory / "password"
        password.write_text(master.password, encoding="utf-8")
        self.command = (
            *("pool", "import", "--address", master.address, "--port", str(master.port)),
            *("--user", master.username, "--password-file", str(password)),
            *("--fingerprint", master.fingerprint, "--zone", "east"),
        )

    def forget(self) -> None:
        start_anew(self.stage.database)
        self.stage.log.unlink(missing_ok=True)
        self.stage.trace.unlink(missing_ok=True)

    def rehearse(self) -> Rehearsal:
        self.forget()
        self.stage.site.witness.arm()
        self._over(self.stage.start(trace=True, command=self.command))
        calls = list(self.stage.site.witness.rest())
        lines = map(json.loads, self.stage.trace.read_text(encoding="utf-8").splitlines())
        return Rehearsal(IMPORT, calls, [(line["label"], line["number"]) for line in lines])

    def attempt(self, point: Point) -> tuple[bool, float]:
        """Whether it was killed, and the seconds from then to the end of the next one."""
        self.forget()
        witness = self.stage.site.witness
        if isinstance(point, AtCommit):
            witness.arm()
            first = self.stage.start(
                command=self.command,
                die_at=point.label,
                die_number=point.number,
                die_before=point.before,
            )
        else:
            assert isinstance(point, AtCall)
            trap = Trap(point.method, point.number, point.deed)
            first = self._into(trap)
        self._over(first)
        killed = "command.ended" not in self._log()
        since = time.monotonic()
        self._over(self.stage.start(command=self.command))
        seconds = time.monotonic() - since
        assert "command.ended code=0" in self._log()
        assert not [call for call in witness.rest() if is_changing(call.method)]
        self.judge()
        return killed, seconds

    def _into(self, trap: Trap) -> Manager:
        if trap.deed in (Deed.KILL_UNSENT, Deed.KILL_UNANSWERED):
            return self.stage.launch_into(trap, command=self.command)
        self.stage.site.witness.arm(trap)
        return self.stage.start(command=self.command)

    def judge(self) -> None:
        stage = self.stage
        assert stage.truth.pool(self.scene.members[0]) == self.before, "the pool was changed"
        (aggregate,) = stage.aggregates.index()
        assert (aggregate.name, aggregate.hosts) == (self.scene.name, self.scene.members)
        assert aggregate.state is AggregateState.ACTIVE
        pool = stage.pools.show(aggregate.id)
        assert pool is not None
        master = stage.site.host(self.scene.members[0])
        assert pool.xen_uuid == self.before.uuid
        assert pool.credentials == Credentials(master.username, master.password)
        hosts = stage.hosts.index()
        assert [(host.name, host.status) for host in hosts] == [
            (name, HostStatus.ENABLED) for name in self.scene.members
        ]
        assert pool.master_host_id == hosts[0].id

    def _log(self) -> str:
        return self.stage.log.read_text(encoding="utf-8") if self.stage.log.exists() else ""

    def _over(self, process: Manager) -> None:
        self.stage.wait_for(lambda: not process.alive, PROMISE, self._log)


@pytest.fixture
def unknown_pool(stage: Stage) -> Iterator[Import]:
    yield Import(stage)
    stage.launcher.kill_all()


@pytest.mark.timeout(1800)
def test_killed_anywhere_an_import_can_be_repeated(unknown_pool: Import, ledger: Ledger) -> None:
    rehearsal = unknown_pool.rehearse()
    unknown_pool.judge()
    count = ledger.of("imports killed")
    for point in rehearsal.points():
        try:
            killed, seconds = unknown_pool.attempt(point)
        except AssertionError as error:
            count.lose(f"{point.what}: {error}")
        else:
            count.ended(seconds, reached=killed)
    assert not count.lost, "\n\n".join(count.lost)
    assert count.tried >= FEWEST
    assert count.not_reached == 0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("deed", [Deed.DROP_BEFORE, Deed.DROP_AFTER])
def test_an_import_whose_calls_are_lost(unknown_pool: Import, ledger: Ledger, deed: Deed) -> None:
    """It ends, as done or with one line that says why not; repeated, it is done."""
    rehearsal = unknown_pool.rehearse()
    count = ledger.of(f"import, {deed.value}")
    for method, number in rehearsal.numbered_calls():
        point = AtCall(IMPORT, f"{deed.name.lower()} at {method} ({number})", method, number, deed)
        try:
            killed, seconds = unknown_pool.attempt(point)
            assert not killed
        except AssertionError as error:
            count.lose(f"{point.what}: {error}")
        else:
            count.ended(seconds)
    assert not count.lost, "\n\n".join(count.lost)
