"""The commands of `jupyter bookstore`: one module each, importing what is heavy when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .._version import __version__
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
    moves,
    prune,
    publish,
    pull,
    recover,
    restore,
    show,
    stress,
    undelete,
    versions,
)
from ._errors import (
    ASKED_WRONGLY,
    INTERRUPTED,
    PIPE_CLOSED,
    CommandError,
    OutputLost,
    WrongUsage,
    exit_code_of,
)
from ._options import EPILOG, PROGRAM, Help, Parser, asks_for_json, split_settings
from ._output import Output, printing

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
    recover,
    moves,
    prune,
    demo,
    stress,
    completion,
)
"""Modules with `register(subparsers)`; it adds a parser whose default `run` takes the parsed
arguments and returns the exit code. In the order of `--help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `_errors.EXIT_CODES` lists them.

    `argv` is without the program's name; None takes it from `sys.argv`. `--help` and `--version`
    raise `SystemExit`, as argparse does.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    as_json = asks_for_json(words)
    try:
        _mend_streams()
        try:
            return _run(words)
        finally:
            with printing():
                sys.stdout.flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except WrongUsage as error:
        return Output(error.command, as_json=as_json).misused(error)
    except CommandError as error:
        return Output("", as_json=as_json).fail(str(error), error.exit_code, type(error).__name__)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    made = Parser(
        prog=PROGRAM,
        description="Jupyter documents and their versions in an S3 bucket.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    made.add_argument("--version", action="version", version=__version__)
    made.set_defaults(parser=made)  # for `completion`
    subparsers = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(subparsers)
    return made


def _run(argv: list[str]) -> int:
    if not argv:
        sys.stderr.write(parser().format_help())
        return ASKED_WRONGLY
    rest, settings = split_settings(argv)
    args = parser().parse_args(rest)
    args.settings = settings
    out = Output(args.command, as_json=args.json)
    if settings and not getattr(args, "takes_settings", False):
        usage = f"usage: {PROGRAM} {args.command} --help\n"
        raise WrongUsage(f"It doesn't take --{settings[0][0]}.", args.command, usage)
    try:
        return int(args.run(args))
    except (CommandError, BookstoreError) as error:
        return out.fail(str(error), exit_code_of(error), type(error).__name__)
    except KeyboardInterrupt:
        return out.fail("Interrupted.", INTERRUPTED, "Interrupted")


def _mend_streams() -> None:
    """Have streams that can be written to. Raises `OutputLost` for a closed stdout."""
    if sys.stderr is None:
        # Who closes it wants no messages.
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stdout is None:
        raise OutputLost(
            "Standard output is closed, so nothing was done; redirect it to a file, or to "
            f"{os.devnull} to discard it."
        )
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
