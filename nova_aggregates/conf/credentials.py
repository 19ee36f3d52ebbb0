"""[credentials]: how the passwords of hypervisors are kept."""

from oslo_config import cfg

GROUP = cfg.OptGroup("credentials", title="Credentials at rest")

OPTS = [
    cfg.StrOpt(
        "key_file",
        default="/etc/nova-aggregates/credentials.key",
        help="File with Fernet keys, one a line, the first one encrypts. It must be readable by "
        "the owner only. Made by: nova-aggregates-manage credentials init",
    ),
]
