"""Whatever a client sends as a body, the answer is one of the contract's."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functional.api.running import TOKEN, RunningApi, running

FUZZ = settings.get_profile("fuzz")
DOCUMENTS = 1000
GROWTH_KB = 32 * 1024  # of the whole process, which has the server and the test in it
JSON = {"Content-Type": "application/json"}
XML = {"Content-Type": "application/xml"}

names = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
bodies = st.one_of(
    values,
    st.fixed_dictionaries({"aggregate": values}),
    st.fixed_dictionaries(
        {"aggregate": st.fixed_dictionaries({"name": values, "availability_zone": values})}
    ),
    st.fixed_dictionaries({"add_host": st.fixed_dictionaries({"host": values})}),
    st.fixed_dictionaries({"set_metadata": st.fixed_dictionaries({"metadata": values})}),
)


@pytest.fixture(scope="module")
def api() -> Iterator[RunningApi]:
    with running() as api:
        yield api


@pytest.fixture(scope="module")
def post(api: RunningApi) -> Callable[..., requests.Response]:
    session = requests.Session()
    session.headers.update(TOKEN)

    def post(body: bytes, kind: dict[str, str], path: str = "/os-aggregates") -> requests.Response:
        return session.post(api.base + path, data=body, headers=kind, timeout=60)

    return post


def check(answer: requests.Response) -> None:
    assert answer.status_code in (200, 400, 404, 409), (answer.status_code, answer.text)
    if answer.status_code != 200:
        ((_, fault),) = answer.json().items()
        assert fault["code"] == answer.status_code
        assert fault["message"]


PATHS = ("/os-aggregates", "/os-aggregates/1/action", "/os-hosts", "/os-operations/x/action")


@FUZZ
@given(body=bodies, path=st.sampled_from(PATHS))
def test_json(post: Callable[..., requests.Response], body: Any, path: str) -> None:
    check(post(json.dumps(body).encode(), JSON, path))


@FUZZ
@given(body=st.binary(max_size=300), path=st.sampled_from(PATHS))
def test_bytes(post: Callable[..., requests.Response], body: bytes, path: str) -> None:
    for kind in (JSON, XML):
        check(post(body, {**kind, "Accept": "application/json"}, path))


def laughs(chance: random.Random) -> bytes:
    depth = chance.randint(2, 12)
    lines = "".join(
        f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, depth)
    )
    return f'<!DOCTYPE a [<!ENTITY e0 "ha">{lines}]><aggregate name="&e{depth - 1};"/>'.encode()


def external(chance: random.Random) -> bytes:
    where = chance.choice(["file:///etc/passwd", "http://127.0.0.1:1/", "/dev/zero", "ftp://x/"])
    kind = chance.choice(["SYSTEM", 'PUBLIC "x"'])
    declared = chance.choice(
        [f'<!ENTITY x {kind} "{where}">', f'<!ENTITY % x {kind} "{where}"> %x;']
    )
    return f'<!DOCTYPE a [{declared}]><aggregate name="&x;" availability_zone="z"/>'.encode()


def deep(chance: random.Random) -> bytes:
    depth = chance.randint(300, 15_000)
    return b"<a>" * depth + b"</a>" * chance.choice([0, depth])


def encoded(chance: random.Random) -> bytes:
    name = chance.choice(["utf-16", "utf-32", "ebcdic-cp-us", "utf-7", "no-such-code", "ascii"])
    text = f'<?xml version="1.0" encoding="{name}"?><aggregate name="ä\x00" '
    return text.encode(chance.choice(["latin-1", "utf-16", "utf-8"]))


def damaged(chance: random.Random) -> bytes:
    good = b'<aggregate name="n" availability_zone="z"><metadata><k>v</k></metadata></aggregate>'
    at = chance.randrange(len(good) - 1)
    return good[:at] + bytes(chance.choices(b"<>&\x00\xff\"';", k=chance.randint(1, 40)))


def wide(chance: random.Random) -> bytes:
    attributes = "".join(f' a{number}="x"' for number in range(chance.randint(500, 5000)))
    return f"<aggregate{attributes}><".encode()


MAKERS = (laughs, external, deep, encoded, damaged, wide)


def memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_malformed_xml_is_refused_and_costs_no_memory(
    post: Callable[..., requests.Response], api: RunningApi
) -> None:
    chance = random.Random(8)
    documents = [MAKERS[number % len(MAKERS)](chance) for number in range(DOCUMENTS)]
    for document in documents[: len(MAKERS)]:
        post(document, XML)
    before = memory_kb()
    for document in documents:
        answer = post(document, {**XML, "Accept": "application/json"})
        assert answer.status_code == 400, (document[:200], answer.text)
        assert "root:" not in answer.text
    assert memory_kb() - before < GROWTH_KB
    assert requests.get(f"{api.base}/os-aggregates", headers=TOKEN, timeout=60).json() == {
        "aggregates": []
    }
