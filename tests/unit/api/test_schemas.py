"""The table of requests and answers, against the route table and JSON Schema itself."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from nova_aggregates.api.microversion import EVERY, LEGACY, MINIMUM, Version, Versioned, at
from nova_aggregates.api.query import NONE
from nova_aggregates.api.router import COMPUTE
from nova_aggregates.api.schemas import EXCHANGES, Exchange
from nova_aggregates.api.schemas.faults import FAULT

ROUTES = {
    f"{method} {template}": handler
    for template, methods in COMPUTE
    for method, handler in methods.items()
}


def schemas(exchange: Exchange, version: Version) -> list[Any]:
    answers = [at(answer, version) for answer in exchange.answers.values()]  # type: ignore
    body = exchange.body and at(exchange.body, version)
    return [schema for schema in (*answers, body and body.schema) if schema is not None]


def test_one_row_for_each_route() -> None:
    assert set(EXCHANGES) == set(ROUTES)


@pytest.mark.parametrize("name", EXCHANGES)
def test_schemas_are_schemas(name: str) -> None:
    exchange = EXCHANGES[name]
    assert exchange.summary.endswith(".")
    for version in EVERY:
        for schema in schemas(exchange, version):
            jsonschema.Draft202012Validator.check_schema(schema)
            json.dumps(schema)
        assert at(exchange.query, version) or exchange.query or NONE


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name.split()[0] != "GET"])
def test_requests_with_bodies_have_them_wherever_they_exist(name: str) -> None:
    exchange = EXCHANGES[name]
    if exchange.body is None:
        assert name.startswith("DELETE ")
        return
    for version in EVERY:
        if at(ROUTES[name], version) is not None:
            assert at(exchange.body, version) is not None


def objects_in(schema: Any) -> Any:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


@pytest.mark.parametrize("name", EXCHANGES)
def test_answers_are_closed(name: str) -> None:
    for answer in EXCHANGES[name].answers.values():
        for version in (LEGACY, MINIMUM):
            for found in objects_in(at(answer, version)):  # type: ignore[type-var]
                assert found["additionalProperties"] is False
    for found in objects_in(FAULT):
        assert found["additionalProperties"] is False


def test_versioned() -> None:
    value = Versioned({Version(2, 41): "c", LEGACY: "a", MINIMUM: "b", Version(2, 100): None})
    assert [value.at(version) for version in (LEGACY, MINIMUM, Version(2, 40))] == ["a", "b", "b"]
    assert value.at(Version(2, 41)) == value[Version(2, 99)] == "c"
    assert value.at(Version(2, 100)) is value.at(EVERY[-1]) is None
    with pytest.raises(KeyError):
        value[Version(2, 100)]
    assert value.map(str.upper).values == {
        LEGACY: "A",
        MINIMUM: "B",
        Version(2, 41): "C",
        Version(2, 100): None,
    }
