"""What the line of progress says."""

from __future__ import annotations

from typing import Any

import pytest

from nova_aggregates.client.waiting import _step


def guests(moved: int, moving: int, left: int, seconds: float | None) -> dict[str, Any]:
    return {
        "guests": {
            "moved": moved,
            "moving": [{"name": str(number)} for number in range(moving)],
            "left": left,
            "seconds_left": seconds,
        }
    }


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (None, "running: x"),
        ({}, "running: x"),
        ({"h1": {}}, "running: x"),
        ({"h1": guests(0, 3, 7, None)}, "running: x, 0 of 10 guests moved"),
        ({"h1": guests(4, 3, 3, 41.6)}, "running: x, 4 of 10 guests moved, 42 s left"),
        (
            {"h1": guests(4, 0, 0, 0.0), "h2": guests(1, 1, 0, 9.2)},
            "running: x, 5 of 6 guests moved, 9 s left",
        ),
        ({"h1": guests(10, 0, 0, 0.0)}, "running: x, 10 of 10 guests moved"),
    ],
)
def test_guests_and_time(hosts: Any, told: str) -> None:
    details = None if hosts is None else {"hosts": hosts}
    assert _step({"state": "running", "step": "x", "details": details}) == told


def test_services_without_details() -> None:
    assert _step({"state": "queued", "step": None}) == "queued"
