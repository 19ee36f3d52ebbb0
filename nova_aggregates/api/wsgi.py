"""What PasteDeploy calls, and what WSGI servers import.

The pipelines are in etc/nova-aggregates/api-paste.ini. Their order: the proxy's headers first,
since links and logs depend on them; then the request id, which faults name; then the faults, which
answer for everything below; then, below /v2.1, the microversion, which faults repeat; then the size
limit, before anybody reads a body; then authentication.
"""

from __future__ import annotations

import configparser
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_log import log
from paste import deploy

from nova_aggregates import conf as options
from nova_aggregates.api import router
from nova_aggregates.api.application import Application
from nova_aggregates.api.deployment import Deployment, current, loading
from nova_aggregates.exceptions import ConfigurationInvalid

# PasteDeploy lets everything through that it meets.
PASTE_ERRORS = (
    configparser.Error,
    ImportError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

PROJECT = "nova-aggregates"
CONFIG_VARIABLE = "NOVA_AGGREGATES_CONFIG"  # files for servers that pass no arguments


def app_factory(_global_conf: dict[str, str], **_local_conf: str) -> WSGIApplication:
    """paste.app_factory: everything below the root of one version."""
    return Application(current(), router.COMPUTE)


def versions_factory(_global_conf: dict[str, str], **_local_conf: str) -> WSGIApplication:
    """paste.app_factory: the root of the server."""
    return Application(current(), router.VERSIONS)


def pipeline_factory(loader: Any, global_conf: dict[str, str], **pipelines: str) -> WSGIApplication:
    """paste.composite_factory: one pipeline for each authentication strategy.

    :raises ConfigurationInvalid: there is none for the configured strategy.
    """
    strategy = current().conf.auth.strategy
    if strategy not in pipelines:
        raise ConfigurationInvalid(
            what=f"The paste configuration has no pipeline for [auth] strategy {strategy}",
            cure=f"use one of: {', '.join(sorted(pipelines))}.",
        )
    *filters, name = pipelines[strategy].split()
    application = loader.get_app(name, global_conf=global_conf)
    for filter_name in reversed(filters):
        application = loader.get_filter(filter_name, global_conf=global_conf)(application)
    return application


def prefix_factory(loader: Any, global_conf: dict[str, str], **prefixes: str) -> WSGIApplication:
    """paste.composite_factory: one application for each URL prefix; ``/`` gets the rest."""
    return Prefixes(
        {
            prefix.rstrip("/"): loader.get_app(name, global_conf=global_conf)
            for prefix, name in prefixes.items()
        }
    )


class Prefixes:
    """Hands a request to the application with the longest prefix that fits.

    Not paste.urlmap, which lowers and splits the Host header and answers 404 in HTML.
    """

    def __init__(self, applications: dict[str, WSGIApplication]) -> None:
        self._applications = sorted(applications.items(), key=lambda item: -len(item[0]))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        prefix, application = next(
            (item for item in self._applications if _fits(path, item[0])), self._applications[-1]
        )
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        environ["PATH_INFO"] = path[len(prefix) :]
        return application(environ, start_response)


def _fits(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def load(deployment: Deployment) -> WSGIApplication:
    """The application that the paste file describes.

    :raises ConfigurationInvalid: the file is missing or cannot be loaded.
    """
    path = _paste_file(deployment.conf)
    try:
        with loading(deployment):
            return deploy.loadapp(f"config:{path}", name="main")
    except PASTE_ERRORS as error:
        raise ConfigurationInvalid(
            what=f"The paste configuration {path} cannot be loaded ({error})",
            cure="compare it with the file that this release installs.",
        ) from error


def _paste_file(conf: cfg.ConfigOpts) -> Path:
    wanted = conf.api.paste_config
    found = conf.find_file(wanted)
    # A checkout and an installation carry their own.
    folders = (Path(__file__).parents[2] / "etc", Path(sys.prefix) / "etc")
    candidates = [Path(found)] if found else [folder / PROJECT / wanted for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    raise ConfigurationInvalid(
        what=f"The paste configuration {wanted} is missing",
        cure="name it in [api] paste_config, with its whole path.",
    )


def load_conf(files: list[str] | None) -> cfg.ConfigOpts:
    """The options of these files; ``None`` stands for the usual places of oslo.config."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    options.register(conf)
    conf([], project=PROJECT, default_config_files=files)
    return conf


class LazyApplication:
    """Built at the first request, so that importing this module has no effect.

    The configuration comes from the files in NOVA_AGGREGATES_CONFIG (separated by ``:``), else from
    the usual places of oslo.config.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._application: WSGIApplication | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._application is None:
            with self._lock:
                self._application = self._application or self._build()
        return self._application(environ, start_response)

    def _build(self) -> WSGIApplication:
        files = os.environ.get(CONFIG_VARIABLE)
        conf = load_conf(files.split(os.pathsep) if files else None)
        log.setup(conf, PROJECT)
        return load(Deployment.from_conf(conf))


application = LazyApplication()
