from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests import closing

KEY = "closing_lines"
_from_workers: list[str] = []


@pytest.fixture(autouse=True)
def log_set_up_for_one_test_only() -> Iterator[None]:
    """Its handler would go on writing to the standard error of that test, which is closed."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was captured goes from process to process as UTF-8, which has no lone surrogates."""
    report = yield
    report.sections = [
        (title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections
    ]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of pytest-xdist
    if output is not None:
        output[KEY] = closing.lines()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _from_workers.extend(getattr(node, "workeroutput", {}).get(KEY, ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in [*_from_workers, *closing.lines()]:
        terminalreporter.write_line(line)
