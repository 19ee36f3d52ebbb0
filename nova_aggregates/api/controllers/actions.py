"""Resources with a path ``/action``: what the body's only key asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.schemas.actions import ACTION
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import Once

# The policy's rule, the schema of the whole body, and what is called with the value of the key.
Actions = Mapping[str, tuple[str, Validator, Callable[[Call, Any, Once | None], Reply]]]


def dispatch(call: Call, actions: Actions) -> Reply:
    """Exactly one of ``actions``.

    :raises Fault: 400 for an unknown action or a bad body, 403.
    """
    body = call.body(ACTION)
    name = next(iter(body))
    if name not in actions:
        raise Fault(400, f"There is no such action. Known: {', '.join(actions)}.")
    rule, validator, handler = actions[name]
    call.authorize(rule)
    validator.check(body)
    return handler(call, body[name], call.once(body))
