"""[api]: the HTTP server."""

from oslo_config import cfg

GROUP = cfg.OptGroup("api", title="HTTP server")

OPTS = [
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="Address to listen on. The auth strategy noauth is refused unless it is a loopback "
        "address.",
    ),
    cfg.PortOpt("port", default=8774, help="TCP port to listen on."),
    cfg.IntOpt("workers", default=1, min=1, max=256, help="Number of prefork worker processes."),
    cfg.StrOpt(
        "paste_config",
        default="api-paste.ini",
        help="PasteDeploy file. A relative name is looked for in the configuration directories.",
    ),
    cfg.IntOpt(
        "max_body_bytes",
        default=114688,
        min=1024,
        help="Largest request body in bytes (112 KiB, as in Nova); a larger one is answered 413.",
    ),
    cfg.IntOpt(
        "socket_timeout",
        default=60,
        min=1,
        help="Seconds that a client may take between two bytes of a request, and that a connection "
        "may be idle between two requests.",
    ),
    cfg.FloatOpt(
        "header_timeout",
        default=20.0,
        min=0.1,
        help="Seconds that a client may take for the request line and the headers of a request, "
        "from their first byte to their end.",
    ),
    cfg.IntOpt(
        "backlog", default=1024, min=1, help="Length of the queue of unaccepted connections."
    ),
    cfg.StrOpt(
        "default_availability_zone",
        default="nova",
        help="The zone that v2.1 shows for hosts that no aggregate gives one.",
    ),
    cfg.FloatOpt(
        "service_down_time",
        default=180.0,
        min=0.1,
        help="Seconds without a word from a host after which its service is shown as down. More "
        "than [manager] observe_interval.",
    ),
    cfg.IntOpt(
        "answers_bytes",
        default=32 * 1024 * 1024,
        min=0,
        help="Memory of one worker for answers that are given again as long as nothing changes, "
        "in bytes. A list of 1,000 aggregates of 10 hosts takes 480 kB.",
    ),
    cfg.IntOpt(
        "max_connections", default=1000, min=1, help="Connections that one worker serves at a time."
    ),
]
