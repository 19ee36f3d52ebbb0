"""API levels: what a host of an older release knows, and what came only later.

A level stands for the last build of xapi that its release shipped, or for the first of a line that
is still updated. What each one brought is in ``data/levels.json`` (from the life cycles in xapi's
``ocaml/idl`` and ``datamodel_lifecycle.ml``); all older things belong to the lowest level.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int, int]
TLS_VERIFICATION = (1, 297)  # the build that members began to verify each other with


@dataclass(frozen=True)
class Level:
    """``xapi`` is the build that a host of this level runs; ``api`` its API version."""

    name: str
    xapi: Version
    api: tuple[int, int]
    db_schema: str
    product: str
    platform: str

    def since(self, *version: int) -> bool:
        """Did xapi have by then what came with this version?"""
        return self.xapi >= version

    @property
    def software(self) -> dict[str, str]:
        """The entries of host.software_version that tell levels apart."""
        major, minor, micro = self.xapi
        short = ".".join(self.product.split(".")[:2])
        console = ".".join(map(str, self.api))
        return {
            "product_version": self.product,
            "product_version_text": short,
            "product_version_text_short": short,
            "platform_version": self.platform,
            "xapi": f"{major}.{minor}",
            "xapi_build": f"{major}.{minor}.{micro}",
            "xencenter_min": console,
            "xencenter_max": console,
            "db_schema": self.db_schema,
        }


LEVELS = {
    level.name: level
    for level in (
        Level("8.0", (1, 160, 2), (2, 12), "5.400", "8.0.0", "3.0.0"),
        Level("8.2", (1, 249, 42), (2, 15), "5.603", "8.2.1", "3.2.1"),
        Level("8.4", (24, 19, 2), (2, 21), "5.779", "8.4.0", "3.4.0"),
        Level("26", (26, 17, 0), (2, 23), "5.909", "8.3.0", "3.4.0"),
    )
}
NEWEST = "26"
ORDER = tuple(LEVELS)


def after(name: str) -> tuple[str, ...]:
    """The levels that came after this one, which lacks what they brought."""
    return ORDER[ORDER.index(name) + 1 :]
