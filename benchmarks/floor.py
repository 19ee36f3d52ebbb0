"""The least that eventlet can spend: stored bytes, and one indexed SELECT for a show."""

from __future__ import annotations

# isort: off
import warnings

warnings.filterwarnings("ignore", message=r"(?s).*[Ee]ventlet")
import eventlet  # noqa: E402

eventlet.monkey_patch()
# isort: on

import json  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from typing import Any  # noqa: E402

import eventlet.wsgi  # noqa: E402

from nova_aggregates.api.microversion import LEGACY  # noqa: E402
from nova_aggregates.api.views import aggregates as views  # noqa: E402
from nova_aggregates.db.engine import Database  # noqa: E402
from nova_aggregates.db.shelf import Shelf  # noqa: E402

QUERY = "SELECT generation FROM aggregates WHERE id = "


class Floor:
    """Answers like the service, from a copy that it made at its start."""

    def __init__(self, url: str) -> None:
        database = Database(url)
        found = Shelf(database).fetch_live()
        self._list = json.dumps(views.index(found, LEGACY)).encode()
        self._one = {each.id: json.dumps(views.show(each, LEGACY)).encode() for each in found}
        self._connect = database.engine.raw_connection
        self._idle: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        tail = environ["PATH_INFO"].rpartition("/")[2]
        body = self._list
        if tail.isdigit():
            connection = self._idle.pop() if self._idle else self._connect()
            cursor = connection.cursor()
            cursor.execute(QUERY + tail)
            cursor.fetchone()
            cursor.close()
            self._idle.append(connection)
            body = self._one[int(tail)]
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]


def main(port: int, url: str) -> None:
    listener = eventlet.listen(("127.0.0.1", port), backlog=128)
    # Accepted connections inherit it; the list would wait 40 ms for an acknowledgement otherwise.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    eventlet.wsgi.server(listener, Floor(url), log_output=False, debug=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
