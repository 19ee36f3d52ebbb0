"""The conversations in gabbits/, each with a service of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from gabbi import driver
from gabbi import fixture as gabbi_fixture
from gabbi.driver import test_pytest  # noqa: F401

from tests.functional.api import test_gabbits
from tests.functional.api.running import running


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> Any:
    return driver.py_test_generator(
        str(Path(__file__).parent / "gabbits"),
        host="127.0.0.1",
        test_loader_name="conversation",
        fixture_module=test_gabbits,
        metafunc=metafunc,
    )
