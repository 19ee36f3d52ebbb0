"""[auth]: which pipeline of the paste configuration is used."""

from oslo_config import cfg

GROUP = cfg.OptGroup("auth", title="Authentication")

OPTS = [
    cfg.StrOpt(
        "strategy",
        default="keystone",
        choices=[
            ("noauth", "every caller is an administrator; loopback only"),
            ("http_basic", "user names and bcrypt hashes in an htpasswd file"),
            ("keystone", "tokens validated by keystonemiddleware"),
        ],
        help="How callers are authenticated.",
    ),
    cfg.StrOpt(
        "http_basic_file",
        default="/etc/nova-aggregates/htpasswd",
        help="The htpasswd file of the strategy http_basic.",
    ),
]
