"""schemathesis on the served description: no 500, no answer that the description does not have.

One test an operation; the longer run is: pytest tests/fuzz --fuzz-examples 500
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nova_aggregates.api.controllers import preflight
from tests.functional.api.running import TOKEN, RunningApi, host_body, running
from tests.fuzz.conftest import BOUNDED

load_all_checks()

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
VERSION = "X-OpenStack-Nova-API-Version"
MICROVERSIONS = ["2.1", "latest"]
NAMES = ["host1", "host2", "host3", "1", "2", "blue", "nothing"]
ZONE = "z"
# What schemathesis makes up seldom meets something that exists; these do.
KNOWN = st.sampled_from(NAMES)
ENDLESS = ("/os-operations/events",)


@pytest.fixture(scope="module")
def api() -> Iterator[RunningApi]:
    with pytest.MonkeyPatch.context() as patch, running() as api:
        # There is no manager that a look could be waited for.
        patch.setattr(preflight, "WAIT_SECONDS", 0.05)
        for number in (1, 2, 3):
            requests.post(
                f"{api.base}/os-hosts",
                json=host_body(f"host{number}", number, ZONE),
                headers=TOKEN,
                timeout=60,
            ).raise_for_status()
        for name in ("blue", "green"):
            body = {"aggregate": {"name": name, "availability_zone": ZONE}}
            requests.post(
                f"{api.base}/os-aggregates", json=body, headers=TOKEN, timeout=60
            ).raise_for_status()
        yield api


@pytest.fixture(scope="module", params=MICROVERSIONS)
def description(api: RunningApi, request: pytest.FixtureRequest) -> Any:
    url = f"{api.url}/v2.1"
    headers = {**TOKEN, VERSION: request.param}
    document = requests.get(f"{url}/openapi.json", headers=headers, timeout=60).json()
    # Every request has a good token; schemathesis would make up others.
    del document["security"], document["components"]["securitySchemes"]
    description = schemathesis.openapi.from_dict(document)
    description.config.update(base_url=url)
    return description


@pytest.fixture
def version(description: Any) -> str:
    return str(description.raw_schema["info"]["version"])


def fuzz(operation: Any, mode: Any, session: requests.Session, examples: int) -> int:
    """How many requests were sent."""
    count = 0

    @settings(settings.get_profile("fuzz"), max_examples=examples)
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def one(case: Any, data: st.DataObject) -> None:
        nonlocal count
        for name in case.path_parameters or {}:
            if data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(KNOWN)
        # The one of the session; what is wrong with it is tested elsewhere.
        case.headers.pop("OpenStack-API-Version", None)
        response = case.call(session=session, timeout=60)
        count += 1
        case.validate_response(response, checks=CHECKS)

    # Not everything can be asked for in a wrong way.
    with contextlib.suppress(Unsatisfiable):
        one()
    return count


def modes(operation: Any) -> list[Any]:
    """A path can only be asked for in the right way: any text is one."""
    both = list(schemathesis.GenerationMode)
    return both if operation.body or operation.query else [schemathesis.GenerationMode.POSITIVE]


@pytest.mark.timeout(3600)
def test_every_operation(api: RunningApi, description: Any, version: str, examples: int) -> None:
    del api
    counts: dict[str, int] = {}
    share = examples if examples > BOUNDED else BOUNDED // 20
    with requests.Session() as session:
        session.headers.update({**TOKEN, VERSION: version})
        for found in description.get_all_operations():
            operation = found.ok()
            if operation.path.endswith(ENDLESS):
                continue
            for mode in modes(operation):
                key = f"{operation.method.upper()} {operation.path}"
                counts[key] = counts.get(key, 0) + fuzz(operation, mode, session, share)
    print(f"fuzzed: {sum(counts.values())} requests, {len(counts)} operations")
    assert min(counts.values()) > 0, counts
    assert len(counts) > 10
