"""[rate_limit]: how much one user may ask for."""

from oslo_config import cfg

GROUP = cfg.OptGroup("rate_limit", title="Rate limit")

OPTS = [
    cfg.FloatOpt(
        "requests_per_second",
        default=50.0,
        min=0.0,
        help="Requests that one user may send to one worker process in the long run; 0 is no "
        "limit. One that comes too early is answered 413 overLimit with Retry-After.",
    ),
    cfg.IntOpt(
        "burst", default=200, min=1, help="Requests that a user may send at once after a pause."
    ),
    cfg.BoolOpt(
        "loopback", default=False, help="Whether callers on this machine are limited, too."
    ),
]
