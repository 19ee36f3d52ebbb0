"""Errors of pools: HA, operations under way, hand-over, secrets, eject.

Source of the codes: xapi ``ocaml/xapi/xapi_pool.ml`` and ``ocaml/xapi/xapi_pool_helpers.ml``.
"""

from nova_aggregates.xenapi.codes.entry import Entry, Situation

_B = Situation.BUSY
_P = Situation.PRECONDITION
_WAIT = "Wait until it has ended, then try again."


def _running(code: str, what: str) -> Entry:
    return Entry(
        code,
        _B,
        f"The pool is busy: {what}",
        "Another administrator or tool started it.",
        _WAIT,
        retry_helps=True,
    )


ENTRIES = (
    Entry(
        "HA_IS_ENABLED",
        _P,
        "High availability is on",
        "Hosts cannot join, leave or hand over the master's role while it is.",
        "Turn it off (xe pool-ha-disable) and on again afterwards.",
    ),
    Entry(
        "HA_NOT_ENABLED",
        _P,
        "High availability is off",
        "The call needs it.",
        "Nothing needs to be done.",
    ),
    Entry(
        "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN",
        _P,
        "The protected guests would no longer survive the failure of a host",
        "Too little memory would be left in the pool.",
        "Protect fewer guests, tolerate fewer failures, or add a host.",
    ),
    Entry(
        "HA_ABORT_NEW_MASTER",
        Situation.HOST,
        "A member refused the change of master: {0}",
        "It is following another change, or is not healthy.",
        "Look at that member; wait ten minutes, then try again.",
        retry_helps=True,
    ),
    Entry(
        "HA_LOST_STATEFILE",
        Situation.STORAGE,
        "The members lost the storage of high availability",
        "The storage with the heartbeat is not reachable.",
        "Mend the storage.",
    ),
    Entry(
        "POOL_SECRET_ROTATION_PENDING",
        _P,
        "A rotation of the pool's secret is not finished",
        "It failed half-way or was interrupted.",
        "Finish it: xe pool-rotate-secret.",
    ),
    Entry(
        "pool.eject:INTERNAL_ERROR",
        _P,
        "The host is the master of its pool, and a master cannot be ejected",
        "The role of master has moved to it, or the pool has one host only.",
        "Hand the role to another member first.",
        pattern=r"Cannot_eject_master",
    ),
    Entry(
        "pool.eject:OPERATION_NOT_ALLOWED",
        _P,
        "Guests are on the host",
        "A guest was started there, or moved there, meanwhile.",
        "Move the guests away or shut them down.",
        pattern=r"VM resident on host",
    ),
    Entry(
        "LOCAL_STORAGE_HOLDS_DATA",
        _P,
        "The local storage {0} of the host holds data and would be emptied",
        "Disks of guests lie on storage that only this host has.",
        "Move or delete these disks first.",
    ),
    _running("POOL_OPERATION_IN_PROGRESS", "{code}"),
    _running("HA_ENABLE_IN_PROGRESS", "high availability is being turned on"),
    _running("HA_DISABLE_IN_PROGRESS", "high availability is being turned off"),
    _running("CLUSTER_CREATE_IN_PROGRESS", "a cluster is being created"),
    _running("DESIGNATE_NEW_MASTER_IN_PROGRESS", "the role of master is being handed over"),
    _running("TLS_VERIFICATION_ENABLE_IN_PROGRESS", "TLS verification is being turned on"),
    _running("CONFIGURE_REPOSITORIES_IN_PROGRESS", "update repositories are being set"),
    _running("SYNC_UPDATES_IN_PROGRESS", "updates are being fetched"),
    _running("SYNC_BUNDLE_IN_PROGRESS", "an update bundle is being fetched"),
    _running("APPLY_UPDATES_IN_PROGRESS", "updates are being applied"),
)
