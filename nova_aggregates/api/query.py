"""Query strings against JSON schemas, as the rows of EXCHANGES have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import webob

from nova_aggregates.api.faults import Fault
from nova_aggregates.api.text import ILLEGAL
from nova_aggregates.api.validation import SHOWN, Validator

Schema = dict[str, Any]

_INTEGER = re.compile(r"[0-9]{1,18}\Z")


class Query:
    """:param parameters: the schema of each, by name. An array stands for one that may be repeated.
    :param closed: whether other parameters are refused; else they are ignored, as Nova always did.
    """

    def __init__(self, parameters: Mapping[str, Schema], *, closed: bool = False) -> None:
        self.parameters = dict(parameters)
        self.closed = closed
        self._validator = Validator(
            {
                "type": "object",
                "properties": {
                    name: {"description": "a known parameter", **schema}
                    for name, schema in parameters.items()
                },
            }
        )

    def read(self, request: webob.Request) -> dict[str, Any]:
        """The parameters that were given, as their schemas type them.

        :raises Fault: 400, which names the parameter.
        """
        if not request.query_string:
            return {}
        try:
            given = request.GET.mixed()
        except UnicodeDecodeError:
            raise Fault(400, "The query string is not UTF-8.") from None
        if self.closed:
            self._refuse_unknown(given)
        found = {
            name: _typed(name, given[name], schema)
            for name, schema in self.parameters.items()
            if name in given
        }
        self._validator.check(found)
        return found

    def _refuse_unknown(self, given: Mapping[str, Any]) -> None:
        unknown = sorted(name[:SHOWN] for name in given if name not in self.parameters)
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise Fault(
                400, f"Unknown parameters of the query: {', '.join(unknown[:5])}. Known: {known}."
            )


def _typed(name: str, value: Any, schema: Schema) -> Any:
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if ILLEGAL.search(text):
            raise Fault(400, f"The parameter {name} contains control characters.")
    if schema.get("type") == "array":
        return texts
    # Of a parameter that is repeated the last one counts, as WebOb's own ``get`` has it.
    text = texts[-1]
    return int(text) if schema.get("type") == "integer" and _INTEGER.match(text) else text


NONE = Query({})
CLOSED = Query({}, closed=True)
