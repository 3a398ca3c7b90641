"""A progress bar with rates."""

from __future__ import annotations

import time
from types import TracebackType

from ._text import number, size

_RATED = 2.0
"""Seconds of work whose rate says more of it than of how it began."""


class Progress:
    """How far a command is: `advance` as work gets done.

    Drawn on stderr, when that is a terminal and `shown`; it counts all the same, and `summary`
    says at the end what was done at which rate.
    """

    def __init__(self, doing: str, unit: str, total: int | None, *, shown: bool) -> None:
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        from ._console import console

        self.done = 0
        """Units done."""
        self.bytes = 0
        """Bytes moved."""
        self.unit = unit
        self._began = time.monotonic()
        stderr = console(stderr=True)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=stderr,
            disable=not (shown and stderr.is_terminal),
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=total, rate="")

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return max(time.monotonic() - self._began, 1e-3)

    def expect(self, total: int) -> None:
        """There are so many units in all."""
        self._bar.update(self._task, total=total)

    def advance(self, count: int = 1, *, bytes: int = 0) -> None:
        """`count` more units are done, and so many more bytes were moved."""
        self.done += count
        self.bytes += bytes
        self._bar.update(self._task, advance=count, rate=self._rate())

    def summary(self, *, rated: bool = True) -> str:
        """`1,000 notebooks, 12.3 MB in 2.1 s (476/s, 5.9 MB/s)`; without rates unless `rated`,
        and before there is something to take them from."""
        moved = f", {size(self.bytes)}" if self.bytes else ""
        done = f"{number(self.done, self.unit)}{moved} in {self.seconds:.1f} s"
        if not rated or self.seconds < _RATED:
            return done
        rates = f"{self.done / self.seconds:,.0f}/s"
        if self.bytes:
            rates += f", {size(int(self.bytes / self.seconds))}/s"
        return f"{done} ({rates})"

    def _rate(self) -> str:
        total = self._bar.tasks[0].total
        of = f"/{total:,.0f}" if total is not None else ""
        rate = f"{self.done:,}{of} {self.unit}s  {self.done / self.seconds:,.0f}/s"
        return f"{rate}  {size(int(self.bytes / self.seconds))}/s" if self.bytes else rate
