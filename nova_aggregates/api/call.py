"""What a controller gets and what it gives back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import webob
from oslo_context.context import RequestContext

from nova_aggregates.api import answers, serialization
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import ECHO, Version, Versioned, at, version_of
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import Once, Operation, Requester

RECORDED = 255  # characters of a name that the record of an operation holds
CONTEXT = "nova_aggregates.context"  # the key of the request's context in the WSGI environment
# The key of the server's own way to wait (seconds -> False when the server stops).
PAUSE = "nova_aggregates.pause"

_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    document: dict[str, Any] | None  # one root key; None is an empty body
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stream: Iterable[bytes] | None = None  # server-sent events, instead of a document
    ready: answers.Ready | None = None  # an answer that needs no rendering, instead of a document
    # Called with the headers and the body of the rendered document.
    keep: Callable[[Iterable[tuple[str, str]], bytes], None] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    request: webob.Request
    params: Mapping[str, str]  # the variable parts of the path
    deployment: Deployment
    # Of the query string, as the row of EXCHANGES knows them.
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def context(self) -> RequestContext:
        return self.request.environ[CONTEXT]

    @property
    def requester(self) -> Requester:
        context = self.context
        who = (context.user_id, context.project_id, context.request_id)
        return Requester(*((value or "")[:RECORDED] for value in who))

    @property
    def version(self) -> Version:
        return version_of(self.request.environ)

    def authorize(self, rule: str) -> None:
        """:raises Fault: 403, the policy denies ``rule`` to the caller."""
        if not self.deployment.policy.allows(rule, self.context):
            raise Fault(403, f"The policy does not allow you {rule}.")

    def body(
        self,
        validator: Validator | Versioned[Validator],
        *,
        read_as: Validator | Versioned[Validator] | None = None,
    ) -> Any:
        """The request's document, checked.

        :param read_as: whose schema tells the types of an XML body, when not ``validator``'s.
        :raises Fault: 400 or 415.
        """
        checking, reading = at(validator, self.version), at(read_as or validator, self.version)
        if checking is None or reading is None:
            raise Fault(404, "There is no such request in this version of the API.")
        # A document that nests too deep for the parser is also too deep to be described.
        try:
            document = serialization.read(self.request.environ, reading.schema)
            checking.check(document)
        except RecursionError:
            raise Fault(400, "The body nests too deep.") from None
        return document

    def unless_unchanged(self, generation: Callable[[], int], build: Callable[[], Reply]) -> Reply:
        """What ``build`` makes, with an entity tag; the same answer as last time, or 304 for a
        client that has it, as long as ``generation`` returns the same number."""
        environ = self.request.environ
        moved, key = generation(), answers.key_of(environ)
        tag = answers.tag_of(moved, key)
        if answers.is_named(tag, environ.get("HTTP_IF_NONE_MATCH")):
            headers = (("ETag", tag), *environ.get(ECHO, ()))
            return Reply(None, ready=answers.Ready("304 Not Modified", headers, b""))
        kept = self.deployment.answers.get(key, moved)
        if kept is not None:
            return Reply(None, ready=kept)
        reply = build()
        return dataclasses.replace(
            reply,
            headers={**reply.headers, "ETag": tag},
            keep=partial(self.deployment.answers.put, key, moved),
        )

    @property
    def expected(self) -> frozenset[int] | None:
        """The generations of which the header If-Match wants one; None: any will do."""
        return answers.generations_in(self.request.environ.get("HTTP_IF_MATCH"))

    def once(self, document: Any = None) -> Once | None:
        """The request as the header Idempotency-Key names it; None without the header.

        :param document: the body; the same one written differently is the same.
        :raises Fault: 400, the key is no key.
        """
        key = self.request.environ.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return None
        if not _KEY.match(key):
            raise Fault(400, "Idempotency-Key must be 1 to 255 printable ASCII characters.")
        path, _ = serialization.split_suffix(self.request.path_info)
        body = json.dumps(document, sort_keys=True).encode("ascii")
        return Once(
            key=key,
            scope=f"{self.context.project_id} {self.request.method} {path.rstrip('/')}",
            digest=hashlib.sha256(body).hexdigest(),
        )

    def pause(self, seconds: float) -> bool:
        """Wait without stopping other requests; False when the server is about to stop."""
        wait: Callable[[float], bool] = self.request.environ.get(PAUSE, _sleep)
        return wait(seconds)

    def query(self, name: str) -> Any:
        """One parameter of the query string, as its schema types it; None when it is not there."""
        return self.parameters.get(name)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def accepted(document: dict[str, Any], operation: Operation | None) -> Reply:
    """An answer to a request that may have queued an operation."""
    headers = {"X-Operation-Id": operation.uuid} if operation else {}
    return Reply(document, headers=headers)
