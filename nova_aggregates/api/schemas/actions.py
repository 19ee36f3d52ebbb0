"""What the bodies of all actions have in common."""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.api.microversion import EVERY, Version, Versioned, at
from nova_aggregates.api.validation import Validator

ACTION = Validator(
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "description": "an object with exactly one action",
    }
)


class Actions:
    """The bodies of a path ``/action``.

    :param bodies: the schema of the whole body by the name of the action, which is its only key.
    """

    def __init__(self, bodies: Mapping[str, Validator | Versioned[Validator]]) -> None:
        self._bodies = dict(bodies)
        changes = {EVERY[0]}
        for body in bodies.values():
            if isinstance(body, Versioned):
                changes.update(body.values)
        self.whole: Versioned[Validator] = Versioned(
            {version: self._merged(version) for version in changes}
        )

    def at(self, version: Version) -> dict[str, Validator]:
        found = {name: at(body, version) for name, body in self._bodies.items()}
        return {name: body for name, body in found.items() if body is not None}

    def _merged(self, version: Version) -> Validator:
        bodies = self.at(version)
        return Validator(
            {
                **ACTION.schema,
                "properties": {
                    name: body.schema["properties"][name] for name, body in bodies.items()
                },
                "additionalProperties": False,
            }
        )
