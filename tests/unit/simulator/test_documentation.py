"""What the simulator's page says is what there is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from nova_aggregates.simulator import changes, control, outsider, scenario, set_up, site_file, spec
from nova_aggregates.simulator.faults import ACTIONS, FLAGS
from nova_aggregates.simulator.furnishing import BLOCKERS

PAGE = (Path(__file__).parents[3] / "doc/source/simulator.rst").read_text()
SPECS = [
    spec.HostSpec, spec.PoolSpec, spec.GuestSpec, spec.StorageSpec, spec.NetworkSpec,
    spec.DiskSpec, spec.UpdateSpec,
]  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [changes.VERBS, ACTIONS, FLAGS, set_up.CHANGES, outsider.GUEST_VERBS, BLOCKERS, scenario.KINDS],
)
def test_every_name_is_told(names: list[str]) -> None:
    assert [n for n in names if f"``{n}``" not in PAGE] == []


@pytest.mark.parametrize("kind", SPECS)
def test_every_field_of_a_site_file_is_told(kind: type) -> None:
    fields = [f.name for f in dataclasses.fields(kind)]
    assert [n for n in fields if f"``{n}``" not in PAGE] == []


def test_every_request_of_the_control_api_is_told() -> None:
    others = {"/fault", "/wire", "/change", "/guest", "/call"}  # older forms of /event
    told = {f"{v} {p}" for v, p in re.findall(r"``(GET|POST|DELETE) (/[a-z-]+)", PAGE)}
    assert told == {f"{v} {p}" for v, p in control.ROUTES if p not in others}


def test_the_examples_are_good_ones() -> None:
    blocks = re.findall(r"code-block:: yaml\n\n((?:   .*\n|\n)+)", PAGE)
    site, events = (re.sub("^   ", "", b, flags=re.MULTILINE) for b in blocks)
    assert len(site_file.loads(site).hosts) == 3
    for line in events.strip().splitlines():
        scenario.parse(yaml.safe_load(line))
