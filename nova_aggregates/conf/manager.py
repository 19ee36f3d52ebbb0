"""[manager]: the process that runs operations."""

from oslo_config import cfg

GROUP = cfg.OptGroup("manager", title="Manager")

OPTS = [
    cfg.IntOpt(
        "max_operations",
        default=64,
        min=1,
        help="Operations that one manager runs at a time, each of another aggregate.",
    ),
    cfg.FloatOpt(
        "poll_interval",
        default=0.5,
        min=0.05,
        help="Seconds between two looks for queued operations.",
    ),
    cfg.FloatOpt(
        "observe_interval",
        default=60.0,
        min=0.1,
        help="Seconds between two readings of a host's inventory.",
    ),
    cfg.IntOpt(
        "retry_attempts",
        default=3,
        min=0,
        help="How often an operation is tried again that failed before it changed anything, for a "
        "reason that may pass by itself.",
    ),
    cfg.FloatOpt(
        "retry_delay",
        default=5.0,
        min=0.0,
        help="Seconds before the first of these attempts; they double with each further one.",
    ),
    cfg.FloatOpt(
        "retry_delay_max",
        default=300.0,
        min=0.0,
        help="The longest wait between two of these attempts, in seconds.",
    ),
]
