"""[audit]: the comparison of every pool with its aggregate."""

from oslo_config import cfg

GROUP = cfg.OptGroup("audit", title="Audit")

OPTS = [
    cfg.FloatOpt(
        "interval",
        default=300.0,
        min=0.1,
        help="Seconds between two comparisons of a pool with its aggregate, spread over the pools.",
    ),
    cfg.IntOpt("concurrency", default=8, min=1, help="Pools that are compared at the same time."),
]
