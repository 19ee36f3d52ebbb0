"""The only code that talks to XenServer: connections, pool and host verbs, observation, preflight.

Imports nothing of the rest of the service. Plain blocking Python: runs under threads and under
eventlet's green threads alike.
"""
