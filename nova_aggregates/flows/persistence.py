"""TaskFlow's logbooks in the service's own database: one book an operation, under its uuid.

TaskFlow writes between the steps, while other operations write too; what it cannot write because
of a lock, a deadlock or a broken connection is written again here, for it has no retry itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from taskflow import exceptions
from taskflow.persistence import models
from taskflow.persistence.backends import impl_sqlalchemy

from nova_aggregates.db.engine import Database
from nova_aggregates.db.trouble import Trouble, as_fact, trouble_of

T = TypeVar("T")
ATTEMPTS = 10
PASSING = (Trouble.CONFLICT, Trouble.LOST, Trouble.MOVED)


class _Connection(impl_sqlalchemy.Connection):
    """Stateless, so one serves all engines of the process."""

    def update_atom_details(self, atom_detail: Any) -> Any:
        return _stubborn(lambda: super(_Connection, self).update_atom_details(atom_detail))

    def update_flow_details(self, flow_detail: Any) -> Any:
        return _stubborn(lambda: super(_Connection, self).update_flow_details(flow_detail))

    def save_logbook(self, book: Any) -> Any:
        return _stubborn(lambda: super(_Connection, self).save_logbook(book))

    def destroy_logbook(self, book_uuid: str) -> None:
        _stubborn(lambda: super(_Connection, self).destroy_logbook(book_uuid))

    def get_logbook(self, book_uuid: str, lazy: bool = False) -> Any:
        return _stubborn(lambda: super(_Connection, self).get_logbook(book_uuid, lazy=lazy))


class _Backend(impl_sqlalchemy.SQLAlchemyBackend):
    def __init__(self, database: Database) -> None:
        # An empty configuration: the engine comes with all its settings.
        super().__init__({}, engine=database.engine)
        self._connection = _Connection(self, upgrade_lock=self._upgrade_lock)

    def get_connection(self) -> _Connection:
        return self._connection


def _stubborn(call: Callable[[], T]) -> T:
    """Run ``call`` until it gets through.

    :raises DatabaseUnavailable: the database cannot be reached.
    """
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except exceptions.StorageFailure as failure:
            cause = failure.__cause__
            if not isinstance(cause, SQLAlchemyError):
                raise
            if trouble_of(cause) not in PASSING or attempt == ATTEMPTS - 1:
                raise as_fact(cause) from cause
        except SQLAlchemyError as error:
            if trouble_of(error) not in PASSING or attempt == ATTEMPTS - 1:
                raise as_fact(error) from error
        time.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.5)))  # noqa: S311
    raise AssertionError("unreachable")


class Logbooks:
    """Where each operation stands, for whoever goes on with it."""

    def __init__(self, database: Database) -> None:
        self.backend = _Backend(database)

    def open(self, operation: str, flow: str) -> models.FlowDetail:
        """The page of the operation, new or as an earlier run left it. A page of another flow is
        replaced: every flow may begin anew at any time.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        connection = self.backend.get_connection()
        try:
            book = connection.get_logbook(operation)
        except exceptions.NotFound:
            book = models.LogBook(operation, uuid=operation)
        for page in book:
            if page.name == flow:
                return page
        if len(book):
            self.close(operation)
            book = models.LogBook(operation, uuid=operation)
        page = models.FlowDetail(flow, uuid=operation)
        book.add(page)
        connection.save_logbook(book)
        return page

    def close(self, operation: str) -> None:
        """The operation has ended; its record tells what there is to tell."""
        try:
            self.backend.get_connection().destroy_logbook(operation)
        except exceptions.NotFound:
            return

    def left_open(self) -> Iterator[str]:
        """Operations that have a book: unfinished, or their manager died right after the end."""
        for book in self.backend.get_connection().get_logbooks(lazy=True):
            yield book.uuid
