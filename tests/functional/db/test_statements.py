"""How many statements a request costs: as many for a thousand members or aggregates as for ten.

SQLite tells every statement that reaches it; the code is the same for the other databases.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event

from benchmarks.seed import ZONE, DataSet, free_host, seed
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from tests.functional.db.conftest import WHO, Site

READS, WRITES = 3, 20  # statements at most
SIZES = {
    "ten members": DataSet(aggregates=3, hosts=10),
    "a thousand members": DataSet(aggregates=3, hosts=1000),
    "ten aggregates": DataSet(aggregates=10, hosts=2),
    "a thousand aggregates": DataSet(aggregates=1000, hosts=2),
}
METADATA = {f"key{number:02d}": "new" for number in range(50)}

CALLS: dict[str, tuple[int, Callable[[Site], object]]] = {
    "index": (READS, lambda site: (site.aggregates.generation(), site.aggregates.index())),
    "index in a zone": (READS, lambda site: site.aggregates.index(availability_zone=ZONE)),
    "show": (READS, lambda site: (site.aggregates.generation_of(1), site.aggregates.show(1))),
    "unchanged": (1, lambda site: site.aggregates.generation()),
    "create": (
        WRITES,
        lambda site: site.aggregates.create(
            WHO, name="new", availability_zone=ZONE, metadata=METADATA
        ),
    ),
    "set_metadata": (WRITES, lambda site: site.aggregates.set_metadata(WHO, 1, METADATA)),
    "rename": (WRITES, lambda site: site.aggregates.update(WHO, 1, name="renamed")),
    "add_host": (WRITES, lambda site: site.aggregates.add_host(WHO, 1, free_host(1))),
    "remove_host": (WRITES, lambda site: site.aggregates.remove_host(WHO, 1, "host-00001")),
}


@pytest.fixture(scope="module", params=SIZES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('statements') / 'it.sqlite'}"
    migration.sync(url)
    seed(url, SIZES[request.param])
    return url


@pytest.fixture
def counted(url: str, box: SecretBox) -> Iterator[tuple[Site, list[str]]]:
    """The managers, and what they send (beginning and end of transactions apart)."""
    sent: list[str] = []

    def note(text: str) -> None:
        if text.startswith("INSERT") and sent and sent[-1].startswith(text.split("VALUES")[0]):
            return  # many rows at once, which is one statement where there is a network
        if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            sent.append(text)

    def listen(raw: sqlite3.Connection, _record: object) -> None:
        raw.set_trace_callback(note)

    database = Database(url)
    event.listen(database.engine, "connect", listen)
    yield Site.over(database, box), sent
    database.dispose()


@pytest.mark.parametrize("name", CALLS)
def test_statements_are_few_whatever_the_size(
    counted: tuple[Site, list[str]], url: str, name: str
) -> None:
    site, sent = counted
    most, call = CALLS[name]
    call(site)
    assert 1 <= len(sent) <= most, "\n".join(sent)


def test_what_is_not_changed_is_not_read_again(counted: tuple[Site, list[str]]) -> None:
    site, sent = counted
    site.aggregates.index()
    site.aggregates.set_metadata(WHO, 2, {"another": "x"})
    sent.clear()
    found = site.aggregates.index()
    assert len(sent) == 2
    assert "IN (2)" in sent[1]
    assert next(each for each in found if each.id == 2).metadata["another"] == "x"
