"""A request that takes effect once, however often it arrives.

The key and the answer are written in the transaction of the change. A second request with the key
waits at the unique index until the first has ended, and then reads its answer.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection

from nova_aggregates import exceptions, objects
from nova_aggregates.db import keys
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.exceptions import IdempotencyKeyReused, NovaAggregatesError
from nova_aggregates.objects import Once

LOG = logging.getLogger(__name__)
KEPT = datetime.timedelta(days=7)
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    answer: T
    replayed: bool  # the answer of an earlier request with the same key


@dataclasses.dataclass(frozen=True, slots=True)
class _Outcome:
    answer: Any
    fact: NovaAggregatesError | None = None
    replayed: bool = False


def run(database: Database, work: Callable[[Connection], T], once: Once | None) -> Done[T]:
    """What ``work`` returns or raises, done in one transaction; the stored answer when a request
    with this key has been here before.

    :raises IdempotencyKeyReused: that one had another body.
    """
    if once is None:
        return Done(database.run(work), replayed=False)
    outcome = database.run(lambda connection: _guarded(connection, work, once))
    if outcome.replayed:
        LOG.info("request.replayed scope=%s", once.scope)
    if outcome.fact is not None:
        raise outcome.fact
    return Done(outcome.answer, outcome.replayed)


def _guarded(connection: Connection, work: Callable[[Connection], Any], once: Once) -> _Outcome:
    slot = hashlib.sha256(f"{once.scope}\0{once.key}".encode(errors="surrogatepass")).hexdigest()
    digest = hashlib.sha256(once.digest.encode()).hexdigest()
    keys.forget(connection, utcnow() - KEPT, slot=slot)
    row = keys.find(connection, slot)
    if row is not None:
        if row.digest != digest:
            raise IdempotencyKeyReused(key=once.key)
        return dataclasses.replace(_restored(row.answer), replayed=True)
    keys.insert(connection, slot=slot, digest=digest, created_at=utcnow())
    outcome = _attempt(connection, work)
    keys.answer(connection, slot, _stored(outcome))
    return outcome


def _attempt(connection: Connection, work: Callable[[Connection], Any]) -> _Outcome:
    # Not as a context manager: after a deadlock there is no savepoint left to go back to, and the
    # error of trying would hide the one that says that the transaction may be run again.
    savepoint = connection.begin_nested()
    try:
        answer = work(connection)
    except NovaAggregatesError as fact:
        savepoint.rollback()
        return _Outcome(None, fact)
    savepoint.commit()
    return _Outcome(answer)


def _stored(outcome: _Outcome) -> dict[str, Any]:
    if outcome.fact is None:
        return {"answer": freeze(outcome.answer)}
    values = {name: _plain(value) for name, value in outcome.fact.values.items()}
    return {"fact": type(outcome.fact).__name__, "values": values}


def _restored(stored: Mapping[str, Any]) -> _Outcome:
    if "fact" not in stored:
        return _Outcome(thaw(stored["answer"]))
    kind = getattr(exceptions, stored["fact"], NovaAggregatesError)
    return _Outcome(None, kind(**stored["values"]))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def freeze(value: Any) -> Any:
    """``value``, made of the classes of ``nova_aggregates.objects``, as JSON."""
    if isinstance(value, enum.Enum):
        return {"#": type(value).__name__, "value": value.value}
    if isinstance(value, datetime.datetime):
        return {"#": "datetime", "value": value.isoformat()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: freeze(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"#": type(value).__name__, "value": fields}
    if isinstance(value, tuple):
        return {"#": "tuple", "value": [freeze(each) for each in value]}
    if isinstance(value, Mapping):
        return {"#": "mapping", "value": {key: freeze(each) for key, each in value.items()}}
    if isinstance(value, list):
        return [freeze(each) for each in value]
    return value


def thaw(stored: Any) -> Any:
    """What :func:`freeze` was given."""
    if isinstance(stored, list):
        return [thaw(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    kind, value = stored["#"], stored["value"]
    if kind == "datetime":
        return datetime.datetime.fromisoformat(value)
    if kind == "tuple":
        return tuple(thaw(each) for each in value)
    if kind == "mapping":
        return {key: thaw(each) for key, each in value.items()}
    named = getattr(objects, kind)
    if issubclass(named, enum.Enum):
        return named(value)
    # A field that another release stored must not make the answer unreadable.
    known = {field.name for field in dataclasses.fields(named)}
    return named(**{name: thaw(each) for name, each in value.items() if name in known})
