"""Runs the command in forks of one process that has imported it already: a run then costs no import.

A request is one line of JSON on standard input: the arguments, the working folder, the environment and the files that
stand for the three standard streams. The answer is one line with the exit code, when the command has ended.
"""

import importlib
import json
import os
import sys

from api.cli.main import main

NEEDED = ("api.app", "assets.execute", "warehouse.importers")
"""What the commands import when they need it."""

FLAGS = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def serve() -> None:
    """Answer requests until the input ends."""
    for name in NEEDED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become_the_command(**json.loads(line))
            main()  # it ends the process
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _become_the_command(arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, flags) in enumerate(zip(streams, FLAGS, strict=True)):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # the other one may have read ahead
    sys.argv = ["pgx-supply", *arguments]


if __name__ == "__main__":
    serve()
