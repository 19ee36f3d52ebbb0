"""task.backtrace of a failed call: an s-expression of OCaml frames (observed form)."""

from __future__ import annotations

import functools
from typing import Any

from nova_aggregates.simulator.datamodel import read_data

EMPTY = "()"


@functools.cache
def _frames() -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = read_data("backtraces.json")
    return found


def of_failure(code: str, hostname: str) -> str:
    """Where the code is raised, if that was observed, below the frames that all calls share."""
    known = _frames()
    frames = [*known.get(code, []), *known["common"]]
    return "(" + "".join(_frame(hostname, *frame) for frame in frames) + ")"


def _frame(
    hostname: str,
    filename: str,
    line: int,
    start: int,
    end: int,
    name: str,
    inline: bool,
    raises: bool,
) -> str:
    shown = f'"{name}"' if "(" in name else f" {name}"
    return (
        f'((process"xapi @ {hostname}")(filename {filename})(line {line})(chars_start {start})'
        f"(chars_end {end})(name{shown})(is_inline {str(inline).lower()})"
        f"(is_raise {str(raises).lower()}))"
    )
