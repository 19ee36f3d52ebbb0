"""Managers as real processes that come up within milliseconds and can be told where to die.

``python -m tests.resilience.launcher`` imports everything once and then forks a manager for every
line of JSON that it reads (see :class:`tests.resilience.processes.Launcher`). A manager is the
service's own :class:`ManagerService`, unchanged; where it shall die, or what it did, is found by
listening to SQLAlchemy's public events from outside of it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from nova_aggregates import conf as options
from nova_aggregates.cmd import manage
from nova_aggregates.flows.service import ManagerService

WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", re.IGNORECASE)
WHICH = re.compile(r'"(step|call)":\s*"([\w.]+)"')
OPERATION_THREAD = "operation-"  # how the runner names the threads that run operations
ORPHAN_SECONDS = 1.0  # between two looks whether the launcher is still there


@dataclasses.dataclass(frozen=True)
class Order:
    """What a manager is started with."""

    config: str  # file
    log: str
    trace: str | None = None  # file for a line a committed transaction
    die_at: str | None = None  # label of a transaction
    die_number: int = 1  # the how-manieth of that label
    die_before: bool = False  # its commit, else after it
    paused: bool = False  # until SIGUSR1
    debug: bool = False  # all that any library tells goes to the log
    # Arguments of nova-aggregates-manage, which then runs in the place of a manager.
    command: Sequence[str] = ()


class Transactions:
    """Names every transaction that an operation's thread commits, and kills at one of them."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._trace = open(order.trace, "a", encoding="utf-8") if order.trace else None  # noqa: SIM115
        self._numbers: Counter[str] = Counter()

    def listen(self) -> None:
        event.listen(Engine, "begin", self._begun)
        event.listen(Engine, "before_cursor_execute", self._execute)
        event.listen(Engine, "commit", self._committing)
        event.listen(sa.pool.Pool, "checkin", self._returned)

    def _begun(self, connection: Connection) -> None:
        connection.info.pop("tables", None)
        connection.info.pop("committed", None)

    def _execute(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, *_more: Any
    ) -> None:
        found = WRITES.match(statement)
        thread = threading.current_thread().name
        if found is None or not (self._order.command or thread.startswith(OPERATION_THREAD)):
            return
        names = connection.info.setdefault("tables", [])
        # The audit trail's row says what the transaction is for.
        which = WHICH.search(str(parameters)) if found[1] == "operation_events" else None
        name = f"{which[1]}:{which[2]}" if which else found[1]
        if name not in names:
            names.append(name)

    def _committing(self, connection: Connection) -> None:
        names = connection.info.pop("tables", None)
        if not names:
            return
        label = "+".join(names)
        self._numbers[label] += 1
        number = self._numbers[label]
        if self._trace is not None:
            line = json.dumps({"at": time.monotonic(), "label": label, "number": number})
            print(line, file=self._trace, flush=True)
        if self._order.die_at == label and self._order.die_number == number:
            if self._order.die_before:
                os.kill(os.getpid(), signal.SIGKILL)
            connection.info["committed"] = True

    def _returned(self, _raw: Any, record: Any) -> None:
        # A connection goes back to its pool after the commit.
        if record.info.get("committed"):
            os.kill(os.getpid(), signal.SIGKILL)


def without_fsync(connection: Any, _record: object) -> None:
    """Only a power failure would tell the difference."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF").close()


def run(order: Order) -> None:
    """Become a manager until a signal comes, or the one command."""
    logging.basicConfig(
        filename=order.log,
        level=logging.DEBUG if order.debug else logging.INFO,
        format="%(asctime)s %(process)d %(threadName)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    if order.paused:
        signal.sigwait({signal.SIGUSR1})
    event.listen(sa.pool.Pool, "connect", without_fsync)
    Transactions(order).listen()
    if order.command:
        sys.stdout = sys.stderr  # the parent answers on the other one
        code = manage.main(["--config-file", order.config, *order.command])
        logging.info("command.ended code=%s", code)
    else:
        run_manager(order)


def run_manager(order: Order) -> None:
    """SIGTERM stops it as it should."""
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf(["--config-file", order.config], project="nova-aggregates")
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    service = ManagerService(conf)
    service.start()
    launcher = os.getppid()
    while not over.wait(ORPHAN_SECONDS) and os.getppid() == launcher:
        pass
    service.stop()
    service.wait()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no zombie stays
    for line in sys.stdin:
        order = Order(**json.loads(line))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 0
            try:
                sys.stdin.close()
                run(order)
            except BaseException:  # noqa: BLE001 the parent's loop must not go on in a child
                code = 1
                with Path(order.log).open("a", encoding="utf-8") as log:
                    traceback.print_exc(file=log)
            os._exit(code)
        print(child, flush=True)


if __name__ == "__main__":
    main()
