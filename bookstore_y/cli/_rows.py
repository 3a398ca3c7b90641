"""Rows: what a command lists, as a table or, where that has no room, as a block for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

NARROW = 60
"""Columns of a terminal below which a table that is wider becomes blocks."""

_ANY_WIDTH = 10_000


class Rows:
    """Cells under `columns`, plain strings (shown literally) or rich's Text.

    As a table they have no lines, and those in `right` are aligned so. A block begins with the
    cell of the column `head`; cells of a column without a name follow the one before.
    """

    def __init__(self, *columns: str, head: str, right: Sequence[str] = ()) -> None:
        self._columns = columns
        self._head = columns.index(head)
        self._table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            self._table.add_column(
                column, justify="right" if column in right else "left", overflow="fold"
            )
        self._rows: list[tuple[str | Text, ...]] = []

    def add(self, *cells: str | Text) -> None:
        """Add a row."""
        self._rows.append(cells)
        self._table.add_row(*cells)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        room = options.max_width
        if room >= NARROW or self._width(console, options) <= room:
            yield self._table
            return
        for row in self._rows:
            yield from self._block(row)

    def _width(self, console: Console, options: ConsoleOptions) -> int:
        free = options.update(max_width=_ANY_WIDTH)
        return Measurement.get(console, free, self._table).maximum

    def _block(self, row: Sequence[str | Text]) -> Iterator[RenderableType]:
        head = row[self._head]
        yield Text(head, "bold") if isinstance(head, str) else head
        lines: list[Text] = []
        for index, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
            if index == self._head or not cell:
                continue
            if column:
                lines.append(Text.assemble((f"{column.lower()} ", "dim"), cell))
            else:
                lines[-1].append("  ").append(cell)
        yield Padding(Text("\n").join(lines), (0, 0, 0, 2))
