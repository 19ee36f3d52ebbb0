"""An authentication filter for tests: the token is ``user:project:role,role``; without roles it is
an administrator's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from oslo_context.context import RequestContext

from nova_aggregates.api.call import CONTEXT

PASTE = Path(__file__).parents[3] / "etc" / "nova-aggregates" / "api-paste.ini"


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Any]:
    def wrap(application: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            user, project, roles = (environ.get("HTTP_X_AUTH_TOKEN", "") + "::").split(":")[:3]
            environ[CONTEXT] = RequestContext(
                user_id=user, project_id=project, roles=roles.split(",") if roles else ["admin"]
            )
            return application(environ, start_response)

        return call

    return wrap


def paste_file(folder: Path) -> Path:
    """The pipelines of this release with this filter in place of noauth."""
    installed = "use = egg:nova-aggregates#noauth\n"
    text = PASTE.read_text(encoding="utf-8")
    assert installed in text
    path = folder / "roles-paste.ini"
    ours = f"paste.filter_factory = {__name__}:filter_factory\n"
    path.write_text(text.replace(installed, ours), encoding="utf-8")
    return path
