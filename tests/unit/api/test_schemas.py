"""The table of requests and answers, against the route table and JSON Schema itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import webob

from nova_aggregates.api import openapi
from nova_aggregates.api.microversion import EVERY, LEGACY, MINIMUM, Version, Versioned, at
from nova_aggregates.api.query import NONE
from nova_aggregates.api.router import COMPUTE
from nova_aggregates.api.schemas import EXCHANGES, Exchange
from nova_aggregates.api.schemas.faults import FAULT
from tests.unit.api import site

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


# OpenAPI


@pytest.mark.parametrize("version", [LEGACY, MINIMUM, EVERY[-1]])
def test_openapi_documents(version: Version) -> None:
    document = openapi.document(COMPUTE, version)
    assert document["info"]["version"] == str(version)
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names.add(operation["operationId"])
            in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            for response in operation["responses"].values():
                assert response == openapi.FAULT_REFERENCE or response["description"]
            assert ("requestBody" in operation) == (method in ("post", "put"))
    assert len(names) == sum(len(operations) for operations in document["paths"].values())
    json.dumps(document)


def test_openapi_tells_what_a_version_has() -> None:
    def images(version: Version) -> bool:
        return any(path.endswith("/images") for path in openapi.document(COMPUTE, version)["paths"])

    assert [images(version) for version in (LEGACY, Version(2, 80), Version(2, 81))] == [
        False,
        False,
        True,
    ]
    legacy = openapi.document(COMPUTE, LEGACY)["paths"]["/{project}/os-aggregates"]["get"]
    assert set(legacy["responses"]["200"]["content"]) == {"application/json", "application/xml"}
    newest = openapi.document(COMPUTE, EVERY[-1])["paths"]["/os-aggregates"]["get"]
    assert set(newest["responses"]["200"]["content"]) == {"application/json"}


@pytest.mark.parametrize("path", ["/v2.1/openapi.json", "/v1.1/openapi.json", "/v2/openapi.json"])
def test_openapi_is_served_without_a_token(tmp_path: Path, path: str) -> None:
    app = site.application(tmp_path, AssertionError("the manager was reached"))
    request = webob.Request.blank(path, headers={"Accept": "application/xml"})
    answer = request.get_response(app)
    assert answer.status_int == 200, answer.text
    assert answer.content_type == "application/json"
    assert answer.json["servers"] == [{"url": f"http://localhost{path.rpartition('/')[0]}"}]
    again = {"Accept": "application/xml", "If-None-Match": answer.headers["ETag"]}
    assert webob.Request.blank(path, headers=again).get_response(app).status_int == 304
