"""Imported first by every daemon: eventlet patches the standard library before anything else can
take hold of the blocking one.

eventlet, oslo.log and oslo.service announce eventlet's retirement with a warning each. Whoever
starts a daemon can do nothing about it, so the terminal stays quiet.
"""

import warnings

warnings.filterwarnings("ignore", message=r"(?s).*[Ee]ventlet")

import eventlet  # noqa: E402

eventlet.monkey_patch()

# Not earlier: it imports from the standard library.
from nova_aggregates.cmd import shared_metrics  # noqa: E402, F401
