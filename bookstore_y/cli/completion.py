"""`jupyter bookstore completion`: what a shell needs to complete the commands."""

from __future__ import annotations

import argparse

from ._options import add_command
from ._running import output

SHELLS = ("bash", "zsh", "tcsh")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "completion",
        run,
        help="print the completion script of a shell",
        description="Print a script by which the shell completes commands, options and files.",
        bucket=False,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")


def run(args: argparse.Namespace) -> int:
    """Print the script; 0."""
    import shtab

    from . import parser

    whole = parser()
    whole.prog = "jupyter-bookstore"
    script = shtab.complete(whole, args.shell)
    out = output(args)
    out.document({"shell": args.shell, "script": script})
    if not args.json:
        print(script)
    return 0
