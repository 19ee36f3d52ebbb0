"""``nova-aggregates-manage``: the schema of the database and the key of the stored passwords."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata

from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import NovaAggregatesError
from nova_aggregates.manager import rotation

PROG = "nova-aggregates-manage"
PROJECT = "nova-aggregates"


def db_sync(conf: cfg.ConfigOpts) -> None:
    """Bring the schema up, to the newest version unless one is given."""
    reached = migration.sync(conf.database.connection, conf.command.to_version)
    print(f"The database schema is at version {reached}.")


def db_version(conf: cfg.ConfigOpts) -> None:
    """Print the version that the database has and the one that this release needs."""
    print(f"actual {migration.version(conf.database.connection)}")
    print(f"needed {migration.needed()}")


def db_downgrade(conf: cfg.ConfigOpts) -> None:
    """Bring the schema back to an older version."""
    reached = migration.downgrade(conf.database.connection, conf.command.to_version)
    print(f"The database schema is at version {reached}.")


def credentials_init(conf: cfg.ConfigOpts) -> None:
    """Write a new key file."""
    SecretBox.create(conf.credentials.key_file)
    print(f"A new key is in {conf.credentials.key_file}. Keep a copy: without it the stored")
    print("passwords of the hosts are lost.")


def credentials_rotate(conf: cfg.ConfigOpts) -> None:
    """Encrypt every stored password with a new key."""
    migration.check(conf.database.connection)
    database, secrets = Database.from_conf(conf), SecretBox(conf.credentials.key_file)
    try:
        count = rotation.rotate(database, secrets)
        print(f"A new key is in {conf.credentials.key_file}; {count} passwords are encrypted with")
        print("it. Copy the file to every other machine of the service, and keep a copy.")
        if conf.command.drop_old:
            dropped = rotation.drop_old(database, secrets, settled_after=conf.command.settled_after)
            print(f"Former keys removed from the file: {dropped}.")
    finally:
        database.dispose()


def _add_commands(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    db = parsers.add_parser("db", help="the schema of the database")
    verbs = db.add_subparsers(dest="verb", required=True, metavar="sync|version|downgrade")
    sync = verbs.add_parser("sync", help="bring the schema up")
    sync.add_argument(
        "to_version", metavar="VERSION", type=int, nargs="?", help="the newest when not given"
    )
    sync.set_defaults(run=db_sync)
    version = verbs.add_parser("version", help="print the actual and the needed version")
    version.set_defaults(run=db_version)
    downgrade = verbs.add_parser(
        "downgrade", help="bring the schema back; what the older one has no place for is lost"
    )
    downgrade.add_argument("to_version", metavar="VERSION", type=int, help="0 removes everything")
    downgrade.set_defaults(run=db_downgrade)

    credentials = parsers.add_parser("credentials", help="the key of the stored passwords")
    verbs = credentials.add_subparsers(dest="verb", required=True, metavar="init|rotate")
    init = verbs.add_parser("init", help="write a new key file, readable by this user only")
    init.set_defaults(run=credentials_init)
    rotate = verbs.add_parser("rotate", help="encrypt every stored password with a new key")
    rotate.add_argument(
        "--drop-old",
        action="store_true",
        help="remove the former keys from the file at the end; only when no other machine still "
        "uses a copy of the file without the new key",
    )
    rotate.add_argument(
        "--settled-after",
        metavar="SECONDS",
        type=float,
        default=rotation.SETTLED_AFTER,
        help="how long to wait, before former keys are removed, for changes that were under way "
        "with one of them (default: %(default)s)",
    )
    rotate.set_defaults(run=credentials_rotate)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 1 after one line that says what to do."""
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf.register_cli_opt(cfg.SubCommandOpt("command", title="commands", handler=_add_commands))
    try:
        conf(
            sys.argv[1:] if argv is None else list(argv),
            project=PROJECT,
            prog=PROG,
            version=metadata.version("nova-aggregates"),
        )
        conf.command.run(conf)
    except (NovaAggregatesError, cfg.Error) as error:
        print(f"{PROG}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
