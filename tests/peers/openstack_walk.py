"""python-openstackclient's commands, each as its shell runs it, all in one process (every start of
it costs seconds). Reads a list of argument lists from stdin; prints a list of what each printed."""

import contextlib
import io
import json
import sys

from openstackclient import shell


def run(arguments: list[str]) -> list[object]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = shell.main(arguments)
    return [status, output.getvalue()]


print(json.dumps([run(arguments) for arguments in json.load(sys.stdin)]))
