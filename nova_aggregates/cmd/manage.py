"""``nova-aggregates-manage``: the schema of the database, the key of the stored passwords, and
the import of pools."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.cmd import doctor
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.db.tables import NAME_LENGTH
from nova_aggregates.exceptions import ConfigurationInvalid, NovaAggregatesError
from nova_aggregates.flows import pool_import as flow
from nova_aggregates.manager import rotation
from nova_aggregates.manager.aggregates import AggregateManager
from nova_aggregates.objects import Credentials, Requester, Trust

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


def pool_import(conf: cfg.ConfigOpts) -> None:
    """Record an existing pool as an aggregate."""
    migration.check(conf.database.connection)
    asked = conf.command
    secrets = SecretBox(conf.credentials.key_file)
    source = flow.Source(
        address=asked.address,
        port=asked.port,
        credentials=Credentials(asked.user, _password(asked.password_file)),
        trust=Trust(
            fingerprint=asked.fingerprint,
            ca=_content(asked.ca) if asked.ca else None,
            insecure=asked.insecure,
        ),
        zone=asked.zone,
        name=asked.aggregate_name,
    )
    found = flow.read(conf, source)
    database = Database.from_conf(conf)
    try:
        who = Requester(PROG, PROG, PROG)
        done = AggregateManager(database, secrets).import_pool(who, found)
    finally:
        database.dispose()
    verb = "is now" if done.created else "was already"
    print(f"The pool {found.xen_uuid} {verb} aggregate {done.aggregate.id}: {done.aggregate.name}")
    for title, hosts in (
        ("registered", done.registered),
        ("new members", done.joined),
        ("members", done.aggregate.hosts),
    ):
        print(f"{title}: {', '.join(hosts) or 'none'}")


def diagnose(conf: cfg.ConfigOpts) -> None:
    """Look at everything that the service depends on.

    :raises SystemExit: 2, something is bad.
    """
    if doctor.report(conf):
        raise SystemExit(2)


def _password(file: str | None) -> str:
    if file is not None:
        return _content(file).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigurationInvalid(
            what="There is no terminal to ask for the password on",
            cure="give --password-file with a file that holds it.",
        )
    return getpass.getpass("Password of the pool: ")


def _content(file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationInvalid(
            what=f"{file} cannot be read ({reason})", cure="name a readable text file."
        ) from None


def _add_pool(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pool = parsers.add_parser("pool", help="pools that exist already")
    verbs = pool.add_subparsers(dest="verb", required=True, metavar="import")
    parser = verbs.add_parser(
        "import", help="record a pool as an aggregate; nothing is changed at the pool"
    )
    parser.add_argument("--address", required=True, help="IP address or name of the pool's master")
    parser.add_argument("--user", required=True, help="an administrator of the pool")
    parser.add_argument("--password-file", metavar="FILE", help="else the password is asked for")
    parser.add_argument("--port", type=_port, default=443, help="default: %(default)s")
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument(
        "--fingerprint", metavar="HEX", type=_plain_hex, help="SHA-256 of the master's certificate"
    )
    trust.add_argument("--ca", metavar="FILE", help="PEM file of the authority of all certificates")
    trust.add_argument("--insecure", action="store_true", help="do not verify certificates")
    parser.add_argument(
        "--name",
        dest="aggregate_name",
        type=_name,
        help="name of the aggregate; the pool's when not given",
    )
    parser.add_argument(
        "--zone",
        type=_name,
        default="nova",
        help="availability zone of the aggregate (default: %(default)s)",
    )
    parser.set_defaults(run=pool_import)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _name(text: str) -> str:
    if not (text.isprintable() and text == text.strip() and 1 <= len(text) <= NAME_LENGTH):
        raise argparse.ArgumentTypeError(
            f"a name has 1 to {NAME_LENGTH} printable characters, no blanks at its ends"
        )
    return text


def _plain_hex(text: str) -> str:
    return text.replace(":", "").strip().lower()


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
    _add_pool(parsers)
    text = "check database, locks, key, files, and every host; nothing is changed; 2 if it is bad"
    parsers.add_parser("doctor", help=text).set_defaults(run=diagnose)


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
