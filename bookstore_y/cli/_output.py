"""Output: what a command prints, for people or, with `--json`, for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._console import console
from ._errors import OutputLost, WrongUsage
from ._options import PROGRAM

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ._progress import Progress


class Output:
    """Where one command prints.

    For a person: `rich` on stdout, in colour on a terminal alone, at the terminal's width. For a
    program: nothing but one JSON document on stdout. Warnings, errors and progress go to stderr.
    Strings are printed as they are, without markup; make names visible with `visible`. Whatever
    prints raises `OutputLost` when stdout takes no more.
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
        return not self.as_json and self.console.file.isatty()

    def document(self, value: Any) -> None:
        """Print the JSON document that `--json` asks for; nothing without it."""
        if self.as_json:
            # ASCII: any terminal, encoding and reader takes it, and nothing in it is obeyed.
            write((json.dumps(value, indent=2) + "\n").encode("ascii"))

    def say(self, *lines: RenderableType) -> None:
        """Print for a person; nothing with `--json`."""
        if not self.as_json:
            from rich.text import Text

            with printing():
                for line in lines:
                    # A line that is copied from the terminal has no ends where there were none.
                    self.console.print(line, soft_wrap=isinstance(line, (str, Text)))

    def warn(self, message: str) -> None:
        """A sentence on stderr, and the command goes on."""
        if self.as_json:
            self._tell(json.dumps({"warning": message}))
        else:
            self._tell(f"{self._name}: {message}")

    def fail(self, message: str, exit_code: int, reason: str) -> int:
        """The sentence why the command ends, on stderr. `reason` is the error's kind, for programs.
        Returns the exit code."""
        if self.as_json:
            error = {"message": message, "reason": reason, "exit_code": exit_code}
            self._tell(json.dumps({"error": error}))
        else:
            self._tell(f"{self._name}: {message}")
        return exit_code

    def misused(self, error: WrongUsage) -> int:
        """What the arguments should have been, on stderr. Returns the exit code."""
        if not self.as_json:
            self._tell(error.usage.rstrip())
        return self.fail(str(error), error.exit_code, type(error).__name__)

    def progress(self, doing: str, unit: str, total: int | None = None) -> Progress:
        """A progress bar with rates; use it as a context manager. It shows on a terminal alone."""
        from ._progress import Progress

        return Progress(doing, unit, total, shown=not self.as_json)

    @property
    def _name(self) -> str:
        return f"{PROGRAM} {self.command}".strip()

    def _tell(self, line: str) -> None:
        # Where stderr cannot be written either, the exit code is all that is left to tell.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{line}\n")


def write(body: bytes) -> None:
    """Write bytes to stdout, all of them."""
    with printing():
        sys.stdout.flush()
        left = memoryview(body)
        while left:  # without Python's buffer (PYTHONUNBUFFERED) a write may be cut short
            left = left[sys.stdout.buffer.write(left) or 0 :]
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """While entered, stdout is written to. Raises `OutputLost` when it takes no more, and
    `BrokenPipeError` when nobody reads it."""
    try:
        yield
    except BrokenPipeError:
        forget_output()
        raise
    except OSError as error:
        forget_output()
        raise OutputLost(
            f"The output can't be written ({error.strerror}); check where it is redirected to, "
            "and run the command again."
        ) from None


def forget_output() -> None:
    """Let nothing fail that is written to stdout from now on; Python flushes it when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
