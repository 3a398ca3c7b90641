"""`jupyter bookstore completion`: a shell's completion script."""

from __future__ import annotations

import argparse

from ._errors import DONE
from ._options import add_command
from ._running import output

SHELLS = ("bash", "zsh", "tcsh")

_PROGRAM = "jupyter-bookstore"
"""What `jupyter bookstore` runs; a shell completes programs, not their first arguments."""

_BASH = """
# `jupyter bookstore` is completed as jupyter-bookstore, any other `jupyter` as before.
_bookstore_y_before=$(complete -p jupyter 2>/dev/null | sed -n 's/.* -F \\([^ ]*\\) .*/\\1/p')
_bookstore_y_of_jupyter() {
  if [[ ${COMP_WORDS[1]-} == bookstore && $COMP_CWORD -ge 2 ]]; then
    COMP_WORDS=(jupyter-bookstore "${COMP_WORDS[@]:2}")
    COMP_CWORD=$((COMP_CWORD - 1))
    _shtab_jupyter_bookstore
  elif [[ -n $_bookstore_y_before && $_bookstore_y_before != _bookstore_y_of_jupyter ]]; then
    "$_bookstore_y_before" "$@"
  fi
}
complete -o bashdefault -o default -F _bookstore_y_of_jupyter jupyter"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "completion",
        run,
        help="print a completion script for a shell",
        description="Print a script that lets a shell complete commands, options and files. In "
        'bash, run eval "$(jupyter bookstore completion bash)". zsh and tcsh '
        "complete the program under its other name, jupyter-bookstore.",
        bucket=False,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads it")


def run(args: argparse.Namespace) -> int:
    """Print the script; 0."""
    import shtab

    args.parser.prog = _PROGRAM
    script = shtab.complete(args.parser, args.shell)
    if args.shell == "bash":
        script += _BASH
    out = output(args)
    out.document({"shell": args.shell, "script": script})
    out.say(script)
    return DONE
