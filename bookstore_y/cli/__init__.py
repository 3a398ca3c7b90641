"""The commands of `jupyter bookstore`: one module each, importing what is heavy when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import BookstoreError
from . import demo
from ._errors import CommandError

COMMANDS = (demo,)
"""Modules with `register(subparsers)`; it adds a parser whose default `run` takes the parsed
arguments and returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 cannot be run as asked.

    `argv` is without the program's name; None takes it from `sys.argv`. Wrong usage and
    `--help` raise `SystemExit`, as argparse does.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except CommandError as error:
        return _fail(args.command, str(error), error.exit_code)
    except BookstoreError as error:
        return _fail(args.command, str(error), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter bookstore",
        description="Jupyter documents and their versions in an S3 bucket.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(subparsers)
    return parser


def _fail(command: str, message: str, exit_code: int) -> int:
    print(f"jupyter bookstore {command}: {message}", file=sys.stderr)
    return exit_code
