"""[xenapi]: time limits towards XenServer. Seconds of the real clock throughout."""

from oslo_config import cfg

GROUP = cfg.OptGroup("xenapi", title="XenServer")

OPTS = [
    cfg.ListOpt(
        "networks",
        default=[],
        help="Networks in which hosts may be, such as 10.0.0.0/8; all but link-local and "
        "multicast addresses when empty.",
    ),
    cfg.FloatOpt("connect_timeout", default=10.0, min=0.1, help="Seconds to open a connection."),
    cfg.FloatOpt(
        "call_timeout", default=60.0, min=0.1, help="Seconds that one call may take to answer."
    ),
    cfg.FloatOpt(
        "join_deadline",
        default=600.0,
        min=1,
        help="Seconds from pool.join until the host must be enabled, live and attached.",
    ),
    cfg.FloatOpt(
        "eject_deadline",
        default=1800.0,
        min=1,
        help="Seconds from pool.eject until the host must be back as a pool of one.",
    ),
    cfg.FloatOpt(
        "handover_deadline",
        default=600.0,
        min=1,
        help="Seconds until a new master must serve and every member be enabled and live.",
    ),
    cfg.FloatOpt(
        "outage_deadline",
        default=120.0,
        min=0.1,
        help="Seconds that an operation waits for a host that stops answering between two calls.",
    ),
    cfg.FloatOpt(
        "role_change_window",
        default=20.0,
        min=0.1,
        help="Seconds that a host may go on answering in its old role after a join, an eject or a "
        "change of master (xapi restarts 10 seconds after it agreed).",
    ),
    cfg.FloatOpt(
        "disabled_grace",
        default=60.0,
        min=0.1,
        help="Seconds after which a live but disabled host counts as disabled on purpose rather "
        "than as still starting.",
    ),
    cfg.FloatOpt(
        "poll_interval", default=2.0, min=0.01, help="Seconds between two observations of a wait."
    ),
    cfg.StrOpt(
        "originator",
        default="nova-aggregates",
        help="Name given at login; XenServer counts sessions by it.",
    ),
]
