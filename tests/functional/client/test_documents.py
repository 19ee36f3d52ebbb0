"""The commands in the documents do what the documents say.

Blocks of the type ``console`` are run, page by page: the client's against the service with its
simulated hosts, the manager's with a configuration of their own. What needs another machine stands
in plain blocks: there the shell must understand every line, and our own commands their options.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_aggregates.client.exits import Exit
from nova_aggregates.client.main import Shell
from tests.functional.client.conftest import Terminal

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "doc" / "source").glob("*.rst"))
BLOCK = re.compile(r"^( *)(?:\.\. code-block:: (console)|(?!\.\. ).*::)\n((?:\n|\1 +.*\n)+)", re.M)
TELLING = {"preflight": {Exit.BLOCKED}, "aggregate-add-host": {Exit.BLOCKED}}


def blocks(page: Path, console: bool) -> Iterator[list[str]]:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if bool(match[2]) is console:
            lines = [line.strip() for line in match[3].splitlines() if line.strip()]
            yield [line.removeprefix("$ ") for line in lines]


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, console=True) for line in block]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "nova-aggregates.conf"
    (tmp_path / "locks").mkdir()
    path.write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/service.sqlite\n"
        f"[credentials]\nkey_file = {tmp_path}/key\n"
        f"[coordination]\nbackend_url = file://{tmp_path}/locks\n"
    )
    path.chmod(0o600)
    return path


def manage(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).parent / "nova-aggregates-manage"
    command = [str(script), "--config-file", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem
)
def test_commands_run(page: Path, request: pytest.FixtureRequest, config: Path) -> None:
    if page.stem != "install":
        for verb in (("credentials", "init"), ("db", "sync")):
            assert manage(config, *verb).returncode == 0
    for command in commands(page):
        program, *arguments = shlex.split(command)
        if program == "nova-aggregates":
            terminal: Terminal = request.getfixturevalue("terminal")
            result = terminal.process(*arguments)
            allowed = {Exit.OK, *TELLING.get(arguments[0], ())}
            assert result.code in allowed, (command, result)
        elif program == "nova-aggregates-manage":
            done = manage(config, *arguments)
            assert done.returncode == 0, (command, done)
        else:
            assert program == "export", f"{command}: a console block has commands of ours only"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_plain_blocks_are_understood(page: Path) -> None:
    shell = Shell()
    for block in blocks(page, console=False):
        text = "\n".join(block)
        if not re.search(r"^(nova-aggregates|systemctl|cp|pip|export|install|openstack)\b", text):
            continue
        checked = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, (text, checked.stderr)
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("nova-aggregates "):
                words = shlex.split(line.partition(">")[0])[1:]
                factory, name, arguments = shell.command_manager.find_command(words)
                factory(shell, None).get_parser(name).parse_args(arguments)
