"""Who is asking: the request's context, for the strategies http_basic and keystone."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any

import webob.exc
from oslo_context.context import RequestContext
from oslo_log import log
from oslo_middleware import basic_auth
from oslo_middleware import exceptions as middleware_exceptions
from oslo_middleware.request_id import ENV_REQUEST_ID, GLOBAL_REQ_ID

from nova_aggregates.api.call import CONTEXT
from nova_aggregates.api.deployment import current
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import VERSION
from nova_aggregates.api.router import FIRST_PARTS, first_part
from nova_aggregates.exceptions import ConfigurationInvalid

LOG = log.getLogger(__name__)

ADMIN_ROLES = ["admin"]
# What they tell is not worth a password.
OPEN_PATHS = ("", "/", "/openapi.json")
REALM = 'Basic realm="nova-aggregates"'
REMEMBERED = 128  # passwords


def project_in_path(environ: dict[str, Any]) -> str:
    first = first_part(environ["PATH_INFO"])
    # Below /v2.1 the path need not name one.
    return "" if VERSION in environ and first in FIRST_PARTS else first


def admin_context(environ: dict[str, Any], user: str, project: str) -> RequestContext:
    return RequestContext(
        user_id=user,
        project_id=project,
        roles=ADMIN_ROLES,
        request_id=environ.get(ENV_REQUEST_ID),
        global_request_id=environ.get(GLOBAL_REQ_ID),
    )


def basic_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], BasicContext]:
    """:raises ConfigurationInvalid: the htpasswd file is missing or has hashes of other kinds."""
    path = current().conf.auth.http_basic_file
    try:
        basic_auth.validate_auth_file(path)
    except (middleware_exceptions.ConfigInvalid, webob.exc.HTTPException, OSError) as error:
        raise ConfigurationInvalid(
            what=f"The htpasswd file {path} cannot be used ({getattr(error, 'detail', error)})",
            cure="name one with bcrypt hashes in [auth] http_basic_file; make it with: "
            f"htpasswd -B -c {path} admin",
        ) from None
    _require_private(path)
    return lambda application: BasicContext(application, path)


def _require_private(path: str) -> None:
    if os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationInvalid(
            what=f"The htpasswd file {path} is open to other users", cure=f"run: chmod 600 {path}"
        )


class BasicContext:
    """HTTP basic authentication; every user of the file is an administrator.

    bcrypt is slow on purpose and would stop every other request for its time, so a password that
    was verified is remembered (as a keyed hash, together with its line of the file).
    """

    def __init__(self, application: Any, path: str) -> None:
        self._application = application
        self._path = path
        self._key = os.urandom(32)
        self._verified: dict[bytes, None] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in OPEN_PATHS:
            user = self._authenticate(environ)
            environ[CONTEXT] = admin_context(environ, user, project_in_path(environ))
        return self._application(environ, start_response)

    def _authenticate(self, environ: dict[str, Any]) -> str:
        try:
            user, password = basic_auth.parse_token(basic_auth.parse_header(environ))
        except webob.exc.HTTPException:
            raise _unauthorized("This request needs a user name and a password.") from None
        entry = self._entry(user)
        if entry is None or not self._matches(entry, password):
            raise _unauthorized("The user name or the password is wrong.")
        return user

    def _entry(self, user: str) -> str | None:
        try:
            with open(self._path, encoding="utf-8") as file:
                entries = [line.strip() for line in file]
        except (OSError, ValueError):
            raise Fault(503, "The file of users cannot be read. Try again later.") from None
        return next((entry for entry in entries if entry.startswith(f"{user}:")), None)

    def _matches(self, entry: str, password: bytes) -> bool:
        digest = hmac.digest(self._key, entry.encode() + b"\0" + password, hashlib.sha256)
        if digest in self._verified:
            return True
        try:
            basic_auth.auth_entry(entry, password)
        except (webob.exc.HTTPException, ValueError):  # bcrypt refuses NUL and more than 72 bytes
            return False
        if len(self._verified) >= REMEMBERED:
            self._verified.clear()
        self._verified[digest] = None
        return True


def _unauthorized(message: str) -> Fault:
    return Fault(401, message, {"WWW-Authenticate": REALM})


def authtoken_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[Any], KeystoneToken]:
    """keystonemiddleware with the options of [keystone_authtoken].

    :raises ConfigurationInvalid: the options do not suffice to reach Keystone.
    """
    return lambda application: KeystoneToken(application, {**global_conf, **local_conf})


class KeystoneToken:
    """Lets keystonemiddleware judge the token, but on the open paths."""

    def __init__(self, application: Any, paste_conf: dict[str, Any]) -> None:
        from keystoneauth1.exceptions import ClientException
        from keystonemiddleware import auth_token

        self._application = application
        self._keystone_error = ClientException
        conf = current().conf
        try:
            self._authtoken = auth_token.AuthProtocol(
                application, {**paste_conf, "oslo_config_config": conf}
            )
        except (ClientException, auth_token.ConfigurationError) as error:
            raise _keystone_unusable(str(error)) from None
        options = conf.keystone_authtoken
        if not (options.auth_type or options.auth_section or "auth_type" in paste_conf):
            raise _keystone_unusable("auth_type is not set")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] in OPEN_PATHS:
            return self._application(environ, start_response)
        try:
            return self._authtoken(environ, start_response)
        except self._keystone_error as error:
            LOG.error("token cannot be validated: %s", error)
            raise Fault(503, "The identity service cannot judge the token now.") from None


def _keystone_unusable(reason: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        what=f"Keystone cannot be used ({reason})",
        cure="mend the section [keystone_authtoken], or set [auth] strategy to http_basic.",
    )


def keystone_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], KeystoneContext]:
    return KeystoneContext


class KeystoneContext:
    """The caller as keystonemiddleware found him."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in OPEN_PATHS:
            environ[CONTEXT] = RequestContext.from_environ(environ)
        return self._application(environ, start_response)
