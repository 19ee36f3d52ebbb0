"""140 awkward requests on /v2.1: what a real Nova answered, what we answer, and the list of the
differences in doc/source/nova-differences.rst, which must be exactly those."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from tests.functional.api.roles import paste_file
from tests.functional.api.running import RunningApi, host_body, running

REQUESTS = Path(__file__).parent / "nova" / "requests.yaml"
DIFFERENCES = Path(__file__).parents[3] / "doc" / "source" / "nova-differences.rst"
ADMIN, READER = "admin:admin", "joe:demo:member,reader"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
LONG = re.compile(r"x\*(\d+)")  # so many times the letter
# A row of the list: title, Nova's answer, ours, the reason.
ROW = re.compile(r"   \* - (.+)\n     - (.+)\n     - (.+)\n     - ((?:.+\n)(?:       .+\n)*)")


@functools.cache
def listed() -> dict[str, tuple[str, str]]:
    rows = ROW.findall(DIFFERENCES.read_text(encoding="utf-8"))
    assert all(reason.strip() for *_, reason in rows)
    found = {title: (nova.strip("`"), ours.strip("`")) for title, nova, ours, _ in rows}
    assert len(found) == len(rows)
    return {title: answers for title, answers in found.items() if title != "Request"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    paste = paste_file(tmp_path_factory.mktemp("paste"))
    with running(api={"paste_config": paste}) as api:
        for number in range(4):
            body = host_body(f"host-{number:05d}", number + 1, "nova")
            url = f"{api.url}/v1.1/admin/os-hosts"
            answer = requests.post(url, json=body, headers={"X-Auth-Token": ADMIN}, timeout=30)
            assert answer.status_code == 201, answer.text
        yield api


def ask(api: RunningApi, question: dict[str, Any], ids: dict[str, int]) -> requests.Response:
    path = question["path"].format(**ids)
    headers = {
        "X-Auth-Token": READER if question.get("reader") else ADMIN,
        "Accept": "application/json",
    }
    data: bytes | None = None
    if "body" in question:
        data = json.dumps(question["body"]).encode()
    elif "raw" in question:
        data = question["raw"].encode("latin-1")
    elif "fill" in question:
        data = json.dumps({"aggregate": {"name": "x" * question["fill"]}}).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    headers.update(question.get("headers", {}))
    answer = requests.request(
        question["method"], api.url + path, data=data, headers=headers, timeout=30
    )
    if "keep" in question and answer.status_code == 200:
        ids[question["keep"]] = answer.json()["aggregate"]["id"]
    return answer


def masked(value: Any) -> Any:
    """Without what no two servers have in common, and without the words of messages."""
    if isinstance(value, dict):
        return {
            key: 0 if key == "id" and isinstance(item, int) else masked(item)
            for key, item in value.items()
            if key != "message"
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, str) and LONG.search(value):
        return LONG.sub(lambda run: "x" * int(run[1]), value)
    if isinstance(value, str) and TIME.match(value):
        return "TIME"
    if isinstance(value, str) and UUID.match(value):
        return "UUID"
    return value


def brief(status: int, version: str | None, body: Any, other: Any) -> str:
    """An answer in one line: what it is, and the keys in which it differs from ``other``."""
    words = [str(status)]
    if isinstance(body, dict):
        words.append("HTML" if "title" in body else next(iter(body)))
        words += _different(body, other)
    return " ".join([*words, *([] if version else ["no-version"])])


def _different(body: dict[str, Any], other: Any) -> list[str]:
    """One level below the root, where both have the same root."""
    root = next(iter(body))
    if not isinstance(other, dict) or list(other) != [root] or "code" in other[root]:
        return []
    ours, theirs = body[root], other[root]
    if isinstance(ours, list) or list(ours) != list(theirs):
        return ["keys"] if ours != theirs else []
    return [
        f"{key}={_short(value, theirs[key])}" for key, value in ours.items() if theirs[key] != value
    ]


def _short(value: Any, other: Any) -> str:
    if isinstance(value, dict) and isinstance(other, dict):
        value = sorted(key for key in value if value[key] != other.get(key))
    return json.dumps(value)


def answers_of(question: dict[str, Any], answer: requests.Response) -> tuple[str, str]:
    nova = question["nova"]
    theirs = masked(nova["body"])
    host = urlsplit(answer.url).netloc
    ours = masked(json.loads(answer.text.replace(host, "HOST"))) if answer.content else None
    version = answer.headers.get("X-OpenStack-Nova-API-Version")
    if nova.get("version") and version:
        assert version == nova["version"], question["title"]
        assert answer.headers["OpenStack-API-Version"] == f"compute {version}"
    return (
        brief(nova["status"], nova.get("version"), theirs, ours),
        brief(answer.status_code, version, ours, theirs),
    )


def test_the_differences_are_those_that_are_listed(api: RunningApi) -> None:
    found, ids, asked = {}, {}, 0
    for question in yaml.safe_load(REQUESTS.read_text(encoding="utf-8")):
        answer = ask(api, question, ids)
        if "title" not in question:
            assert answer.status_code == 200, question
            continue
        asked += 1
        nova, ours = answers_of(question, answer)
        if nova != ours:
            title = question["title"]
            # Two requests share a title that says all the same.
            found[title if title not in found else f"{title} (again)"] = (nova, ours)
    assert asked == 140
    assert found == listed()
