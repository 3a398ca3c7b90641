"""Output: what a command says, to a person or, with `--json`, to a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from ._progress import Progress

_ANY_WIDTH = 10_000
"""Columns of a pipe or a file, where nothing has to be cut."""


class Output:
    """Where one command prints.

    For a person: `rich` on stdout, in colour on a terminal alone, at the terminal's width. For a
    program: nothing but one JSON document on stdout. Warnings, errors and progress go to stderr.
    Strings are printed as they are, without markup; make names visible with `visible`.
    """

    def __init__(self, command: str, *, as_json: bool = False) -> None:
        self.command = command
        self.as_json = as_json
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """The console on stdout; made when it is needed, since not every command needs rich."""
        if self._console is None:
            self._console = console(stderr=False)
        return self._console

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads stdout as it is written."""
        return not self.as_json and self.console.is_terminal

    def document(self, value: Any) -> None:
        """Print the JSON document that `--json` asks for; nothing without it."""
        if self.as_json:
            # ASCII: any terminal, encoding and reader takes it, and nothing in it is obeyed.
            write((json.dumps(value, indent=2) + "\n").encode("ascii"))

    def say(self, *lines: RenderableType) -> None:
        """Print for a person; nothing with `--json`."""
        if not self.as_json:
            for line in lines:
                self.console.print(line, soft_wrap=isinstance(line, str))

    def warn(self, message: str) -> None:
        """A sentence on stderr, and the command goes on."""
        if self.as_json:
            sys.stderr.write(json.dumps({"warning": message}) + "\n")
        else:
            sys.stderr.write(f"jupyter bookstore {self.command}: {message}\n")

    def fail(self, message: str, exit_code: int, reason: str) -> int:
        """The sentence why the command ends, on stderr. `reason` is the error's kind, for programs.
        Returns the exit code."""
        if self.as_json:
            error = {"message": message, "reason": reason, "exit_code": exit_code}
            sys.stderr.write(json.dumps({"error": error}) + "\n")
        else:
            sys.stderr.write(f"jupyter bookstore {self.command}: {message}\n")
        return exit_code

    def progress(self, doing: str, unit: str, total: int | None = None) -> Progress:
        """A progress bar with rates; use it as a context manager. It shows on a terminal alone."""
        from ._progress import Progress

        return Progress(doing, unit, total, shown=not self.as_json)


def write(body: bytes) -> None:
    """Write bytes to stdout, all of them."""
    sys.stdout.flush()
    left = memoryview(body)
    while left:  # without Python's buffer (PYTHONUNBUFFERED) a write may be cut short
        left = left[sys.stdout.buffer.write(left) or 0 :]
    sys.stdout.buffer.flush()


def console(*, stderr: bool) -> Console:
    """A rich console that prints strings literally."""
    from rich.console import Console

    class Literal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `main` knows what to do

    made = Literal(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = _ANY_WIDTH
    return made


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without lines, its named columns aligned to the `right`. Cells are plain strings
    (shown literally) or rich's Text."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
