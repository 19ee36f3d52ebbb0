"""The service as a filter in somebody else's pipeline: our paths are ours, the rest goes on.

To stand behind the filter that authenticates. A context that Nova made is taken as it is, else what
keystonemiddleware found counts; a request that neither has seen is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

from oslo_context.context import RequestContext
from oslo_middleware.request_id import ENV_REQUEST_ID

from nova_aggregates.api import router
from nova_aggregates.api.application import Application
from nova_aggregates.api.call import CONTEXT
from nova_aggregates.api.deployment import Deployment, loading
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.middleware import sizelimit
from nova_aggregates.api.middleware.faults import Faults
from nova_aggregates.api.middleware.microversion import Microversion
from nova_aggregates.api.middleware.request_id import RequestId
from nova_aggregates.api.router import first_part
from nova_aggregates.api.serialization import split_suffix
from nova_aggregates.api.wsgi import WSGIApplication, load_conf
from nova_aggregates.exceptions import ConfigurationInvalid

VERSIONS = ("1.1", "2.1")
# Resources of our own or of Nova's extensions; the rest is about the API that we are laid over.
PATHS = frozenset(part for part in router.FIRST_PARTS if part.startswith("os-"))
# Set by Nova's and by keystonemiddleware's filter; no header of a client can.
NOVA_CONTEXT = "nova.context"
KEYSTONE = "keystone.token_auth"


def filter_factory(
    _global_conf: dict[str, str],
    *,
    config_files: str = "",
    version: str = "2.1",
    paths: str = "",
) -> Callable[[WSGIApplication], WSGIApplication]:
    """paste.filter_factory: lay the service over the application that follows.

    :param config_files: files separated by ``:``; without them those of the usual places.
    :param version: the version of the API that is spoken at this place, 1.1 or 2.1.
    :param paths: the resources that are ours, separated by white space; by default all that are.
    :raises ConfigurationInvalid: an option cannot be used.
    """
    if version not in VERSIONS:
        raise ConfigurationInvalid(
            what=f"The overlay's version is {version}", cure=f"use one of: {', '.join(VERSIONS)}."
        )
    wanted = frozenset(paths.split()) or PATHS
    if wanted - PATHS:
        raise ConfigurationInvalid(
            what=f"The overlay has no path {', '.join(sorted(wanted - PATHS))}",
            cure=f"use some of: {' '.join(sorted(PATHS))}.",
        )
    conf = load_conf(config_files.split(os.pathsep) if config_files else None)
    ours = application(Deployment.from_conf(conf), microversions=version == "2.1")
    return lambda following: Overlay(ours, following, wanted, project_optional=version == "2.1")


def application(deployment: Deployment, *, microversions: bool) -> WSGIApplication:
    """Everything that a request needs but a caller, who is known already."""
    with loading(deployment):
        limited = sizelimit.filter_factory({})(Caller(Application(deployment, router.COMPUTE)))
    return Numbered(Faults(Microversion(limited) if microversions else limited))


class Caller:
    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        context = environ.get(NOVA_CONTEXT)
        if context is None and KEYSTONE in environ:
            context = RequestContext.from_environ(environ)
        if context is None:
            raise Fault(401, "Nobody has authenticated this request.")
        environ[CONTEXT] = context
        return self._application(environ, start_response)


class Numbered:
    """Gives a request an id, unless the pipeline has done so."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._numbering = RequestId(application)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        following = self._application if ENV_REQUEST_ID in environ else self._numbering
        return following(environ, start_response)


class Overlay:
    def __init__(
        self,
        ours: WSGIApplication,
        following: WSGIApplication,
        paths: Collection[str],
        *,
        project_optional: bool,
    ) -> None:
        self._ours = ours
        self._following = following
        self._paths = paths
        self._project_optional = project_optional

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        application = self._ours if self._is_ours(environ["PATH_INFO"]) else self._following
        return application(environ, start_response)

    def _is_ours(self, path: str) -> bool:
        first = first_part(path)
        if self._project_optional and first in self._paths:
            return True
        resource = first_part(path[len(first) + 1 :])
        if not self._project_optional:
            resource = split_suffix(resource)[0]
        return resource in self._paths
