"""[database]: where aggregates, hosts and operations are kept."""

from oslo_config import cfg

GROUP = cfg.OptGroup("database", title="Database")

OPTS = [
    cfg.StrOpt(
        "connection",
        default="sqlite:////var/lib/nova-aggregates/nova-aggregates.sqlite",
        secret=True,
        help="SQLAlchemy URL: sqlite:///FILE, postgresql+psycopg2://..., mysql+pymysql://...",
    ),
    cfg.IntOpt("pool_size", default=10, min=1, help="Connections kept open by one process."),
    cfg.IntOpt(
        "max_overflow", default=15, min=0, help="Connections opened beyond pool_size under load."
    ),
    cfg.IntOpt(
        "pool_timeout", default=10, min=1, help="Seconds to wait for a free connection of the pool."
    ),
    cfg.IntOpt(
        "max_retries",
        default=10,
        min=0,
        help="How often a transaction that met a deadlock, a serialization failure or a lock is "
        "run again.",
    ),
]
