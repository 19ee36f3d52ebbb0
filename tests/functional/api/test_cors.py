"""Browsers on other origins, by configuration."""

from __future__ import annotations

import requests

from tests.functional.api.running import TOKEN, running

ORIGIN = "https://dashboard.example.org"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "X-Auth-Token, OpenStack-API-Version",
}


def test_an_allowed_origin() -> None:
    with running(cors={"allowed_origin": ORIGIN}) as api:
        url = f"{api.url}/v2.1/os-services"
        preflight = requests.options(url, headers=PREFLIGHT, timeout=30)
        assert preflight.ok
        assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "x-auth-token" in preflight.headers["Access-Control-Allow-Headers"].lower()
        answer = requests.get(url, headers={**TOKEN, "Origin": ORIGIN}, timeout=30)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Operation-Id" in answer.headers["Access-Control-Expose-Headers"]
        fault = requests.get(f"{url}/nothing/here", headers={**TOKEN, "Origin": ORIGIN}, timeout=30)
        assert fault.status_code == 404
        assert fault.headers["Access-Control-Allow-Origin"] == ORIGIN
        other = {**TOKEN, "Origin": "https://elsewhere.example.org"}
        answer = requests.get(url, headers=other, timeout=30)
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_nobody_by_default() -> None:
    with running() as api:
        answer = requests.get(
            f"{api.url}/v2.1/os-services", headers={**TOKEN, "Origin": ORIGIN}, timeout=30
        )
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
