"""The conversations in gabbits/, each with a service of its own.

Without gabbi's pytest plugin, which stumbles over every other test whose id has a colon.
"""

from __future__ import annotations

import contextlib
import functools
import os
import unittest
from pathlib import Path

import pytest
from gabbi import driver, suite
from gabbi import fixture as gabbi_fixture

from tests.functional.api import test_gabbits
from tests.functional.api.keystone import TOKENS, authtoken, keystone_server
from tests.functional.api.running import running

FOLDER = Path(__file__).parent / "gabbits"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


class Service(gabbi_fixture.GabbiFixture):
    """``$ENVIRON['API']`` is the URL of the project, ``$ENVIRON['ROOT']`` that of the server."""

    def start_fixture(self) -> None:
        self._context = running()
        self._api = self._context.__enter__()
        os.environ["ROOT"] = self._api.url
        os.environ["API"] = self._api.base

    def stop_fixture(self) -> None:
        self._context.__exit__(None, None, None)
        for name in ("ROOT", "API"):
            os.environ.pop(name, None)


class SeenHost(Service):
    """With the hosts host1, which was seen, and host2, which was not, in the zone east;
    ``$ENVIRON['HOST1']`` and ``$ENVIRON['HOST2']`` are their uuids."""

    def start_fixture(self) -> None:
        super().start_fixture()
        for number in (1, 2):
            host = self._api.register(f"host{number}", number, "east")
            os.environ[f"HOST{number}"] = host.uuid
        self._api.saw("host1")


class Roles(gabbi_fixture.GabbiFixture):
    """A service that asks Keystone who its callers are; ``$ENVIRON['ADMIN']``, ``OPERATOR``,
    ``READER``, ``SYSTEM_READER`` and ``STRANGER`` are tokens."""

    def start_fixture(self) -> None:
        self._stack = contextlib.ExitStack()
        keystone = self._stack.enter_context(keystone_server())
        api = self._stack.enter_context(
            running(
                auth={"strategy": "keystone"},
                keystone_authtoken=authtoken(keystone.server_port),
            )
        )
        api.register("host1", 1, "east")
        os.environ.update(TOKENS, API=api.base, ROOT=api.url)

    def stop_fixture(self) -> None:
        self._stack.close()
        for name in (*TOKENS, "API", "ROOT"):
            os.environ.pop(name, None)


@functools.cache
def conversations() -> dict[str, suite.GabbiSuite]:
    suites = driver.build_tests(
        str(FOLDER),
        unittest.TestLoader(),
        host="127.0.0.1",
        test_loader_name="conversation",
        fixture_module=test_gabbits,
    )
    by_name = {}
    for conversation in suites:
        requests = type(next(iter(conversation))).__name__
        by_name[next(name for name in NAMES if requests.startswith(f"{name}_"))] = conversation
    return by_name


@pytest.mark.parametrize("name", NAMES)
def test_conversation(name: str) -> None:
    result = unittest.TestResult()
    conversation = conversations()[name]
    conversation.run(result)
    assert result.testsRun > 0
    wrong = [*result.errors, *result.failures, *result.skipped, *result.expectedFailures]
    assert not wrong, "\n\n".join(f"{test.id()}\n{text}" for test, text in wrong)
