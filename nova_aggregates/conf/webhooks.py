"""[webhooks]: who is told of every step of every operation."""

from oslo_config import cfg

GROUP = cfg.OptGroup("webhooks", title="Webhooks")

OPTS = [
    cfg.ListOpt(
        "networks",
        default=[],
        help="Networks in which the receivers may be, such as 10.0.0.0/8; all but link-local and "
        "multicast addresses when empty.",
    ),
    cfg.ListOpt(
        "urls",
        default=[],
        secret=True,
        help="URLs to which each event of each operation is posted as JSON, in order and at least "
        "once. A new URL begins with what happens from then on.",
    ),
    cfg.StrOpt(
        "secret_file",
        default="/etc/nova-aggregates/webhooks.key",
        help="File with the key of the header X-Nova-Aggregates-Signature (sha256=HMAC of the "
        "body). It must be readable by the owner only. Needed when urls is set.",
    ),
    cfg.IntOpt(
        "attempts",
        default=8,
        min=1,
        help="Tries at one event, with growing pauses, until the URL is reported as not answering. "
        "Its events are kept and tried again; none is skipped.",
    ),
    cfg.FloatOpt("timeout", default=10.0, min=0.1, help="Seconds that one post may take."),
]
