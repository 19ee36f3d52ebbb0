"""[coordination]: locks between managers."""

from oslo_config import cfg

GROUP = cfg.OptGroup("coordination", title="Locks between managers")

OPTS = [
    cfg.StrOpt(
        "backend_url",
        default="file:///var/lib/nova-aggregates/locks",
        secret=True,
        help="tooz URL of the lock service. file:// serves one machine only.",
    ),
]
