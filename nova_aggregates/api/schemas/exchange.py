"""What one method of one path takes and gives: the rows of the table EXCHANGES."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nova_aggregates.api.microversion import Version, Versioned
from nova_aggregates.api.query import NONE, Query
from nova_aggregates.api.validation import Validator

Schema = dict[str, Any]

ANYTHING: Schema = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """:param summary: one line for people.
    :param answers: the schema of each successful answer by its status; None has no body.
    :param query: the parameters of the query string.
    :param body: of the request; None when nothing is read.
    :param streams: an answer is a stream of server-sent events.
    """

    summary: str
    answers: Mapping[int, Schema | Versioned[Schema] | None]
    body: Validator | Versioned[Validator] | None = None
    query: Query | Versioned[Query] = NONE
    streams: bool = False

    def answer(self, status: int, version: Version) -> Schema:
        schema = self.answers[status]
        return (schema.at(version) if isinstance(schema, Versioned) else schema) or ANYTHING
