"""Resources with a path ``/action``: what the body's only key asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.schemas.actions import ACTION, Actions
from nova_aggregates.objects import Once

# The policy's rule, and what is called with the value of the key.
Handlers = Mapping[str, tuple[str, Callable[[Call, Any, Once | None], Reply]]]


def dispatch(call: Call, handlers: Handlers, actions: Actions) -> Reply:
    """Exactly one of ``handlers``, with the body that ``actions`` has under the same name.

    :raises Fault: 400 for an unknown action or a bad body, 403.
    """
    known = actions.at(call.version)
    body = call.body(ACTION, read_as=actions.whole)
    name = next(iter(body))
    if name not in known:
        raise Fault(400, f"There is no such action. Known: {', '.join(known)}.")
    rule, handler = handlers[name]
    call.authorize(rule)
    known[name].check(body)
    return handler(call, body[name], call.once(body))
