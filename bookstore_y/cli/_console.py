"""The consoles that a command prints to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


_ANY_WIDTH = 10_000
"""Columns of a pipe or a file, where nothing has to be cut."""


def console(*, stderr: bool) -> Console:
    """A rich console that prints strings literally."""
    from rich.console import Console

    class Literal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `main` knows what to do

    made = Literal(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.file.isatty():  # not `is_terminal`, which FORCE_COLOR sets as well
        made.width = _ANY_WIDTH
    return made
