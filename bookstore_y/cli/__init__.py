"""The commands of `jupyter bookstore`: one module each, importing what is heavy when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import BookstoreError
from . import (
    clone,
    completion,
    demo,
    diff,
    doctor,
    import_,
    init,
    label,
    ls,
    prune,
    publish,
    pull,
    restore,
    show,
    undelete,
    versions,
)
from ._errors import INTERRUPTED, PIPE_CLOSED, CommandError, exit_code_of
from ._options import EPILOG, Help, split_settings
from ._output import Output

COMMANDS = (
    doctor,
    init,
    ls,
    versions,
    show,
    diff,
    restore,
    undelete,
    label,
    publish,
    clone,
    pull,
    import_,
    prune,
    demo,
    completion,
)
"""Modules with `register(subparsers)`; it adds a parser whose default `run` takes the parsed
arguments and returns the exit code. In the order of `--help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `_errors.EXIT_CODES` lists them.

    `argv` is without the program's name; None takes it from `sys.argv`. Wrong usage and
    `--help` raise `SystemExit`, as argparse does.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    made = argparse.ArgumentParser(
        prog="jupyter bookstore",
        description="Jupyter documents and their versions in an S3 bucket.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    made.add_argument("--version", action="version", version=__version__)
    subparsers = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(subparsers)
    return made


def _run(argv: list[str]) -> int:
    try:
        argv, settings = split_settings(argv)
    except CommandError as error:
        parser().error(str(error))
    args = parser().parse_args(argv)
    args.settings = settings
    out = Output(args.command, as_json=getattr(args, "json", False))
    try:
        return int(args.run(args))
    except (CommandError, BookstoreError) as error:
        return out.fail(str(error), exit_code_of(error), type(error).__name__)
    except KeyboardInterrupt:
        return out.fail("Interrupted.", INTERRUPTED, "Interrupted")
