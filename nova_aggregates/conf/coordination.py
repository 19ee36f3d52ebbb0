"""[coordination]: locks between managers."""

from oslo_config import cfg

GROUP = cfg.OptGroup("coordination", title="Locks between managers")

OPTS = [
    cfg.StrOpt(
        "backend_url",
        default="file:///var/lib/nova-aggregates/locks",
        secret=True,
        help="tooz URL of the lock service. file:// serves one machine only; several share "
        "etcd3+http://HOST:2379, etcd3+https://, redis://, postgresql:// or mysql://. What each "
        "promises: see the document on several managers.",
    ),
    cfg.StrOpt(
        "namespace",
        default="nova-aggregates",
        regex=r"^[A-Za-z0-9._-]{1,32}$",
        help="Begins the name of every lock. Services that share a lock service but no database "
        "need different ones.",
    ),
]
