"""[maintenance]: how hosts are taken out of service and back."""

from oslo_config import cfg

GROUP = cfg.OptGroup("maintenance", title="Maintenance")

OPTS = [
    cfg.IntOpt(
        "concurrency",
        default=3,
        min=1,
        max=64,
        help="Guests that are moved off one host at a time, unless the request says otherwise.",
    ),
    cfg.FloatOpt(
        "migration_bandwidth",
        default=100.0,
        min=0.1,
        help="MiB a second that one host sends while its guests move. Only for the estimated time "
        "of a plan.",
    ),
    cfg.FloatOpt(
        "boot_deadline",
        default=1200.0,
        min=1,
        help="Seconds from host.reboot or host.power_on until the host must be live again, and "
        "from host.shutdown until it must be down.",
    ),
    cfg.FloatOpt(
        "headroom_interval",
        default=300.0,
        min=0.1,
        help="Seconds between two looks at how many hosts a pool can lose.",
    ),
]
