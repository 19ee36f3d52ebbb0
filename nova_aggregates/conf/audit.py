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
    cfg.DictOpt(
        "policies",
        default={},
        help="What is done about a difference that two comparisons in a row have found, by its "
        "kind: report (default), adopt (the record follows the pool) or enforce (an operation "
        "makes the pool follow the record; it never ejects a host). Example: "
        "pool_name:enforce,master:adopt,member_unknown:adopt,member_missing:adopt",
    ),
    cfg.IntOpt("concurrency", default=8, min=1, help="Pools that are compared at the same time."),
]
