"""From options, OS_* variables and clouds.yaml to a session of keystoneauth1.

An option of the command line counts more than a variable, a variable more than the file.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from nova_aggregates.client import clouds
from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit

API_VERSION = "v1.1"
DEFAULT_PROJECT = "admin"  # of a service without projects
SERVICE_TYPE = "compute"

# The option without its prefix, its metavar and its help. Variables are named alike: OS_USERNAME.
OPTIONS = (
    ("cloud", "NAME", "a cloud of clouds.yaml, which has the rest"),
    (
        "auth-type",
        "TYPE",
        "password, token, http_basic, none or another plug-in of keystoneauth1; found out from "
        "what is given by default",
    ),
    ("auth-url", "URL", "the identity service"),
    ("endpoint", "URL", "this service; by default from the catalogue of the identity service"),
    ("username", "NAME", "who logs in"),
    ("user-domain-name", "NAME", "his domain"),
    ("user-domain-id", "ID", "his domain, by id"),
    ("password", "WORD", "his password; asked for on a terminal when it is not given"),
    ("token", "TOKEN", "a token instead of a user"),
    ("project-name", "NAME", "the project"),
    ("project-id", "ID", "the project, by id"),
    ("project-domain-name", "NAME", "its domain"),
    ("project-domain-id", "ID", "its domain, by id"),
    ("region-name", "NAME", "the region in the catalogue"),
    ("interface", "NAME", "public, internal or admin (default: public)"),
    ("service-type", "TYPE", f"the type in the catalogue (default: {SERVICE_TYPE})"),
    ("cacert", "FILE", "the authorities that certificates are checked against"),
    ("cert", "FILE", "a certificate of the client"),
    ("key", "FILE", "its key"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("log-in (each also as a variable, such as OS_USERNAME)")
    for name, metavar, text in OPTIONS:
        group.add_argument(f"--os-{name}", metavar=metavar, help=text)
    group.add_argument("--insecure", action="store_true", help="do not check certificates")
    group.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long one request may take (default: %(default)s)",
    )


class Settings:
    """What was given, from wherever it was given."""

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._options = vars(options)
        self._environment = environment
        self._cloud: dict[str, Any] = {}
        name = self.get("cloud")
        if name:
            self._cloud = clouds.read(name, environment)

    def get(self, name: str) -> Any:
        key = name.replace("-", "_")
        given = self._options.get(f"os_{key}") or self._environment.get(f"OS_{key.upper()}")
        if given:
            return given
        auth = self._cloud.get("auth") or {}
        return auth.get(key, self._cloud.get(key))

    def region(self) -> str | None:
        regions = self._cloud.get("regions") or [None]
        first = regions[0]
        return self.get("region-name") or (first["name"] if isinstance(first, dict) else first)

    def endpoint(self) -> str | None:
        named = f"{self.service_type().replace('-', '_')}_endpoint_override"
        return self.get("endpoint") or self._cloud.get(named)

    def service_type(self) -> str:
        return self.get("service-type") or SERVICE_TYPE

    def verify(self) -> bool | str:
        if self._options["insecure"] or self._cloud.get("verify") is False:
            return False
        return self.get("cacert") or True

    def auth_type(self) -> str:
        """The plug-in that was asked for, or the one that fits what was given.

        :raises ClientError: too little was given.
        """
        if self.get("auth-type"):
            return str(self.get("auth-type"))
        url, endpoint = self.get("auth-url"), self.endpoint()
        if self.get("token") and (url or endpoint):
            return "token" if url else "admin_token"
        if self.get("username") and (url or endpoint):
            return "password" if url else "http_basic"
        if endpoint:
            return "none"
        raise ClientError(
            "It is not known where the service is: give --os-cloud, or --os-auth-url with "
            "--os-username, or --os-endpoint (or the OS_* variables).",
            Exit.UNREACHABLE,
        )


def adapter(options: argparse.Namespace, environment: Mapping[str, str]) -> Any:
    """A keystoneauth1 adapter whose paths begin at the project's root of this service.

    :raises ClientError: too little was given.
    :raises keystoneauth1.exceptions.ClientException: the identity service does not let us in.
    """
    from keystoneauth1 import adapter as adapters
    from keystoneauth1 import loading, session

    settings = Settings(options, environment)
    loader: Any = loading.get_plugin_loader(settings.auth_type())
    plugin = loader.load_from_options(**_plugin_options(loader, settings))
    cert, key = settings.get("cert"), settings.get("key")
    connection = session.Session(
        auth=plugin,
        verify=settings.verify(),
        cert=(cert, key) if cert and key else cert,
        timeout=options.timeout,
        app_name="nova-aggregates",
    )
    interface = settings.get("interface") or "public"
    found = settings.endpoint() or connection.get_endpoint(
        service_type=settings.service_type(),
        interface=interface,
        region_name=settings.region(),
    )
    if not found:
        raise ClientError(
            f"The catalogue has no {interface} endpoint of the type {settings.service_type()}: "
            "check --os-service-type, --os-interface and --os-region-name, or give --os-endpoint.",
            Exit.UNREACHABLE,
        )
    project = settings.get("project-id") or connection.get_project_id()
    root = project_root(found, project or settings.get("project-name") or DEFAULT_PROJECT)
    return adapters.Adapter(connection, endpoint_override=root, raise_exc=False)


def _plugin_options(loader: Any, settings: Settings) -> dict[str, Any]:
    given = {}
    for option in loader.get_options():
        names = (option.dest, *(old.dest for old in option.deprecated))
        found = next((value for name in names if (value := settings.get(name))), None)
        given[option.dest] = settings.endpoint() if option.dest == "endpoint" else found
    if "password" in given and not given["password"]:
        given["password"] = _ask(given.get("username") or given.get("user_id"))
    return {name: value for name, value in given.items() if value is not None}


def _ask(user: str | None) -> str:
    if not sys.stdin.isatty():
        raise ClientError(
            "No password was given and there is no terminal to ask on: set OS_PASSWORD.",
            Exit.UNREACHABLE,
        )
    return getpass.getpass(f"Password of {user}: ")


def project_root(endpoint: str, project: str) -> str:
    """Where the project's resources are, whichever version the catalogue names.

    :raises ClientError: the endpoint is no URL.
    """
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise ClientError(
            f"The endpoint {endpoint} is no URL: it looks like http://host:8774.", Exit.UNREACHABLE
        )
    parts = [part for part in url.path.split("/") if part]
    at = next((i for i, part in enumerate(parts) if _is_version(part)), len(parts))
    named = parts[at + 1] if at + 1 < len(parts) else quote(project, safe="")
    path = "/".join(["", *parts[:at], API_VERSION, named])
    return urlunsplit((url.scheme, url.netloc, path, "", ""))


def _is_version(part: str) -> bool:
    return part[:1] == "v" and part[1:].replace(".", "").isdigit()
