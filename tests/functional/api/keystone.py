"""A Keystone of our own, as small as keystonemiddleware lets it be."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.functional.api.running import PROJECT

ADMIN_TOKEN, MEMBER_TOKEN, SERVICE_TOKEN = "token-admin", "token-member", "token-service"
# User, project (None: the whole system), roles. A member of a project is a reader of it, too.
USERS: dict[str, tuple[str, str | None, list[str]]] = {
    ADMIN_TOKEN: ("root", "ops", ["admin", "member"]),
    MEMBER_TOKEN: ("jane", PROJECT, ["member", "reader"]),
    "token-operator": ("tom", "ops", ["aggregates_operator"]),
    "token-reader": ("eve", "ops", ["aggregates_reader"]),
    "token-system-reader": ("sue", None, ["reader"]),
}
# By the names that the conversations use.
TOKENS = {
    "ADMIN": ADMIN_TOKEN,
    "OPERATOR": "token-operator",
    "READER": "token-reader",
    "SYSTEM_READER": "token-system-reader",
    "STRANGER": MEMBER_TOKEN,
}


class Keystone(BaseHTTPRequestHandler):
    """Issues the service's own token and answers who a token belongs to."""

    server: KeystoneServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = _token("nova-aggregates", "service", ["service"])
        if self.server.catalog:
            url = f"http://127.0.0.1:{self.server.server_port}/v3"
            endpoints = [
                {"id": name, "interface": name, "region": "R", "region_id": "R", "url": url}
                for name in ("internal", "admin", "public")
            ]
            identity = {"id": "1", "type": "identity", "name": "k", "endpoints": endpoints}
            body["token"]["catalog"] = [identity]
        self._answer(201, body, SERVICE_TOKEN)

    def do_GET(self) -> None:
        if not self.path.startswith("/v3/auth/tokens"):
            url = f"http://127.0.0.1:{self.server.server_port}/v3/"
            links = [{"rel": "self", "href": url}]
            version = {"id": "v3.14", "status": "stable", "links": links}
            root = {"versions": {"values": [version]}}
            self._answer(200, {"version": version} if self.path.startswith("/v3") else root)
            return
        user = USERS.get(self.headers.get("X-Subject-Token", ""))
        if user:
            self._answer(200, _token(*user))
        else:
            self._answer(404, {"error": {"code": 404, "message": "no such token"}})

    def _answer(self, status: int, body: Any, token: str | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if token:
            self.send_header("X-Subject-Token", token)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_arguments: Any) -> None:
        """Silent."""


def _token(user: str, project: str | None, roles: list[str]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    domain = {"id": "default", "name": "Default"}
    scope: dict[str, Any] = {"system": {"all": True}}
    if project is not None:
        scope = {"project": {"id": project, "name": project, "domain": domain}}
    return {
        "token": {
            "methods": ["password"],
            "user": {"id": user, "name": user, "domain": domain},
            **scope,
            "roles": [{"id": role, "name": role} for role in roles],
            "issued_at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
            "expires_at": f"{now + datetime.timedelta(hours=1):%Y-%m-%dT%H:%M:%S.%fZ}",
            "catalog": [],
        }
    }


class KeystoneServer(ThreadingHTTPServer):
    catalog = True  # whether tokens tell where Keystone itself is


@contextlib.contextmanager
def keystone_server() -> Iterator[KeystoneServer]:
    server = KeystoneServer(("127.0.0.1", 0), Keystone)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def authtoken(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/v3"
    return {
        "auth_type": "password",
        "auth_url": url,
        "www_authenticate_uri": url,
        "username": "nova-aggregates",
        "password": "service-secret",
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "service_token_roles_required": True,
        "http_request_max_retries": 0,
    }
