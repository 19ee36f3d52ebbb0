"""complete: a script that makes bash or zsh complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from cliff.command import Command

BASH = """_{function}() {{
    local words="$1" cur="${{COMP_WORDS[COMP_CWORD]}}" command="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in
            {cases}) command="$word" ;;
        esac
    done
    case "$command" in
{options}
        *) words="{globals} {commands}" ;;
    esac
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -o default -F _{function} {prog}
"""

ZSH = """#compdef {prog}
autoload -U +X bashcompinit && bashcompinit
"""


class Complete(Command):
    """Print a completion script for bash or zsh."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--shell", choices=("bash", "zsh"), default="bash", help="default: %(default)s"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        script = _bash(self.app.NAME, _options(self.app.parser), self._commands())
        head = ZSH.format(prog=self.app.NAME) if parsed_args.shell == "zsh" else ""
        self.app.stdout.write(head + script)

    def _commands(self) -> dict[str, list[str]]:
        found = {}
        for name, entry in sorted(self.app.command_manager):
            command = entry.load()(self.app, self.app_args)
            found[name] = _options(command.get_parser(name))
        return found


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted(
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    )


def _bash(prog: str, globals_: list[str], commands: Mapping[str, list[str]]) -> str:
    return BASH.format(
        prog=prog,
        function=prog.replace("-", "_"),
        globals=" ".join(globals_),
        commands=" ".join(commands),
        cases="|".join(commands),
        options="\n".join(
            f'        {name}) words="{" ".join(options)}" ;;' for name, options in commands.items()
        ),
    )
