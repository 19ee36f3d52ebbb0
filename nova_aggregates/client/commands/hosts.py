"""host-*: the hypervisors of the site."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import ssl
import sys
from pathlib import Path
from typing import Any

from nova_aggregates.client import asking
from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit
from nova_aggregates.client.output import ApiCommand, ListCommand, ShowCommand, rows

COLUMNS = {"host_name": "Host", "service": "Service", "zone": "Zone"}
HTTPS_PORT = 443
CONNECT_SECONDS = 10.0


class HostList(ListCommand):
    """List the registered hosts."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--zone", metavar="ZONE", help="only those of this zone")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return rows(COLUMNS, self.api.get("/os-hosts", zone=parsed_args.zone)["hosts"])


class HostShow(ShowCommand):
    """Show a host: its registration, its aggregate, and what it has and uses."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="its name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        path = self.api.host_path(parsed_args.host, "/registration")
        registration = self.api.get(path)["registration"]
        resources = {
            each["resource"]["project"].strip("()"): {
                key: each["resource"][key] for key in ("cpu", "memory_mb", "disk_gb")
            }
            for each in self.api.get(self.api.host_path(parsed_args.host))["host"]
        }
        return self.show({**registration, "resources": resources})


class HostRegister(ShowCommand):
    """Register a host, so that aggregates can have it.

    Without --fingerprint, --ca and --unverified its certificate is fetched, and its fingerprint
    shown for you to compare.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--address", required=True, help="IP address or DNS name")
        parser.add_argument("--port", type=int, default=HTTPS_PORT, help="default: %(default)s")
        parser.add_argument("--zone", required=True, help="availability zone")
        parser.add_argument("--user", default="root", help="default: %(default)s")
        parser.add_argument(
            "--password-file",
            metavar="FILE",
            help="file with the password, - for standard input; asked for when not given",
        )
        trust = parser.add_mutually_exclusive_group()
        trust.add_argument("--fingerprint", metavar="HEX", help="SHA-256 of its certificate")
        trust.add_argument("--ca", metavar="FILE", help="PEM file of the authority that signed it")
        trust.add_argument(
            "--unverified", action="store_true", help="talk to whoever answers at this address"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        host = {
            "name": parsed_args.name,
            "address": parsed_args.address,
            "port": parsed_args.port,
            "user": parsed_args.user,
            "zone": parsed_args.zone,
            **_trust(parsed_args),
            "password": _password(parsed_args),
        }
        answer = self.api.send("POST", "/os-hosts", {"host": host}, once=False)
        return self.show(answer.document["host"])


class HostDelete(ApiCommand):
    """Forget a host that is in no aggregate, with its password."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="its name")
        asking.add_option(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        question = f"Forget host {parsed_args.host} with its password?"
        asking.confirm(question, yes=parsed_args.yes)
        self.api.send("DELETE", self.api.host_path(parsed_args.host), once=False)


def _trust(parsed_args: argparse.Namespace) -> dict[str, Any]:
    if parsed_args.fingerprint:
        return {"fingerprint": parsed_args.fingerprint}
    if parsed_args.ca:
        return {"ca": _content(parsed_args.ca)}
    if parsed_args.unverified:
        return {"insecure": True}
    found = _fingerprint(parsed_args.address, parsed_args.port)
    question = (
        f"The certificate at {parsed_args.address}:{parsed_args.port} has the SHA-256 fingerprint "
        f"{found}. Is it that of {parsed_args.name}?"
    )
    asking.confirm(question, yes=False)
    return {"fingerprint": found}


def _fingerprint(address: str, port: int) -> str:
    try:
        pem = ssl.get_server_certificate((address, port), timeout=CONNECT_SECONDS)
    except OSError as error:
        raise ClientError(
            f"The certificate of {address}:{port} cannot be fetched from here ({error}): give "
            "--fingerprint or --ca.",
            Exit.UNREACHABLE,
        ) from None
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _password(parsed_args: argparse.Namespace) -> str:
    if parsed_args.password_file == "-":  # noqa: S105 - a file name
        return sys.stdin.readline().rstrip("\r\n")
    if parsed_args.password_file:
        return _content(parsed_args.password_file).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ClientError(
            "There is no terminal to ask for the password on: give --password-file.",
            Exit.NOT_CONFIRMED,
        )
    return getpass.getpass(f"Password of {parsed_args.user} at {parsed_args.name}: ")


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ClientError(f"{file} cannot be read ({reason}): name a readable text file.") from None
