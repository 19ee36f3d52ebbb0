"""A process under eventlet with a watchdog: ``python -m tests.functional.db.hub URL``.

Prints how long the longest turn of the hub was while a long list was read and rendered (in
milliseconds of CPU time, which other processes of the machine do not lengthen), and how often the
watchdog had its turn while the database let a query wait.
"""

from __future__ import annotations

# isort: off
import warnings

warnings.filterwarnings("ignore", message=r"(?s).*[Ee]ventlet")
import eventlet  # noqa: E402

eventlet.monkey_patch()
# isort: on

import gc  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import sqlalchemy as sa  # noqa: E402

from nova_aggregates.api import serialization  # noqa: E402
from nova_aggregates.api.microversion import LEGACY  # noqa: E402
from nova_aggregates.api.views import aggregates as views  # noqa: E402
from nova_aggregates.db.engine import Database  # noqa: E402
from nova_aggregates.db.shelf import Shelf  # noqa: E402

SLOW = {
    "postgresql": "SELECT pg_sleep(0.5)",
    "mysql": "SELECT SLEEP(0.5)",
}


class Watchdog:
    def __init__(self) -> None:
        self.turns = 0
        self.longest = 0.0
        self._last = time.thread_time()
        eventlet.spawn_n(self._watch)

    def reset(self) -> None:
        self.turns, self.longest, self._last = 0, 0.0, time.thread_time()

    def _watch(self) -> None:
        while True:
            now = time.thread_time()
            self.longest = max(self.longest, now - self._last)
            self.turns += 1
            self._last = now
            eventlet.sleep(0)


def longest_turn(database: Database, watchdog: Watchdog) -> float:
    shelf = Shelf(database)
    gc.collect()
    watchdog.reset()
    found = shelf.fetch_live()
    document = views.index(found, LEGACY)
    eventlet.sleep(0)
    serialization.render(document, {"PATH_INFO": ""}, {})
    eventlet.sleep(0)
    return 1000 * watchdog.longest


def turns_while_waiting(database: Database, watchdog: Watchdog) -> int:
    kind = database.engine.dialect.name
    if kind not in SLOW:
        return -1
    watchdog.reset()
    database.query(lambda connection: connection.execute(sa.text(SLOW[kind])).all())
    return watchdog.turns


def main(url: str) -> None:
    database = Database(url)
    watchdog = Watchdog()
    eventlet.sleep(0)
    database.query(lambda connection: connection.execute(sa.text("SELECT 1")))
    turns = turns_while_waiting(database, watchdog)
    # The first one compiles and imports.
    longest = min(longest_turn(database, watchdog) for _ in range(4))
    print(json.dumps({"longest_ms": longest, "turns_while_waiting": turns}))


if __name__ == "__main__":
    main(sys.argv[1])
