"""The samples in etc/ are what the code would generate now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "etc" / "nova-aggregates"
CONF = ["nova_aggregates", "oslo.log", "keystonemiddleware.auth_token"]


@pytest.mark.parametrize(
    ("script", "namespaces", "sample"),
    [
        ("oslo-config-generator", CONF, "nova-aggregates.conf.sample"),
        ("oslopolicy-sample-generator", ["nova_aggregates"], "policy.yaml.sample"),
    ],
)
def test_sample_is_in_step(tmp_path, script, namespaces, sample):
    command = [str(Path(sys.executable).parent / script)]
    for namespace in namespaces:
        command += ["--namespace", namespace]
    made = tmp_path / sample
    subprocess.run([*command, "--output-file", str(made)], check=True, capture_output=True)
    assert made.read_text() == (SAMPLES / sample).read_text(), "run: tox -e samples"


@pytest.mark.parametrize("sample", ["nova-aggregates.conf.sample", "policy.yaml.sample"])
def test_sample_names_nothing_of_the_machine_that_made_it(sample):
    text = (SAMPLES / sample).read_text()
    for word in (str(ROOT), str(Path.home()), sys.prefix):
        assert word not in text
