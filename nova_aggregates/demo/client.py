"""The API as any HTTP client sees it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import requests

from nova_aggregates.demo.errors import Mismatch

TIMEOUT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: Any


class Client:
    """JSON over HTTP with a token of the noauth strategy (``user:project``)."""

    def __init__(self, base: str, project: str) -> None:
        self.base = base
        self.url = f"{base}/v1.1/{project}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(
            {"X-Auth-Token": f"admin:{project}", "Accept": "application/json"}
        )

    def answers(self) -> bool:
        try:
            return self._session.get(f"{self.base}/", timeout=TIMEOUT_SECONDS).ok
        except requests.ConnectionError:
            return False

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request; any status is an answer.

        :raises Mismatch: no answer, or one that is not JSON.
        """
        try:
            response = self._session.request(
                method, self.url + path, json=body, timeout=TIMEOUT_SECONDS
            )
            content = json.loads(response.text) if response.text else None
        except (requests.RequestException, ValueError) as error:
            raise Mismatch(f"{method} {self.url}{path}: {error}") from None
        return Answer(response.status_code, response.headers, content)

    def get(self, path: str) -> Any:
        return self._good("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._good("POST", path, body)

    def _good(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.request(method, path, body)
        if answer.status >= 300:
            raise Mismatch(f"{method} {self.url}{path}: {answer.status} {answer.body}")
        return answer.body
