"""What an API call can fail with, as it travels through the simulator."""

from __future__ import annotations

NULL_REF = "OpaqueRef:NULL"


class ApiError(Exception):
    """A XenAPI failure: the wire's ErrorDescription is the code followed by the parameters."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = tuple(str(p) for p in params)

    @property
    def description(self) -> list[str]:
        return [self.code, *self.params]


class ProcessGone(Exception):
    """The toolstack that was serving this call stopped: its client sees a closed connection."""


class MalformedRequest(Exception):
    """The body is no request at all; xapi answers HTTP 500 with this text in it."""


def internal(text: str) -> ApiError:
    """An uncaught OCaml exception as xapi reports it."""
    return ApiError("INTERNAL_ERROR", text)


def ocaml_failure(text: str) -> ApiError:
    """INTERNAL_ERROR with a printed ``Failure``, which quotes its text as OCaml does."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return internal(f'Failure("{quoted}")')


def handle_invalid(cls: str, ref: str) -> ApiError:
    return ApiError("HANDLE_INVALID", cls, ref)
