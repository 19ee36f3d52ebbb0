"""A wheel in an empty environment, away from the checkout."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The wheel in a new environment; the dependencies are lent from the one that runs the tests
    (by PYTHONPATH, so that its editable install of the checkout stays out of sight)."""
    directory = tmp_path_factory.mktemp("install")
    source = directory / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    venv.create(directory / "env", with_pip=True)
    python = directory / "env" / "bin" / "python"
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment["PYTHONPATH"] = sysconfig.get_path("purelib")
    command = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, str(source)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return directory / "env", environment


def run(installed, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    prefix, environment = installed
    return subprocess.run(
        [str(prefix / "bin" / command[0]), *command[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_package_is_not_the_checkout(installed, tmp_path):
    code = "import nova_aggregates; print(nova_aggregates.__file__)"
    done = run(installed, tmp_path, "python", "-c", code)
    assert done.stdout.strip().startswith(str(installed[0])), done.stdout + done.stderr
    assert sys.prefix not in done.stdout


def test_database_is_made_from_the_installed_repository(installed, tmp_path):
    config = tmp_path / "nova-aggregates.conf"
    config.write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/service.sqlite\n"
        f"[credentials]\nkey_file = {tmp_path}/credentials.key\n"
    )
    for arguments in (["credentials", "init"], ["db", "sync"], ["db", "version"]):
        command = ["nova-aggregates-manage", "--config-file", str(config), *arguments]
        done = run(installed, tmp_path, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "service.sqlite").stat().st_size > 0
    assert (tmp_path / "credentials.key").stat().st_mode & 0o077 == 0


def test_samples_are_installed(installed):
    folder = installed[0] / "etc" / "nova-aggregates"
    names = {path.name for path in folder.iterdir()}
    assert {"api-paste.ini", "nova-aggregates.conf.sample", "policy.yaml.sample"} <= names


@pytest.mark.parametrize(
    "script",
    [
        "nova-aggregates",
        "nova-aggregates-api",
        "nova-aggregates-manager",
        "nova-aggregates-all",
        "nova-aggregates-manage",
        "nova-aggregates-simulator",
    ],
)
def test_every_script_starts(installed, tmp_path, script):
    done = run(installed, tmp_path, script, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert "Warning" not in done.stderr, "a user has no use for our dependencies' warnings"


def test_the_client_tells_its_commands_at_once(installed, tmp_path):
    """Of the processor's time, which does not depend on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(installed, tmp_path, "nova-aggregates", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "aggregate-add-host" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.6
