"""The directive ``error-catalogue``: every XenAPI error code that the service explains."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from nova_aggregates.xenapi import catalogue

PARAMETER = re.compile(r"\{(\w+)\}")


class ErrorCatalogue(Directive):
    def run(self) -> list[nodes.Node]:
        found = nodes.definition_list()
        for entry in sorted(catalogue.entries(), key=lambda entry: (entry.code, entry.message)):
            found += _item(entry)
        return [found]


def _item(entry: catalogue.Entry) -> nodes.definition_list_item:
    body = nodes.definition()
    body += _line("Means", PARAMETER.sub("…", entry.message))
    body += _line("Likely cause", entry.cause)
    body += _line("Cure", entry.cure)
    if entry.retry_helps:
        body += _line("Retry", "The same request may succeed later with nothing done.")
    term = nodes.term("", "", nodes.literal(entry.code, entry.code))
    return nodes.definition_list_item("", term, body)


def _line(title: str, text: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong(title, f"{title}: "), nodes.Text(text))


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("error-catalogue", ErrorCatalogue)
    return {"parallel_read_safe": True}
