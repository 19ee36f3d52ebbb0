"""The version documents."""

from __future__ import annotations

from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import LINKS, TEXT, answer, answers

FIELDS = {
    "id": TEXT,
    "status": {"enum": ["CURRENT", "SUPPORTED"]},
    "version": TEXT,
    "min_version": TEXT,
    "updated": TEXT,
    "links": LINKS,
}
MEDIA_TYPES = {"type": "array", "items": answer({"base": TEXT, "type": TEXT})}

# At the root of the server; not in the route table of the versions.
INDEX = answers("versions", answer(FIELDS))
SHOW = answer({"version": answer({**FIELDS, "media-types": MEDIA_TYPES})})

# Of which tests know more.
DESCRIPTION: Schema = {"type": "object", "required": ["openapi", "info", "paths", "components"]}

EXCHANGES = {
    "GET /": Exchange("Show the version of the API.", {200: SHOW}),
    "GET /openapi.json": Exchange("Describe this version of the API.", {200: DESCRIPTION}),
    "GET /openapi": Exchange("Describe this version of the API.", {200: DESCRIPTION}),
}
