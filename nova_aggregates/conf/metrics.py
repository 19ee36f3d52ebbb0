"""[metrics]: what Prometheus is told, and who may ask."""

from oslo_config import cfg

GROUP = cfg.OptGroup("metrics", title="Metrics")

OPTS = [
    cfg.ListOpt(
        "networks",
        default=["127.0.0.0/8", "::1/128"],
        help="Networks whose machines may read /metrics of the API; the address is that of the "
        "connection, not what a proxy says.",
    ),
    cfg.PortOpt(
        "manager_port",
        default=0,
        help="TCP port at which nova-aggregates-manager serves /metrics; 0 is none. Under "
        "nova-aggregates-all the API's /metrics has the manager's numbers, too.",
    ),
    cfg.HostAddressOpt(
        "manager_host",
        default="127.0.0.1",
        help="Address at which nova-aggregates-manager serves /metrics.",
    ),
]
