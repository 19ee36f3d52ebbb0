"""Errors of hosts and their storage.

Source of the codes: xapi ``ocaml/xapi/xapi_host.ml``, ``message_forwarding.ml`` and
``xapi_host_helpers.ml``.
"""

from nova_aggregates.xenapi.codes.entry import Entry, Situation

_H = Situation.HOST
_S = Situation.STORAGE

ENTRIES = (
    Entry(
        "HOST_OFFLINE",
        _H,
        "{0} is not in contact with its master",
        "It is off, restarting, or has left the pool.",
        "Start the host, or wait until it is back.",
        retry_helps=True,
    ),
    Entry(
        "CANNOT_CONTACT_HOST",
        _H,
        "The master cannot reach {0}, which it still counts as live",
        "It lost power or network less than ten minutes ago.",
        "Mend the host, or forget it if it will not come back.",
        retry_helps=True,
    ),
    Entry(
        "HOST_NOT_LIVE",
        _H,
        "An enabled host of the pool is not live",
        "A member is off; it hinders evacuations of the others.",
        "Start it, or disable it.",
        retry_helps=True,
    ),
    Entry(
        "HOST_IS_LIVE",
        _H,
        "{0} is in contact with its master, so it cannot be forgotten",
        "Only dead hosts can be forgotten.",
        "Remove it from the pool in the ordinary way.",
    ),
    Entry(
        "HOST_HAS_RESIDENT_VMS",
        _H,
        "Guests are registered as running on {0}",
        "The pool does not know that they are gone.",
        "Declare the host dead first (xe host-declare-dead), which marks them halted.",
    ),
    Entry(
        "HOST_DISABLED",
        _H,
        "{0} is disabled",
        "It is in maintenance, or has not finished starting.",
        "Enable it.",
        retry_helps=True,
    ),
    Entry(
        "HOST_NOT_DISABLED",
        _H,
        "The host is enabled",
        "It can be restarted only while it is disabled.",
        "Put it into maintenance first.",
    ),
    Entry(
        "HOST_DISABLED_UNTIL_REBOOT",
        _H,
        "{0} stays disabled until it has restarted",
        "Its shutdown or restart was already under way.",
        "Restart the host.",
    ),
    Entry(
        "HOST_DISABLED_INDEFINITELY",
        _H,
        "{0} stays disabled until somebody enables it",
        "It was disabled so that it stays so over restarts.",
        "Enable it.",
    ),
    Entry(
        "HOST_EVACUATE_IN_PROGRESS",
        Situation.BUSY,
        "{0} is being emptied",
        "Maintenance is under way.",
        "Wait until it has ended.",
        retry_helps=True,
    ),
    Entry(
        "HOST_POWER_ON_MODE_DISABLED",
        _H,
        "The host cannot be started from afar",
        "No power-on mode is configured for it.",
        "Configure its management controller (xe host-set-power-on-mode).",
    ),
    Entry(
        "CLUSTERED_SR_DEGRADED",
        _S,
        "The clustered storage {0} is degraded",
        "A restart now could fence other hosts.",
        "Mend the cluster first.",
    ),
    Entry(
        "VDI_IN_USE",
        _S,
        "A disk is in use: {params}",
        "A control domain or a guest still holds it, so its storage cannot be detached.",
        "Find the holder (xe vbd-list vdi-uuid=...) and release it.",
        retry_helps=True,
    ),
    Entry(
        "SR_IN_USE",
        _S,
        "The storage {0} is in use",
        "A disk on it is attached.",
        "Release the disks first.",
        retry_helps=True,
    ),
    Entry(
        "SR_HAS_NO_PBDS",
        _S,
        "The storage {0} is attached to no host",
        "Its connection was removed.",
        "Connect it again (xe pbd-create, xe pbd-plug).",
    ),
    Entry(
        "SR_BACKEND_FAILURE",
        _S,
        "The storage driver failed: {code} {params}",
        "The storage is not reachable, or its configuration is wrong on this host.",
        "Look at /var/log/SMlog on the host.",
        retry_helps=True,
    ),
    Entry(
        "TLS_VERIFICATION_NOT_ENABLED_IN_POOL",
        _H,
        "TLS verification is off in the pool",
        "It was never turned on.",
        "Run xe pool-enable-tls-verification.",
    ),
)
