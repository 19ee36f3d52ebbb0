"""Imported first by every daemon: eventlet patches the standard library before anything else can
take hold of the blocking one.
"""

import eventlet

eventlet.monkey_patch()

# Not earlier: it imports from the standard library.
from nova_aggregates.cmd import shared_metrics  # noqa: E402, F401
