"""Answers to reads, given again as long as what they show has not moved.

This is the one place that decides it. A controller names the generation of what it shows (one small
query, asked at each request, so that every process sees every change at once) and how to make the
answer. The generation is read before the content, so a kept answer may be newer than its generation
says, never older.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

# Of the request, everything that an answer depends on but the caller, whom the policy has judged
# before: version, path, query, what the format is negotiated by, what links are made of.
DEPENDS_ON = (
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "HTTP_ACCEPT",
    "HTTP_OPENSTACK_API_VERSION",
    "HTTP_X_OPENSTACK_NOVA_API_VERSION",
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
)
LONGEST_KEY = 4096  # characters; nobody asks twice for what is longer

Key = tuple[str | None, ...]

_TAG = re.compile(r'"([0-9]{1,18})-[0-9a-f]{8}"')


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """An answer as it goes out."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _Kept:
    generation: int
    answer: Ready
    size: int


def key_of(environ: Mapping[str, Any]) -> Key:
    return tuple([environ.get(name) for name in DEPENDS_ON])


def tag_of(generation: int, key: Key) -> str:
    """A strong entity tag (RFC 9110, section 8.8.3): the generation of what is shown, and which
    rendering of it this is."""
    return f'"{generation}-{zlib.crc32(repr(key).encode()):08x}"'


def is_named(tag: str, header: str | None) -> bool:
    """Whether If-None-Match has this tag; weak comparison (RFC 9110, section 13.1.2)."""
    if not header:
        return False
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in named or named == ["*"]


def generations_in(header: str | None) -> frozenset[int] | None:
    """The generations that If-Match asks for, by tags as :func:`tag_of` makes them (of whichever
    rendering); None when it asks for none. Others, weak ones too, match nothing (RFC 9110, section
    13.1.1)."""
    if header is None or header.strip() == "*":
        return None
    tags = [_TAG.fullmatch(each.strip()) for each in header.split(",")]
    return frozenset(int(tag[1]) for tag in tags if tag)


class Answers:
    """The answers of one process, those asked for least recently given up first.

    :param most_bytes: of all bodies and headers together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key, generation: int) -> Ready | None:
        kept = self._kept.get(key)
        if kept is None or kept.generation != generation:
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def put(
        self, key: Key, generation: int, headers: Iterable[tuple[str, str]], body: bytes
    ) -> None:
        """Keep a good answer; one that is larger than everything may be is not kept."""
        size = len(body) + 2 * sum(len(part or "") for part in key) + 1024
        if size > self._most_bytes or size - len(body) > LONGEST_KEY:
            return
        former = self._kept.pop(key, None)
        if former is not None:
            self._bytes -= former.size
        self._kept[key] = _Kept(generation, Ready("200 OK", tuple(headers), body), size)
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, given_up = self._kept.popitem(last=False)
            self._bytes -= given_up.size
