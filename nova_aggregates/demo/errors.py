from __future__ import annotations


class DemoError(Exception):
    """Something that the person at the terminal must know; the message names it and the cure."""


class Mismatch(DemoError):
    """The service and the simulated hosts do not agree, or an answer is not what was promised."""
