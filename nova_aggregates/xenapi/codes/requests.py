"""Errors of any call: the dispatcher, references, permissions, internal failures.

Source of the codes: xapi ``ocaml/xapi/server_helpers.ml`` and ``ocaml/idl/ocaml_backend``.
"""

from nova_aggregates.xenapi.codes.entry import Entry, Situation

_LOG = "Look at /var/log/xensource.log on the host."

ENTRIES = (
    Entry(
        "HANDLE_INVALID",
        Situation.GONE,
        "The {0} {1} is not in the pool's database",
        "It was removed meanwhile, or the host now belongs to another pool.",
        "Look at the pool again; references do not survive a change of pool.",
    ),
    Entry(
        "UUID_INVALID",
        Situation.GONE,
        "No {0} has the uuid {1}",
        "It was removed, or it belongs to another pool.",
        "Look at the pool again.",
    ),
    Entry(
        "MESSAGE_METHOD_UNKNOWN",
        Situation.REQUEST,
        "This release does not know the call {0}",
        "The host is older than the call, or the feature is not part of the product.",
        "Update the host.",
    ),
    Entry(
        "MESSAGE_PARAMETER_COUNT_MISMATCH",
        Situation.REQUEST,
        "This release takes {1} parameters for {0}, not {2}",
        "The host is older (or much newer) than the call's form.",
        "Update the host.",
    ),
    Entry(
        "MESSAGE_REMOVED",
        Situation.REQUEST,
        "This release no longer has the call",
        "The host is newer than this service knows.",
        "Update the service.",
    ),
    Entry(
        "MESSAGE_DEPRECATED",
        Situation.REQUEST,
        "This release refuses the call as deprecated",
        "The host is newer than this service knows.",
        "Update the service.",
    ),
    Entry(
        "MAP_DUPLICATE_KEY",
        Situation.BUSY,
        "The key {3} of {0}.{1} was set by somebody else at the same time",
        "Another administrator or tool writes the same key.",
        "Try again.",
        retry_helps=True,
    ),
    Entry(
        "OTHER_OPERATION_IN_PROGRESS",
        Situation.BUSY,
        "Another operation is under way on {0} {1} {2}",
        "Another tool, or an earlier call, still works on it.",
        "Wait until it has ended, then try again.",
        retry_helps=True,
    ),
    Entry(
        "TOO_MANY_PENDING_TASKS",
        Situation.BUSY,
        "The toolstack has too many calls waiting",
        "Many operations wait for the same object.",
        "Wait until the others have ended, then try again.",
        retry_helps=True,
    ),
    Entry(
        "TASK_CANCELLED",
        Situation.BUSY,
        "The task was cancelled",
        "Somebody cancelled it with another tool.",
        "Look at the pool, then try again.",
        retry_helps=True,
    ),
    Entry(
        "INVALID_VALUE",
        Situation.REQUEST,
        "The value of {0} is not accepted: {1}",
        "The call is wrong for this release.",
        _LOG,
    ),
    Entry(
        "FIELD_TYPE_ERROR",
        Situation.REQUEST,
        "The field {0} has the wrong type",
        "The call is wrong for this release.",
        _LOG,
    ),
    Entry(
        "XENAPI_MISSING_PLUGIN",
        Situation.REQUEST,
        "The plugin {0} is not installed on the host",
        "It is part of another product or release.",
        "Install it on every member of the pool.",
    ),
    Entry(
        "XENAPI_PLUGIN_FAILURE",
        Situation.INTERNAL,
        "The plugin failed: {params}",
        "The plugin's own reason stands in the message.",
        _LOG,
    ),
    Entry(
        "NOT_SUPPORTED_DURING_UPGRADE",
        Situation.PRECONDITION,
        "Not possible while updates are applied or the pool is being upgraded",
        "The members have different releases, or an update runs.",
        "Finish the upgrade of all members first.",
    ),
    Entry(
        "OPERATION_NOT_ALLOWED",
        Situation.PRECONDITION,
        "XenServer does not allow it: {0}",
        "The reason stands in the message.",
        "Remove the reason and try again.",
    ),
    Entry(
        "INTERNAL_ERROR",
        Situation.INTERNAL,
        "The toolstack failed: {params}",
        "A defect or a state that the toolstack did not expect.",
        _LOG,
    ),
    Entry(
        "INTERNAL_ERROR",
        Situation.INTERNAL,
        "A certificate is missing between the members: {params}",
        "A host joined while another member was restarting, so one lacks the other's certificate.",
        "Run xe pool-certificate-sync, then try again.",
        pattern=r"Stunnel_verify_error|certificate not found",
    ),
    Entry(
        "Fault",
        Situation.REQUEST,
        "This release cannot run the call in the background: {0}",
        "The call has no asynchronous form there.",
        "Update the host.",
    ),
)
