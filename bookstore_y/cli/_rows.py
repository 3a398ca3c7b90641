"""Rows: a command's list, as a table or, in narrow terminals, as one block per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

_GAP = 2
"""Blanks between columns."""


class Rows:
    """Cells under `columns`, plain strings (shown literally) or rich's Text.

    As a table they have no lines, and those in `right` are aligned so. Where it is too wide,
    columns without any cell are left out, and those in `folds` become as narrow as that says. If
    that does not do, each row is a block that begins with the cell of the column `head`; there
    cells of a column without a name follow the one before.
    """

    def __init__(
        self, *columns: str, head: str, folds: Mapping[str, int], right: Sequence[str] = ()
    ) -> None:
        self._columns = columns
        self._head = columns.index(head)
        self._folds = folds
        self._right = right
        self._rows: list[tuple[str | Text, ...]] = []

    def add(self, *cells: str | Text) -> None:
        """Add a row."""
        self._rows.append(cells)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        natural = [self._width(index) for index in range(len(self._columns))]
        room = options.max_width
        if _total(natural) <= room:
            for cells in (self._heading(), *self._rows):
                yield self._line(cells, natural)
            return
        used = [i for i in range(len(natural)) if any(row[i] for row in self._rows)]
        least = [min(natural[i], self._folds.get(self._columns[i], natural[i])) for i in used]
        if _total(least) <= room:
            yield self._table(used)
            return
        for row in self._rows:
            yield from self._block(row)

    def _width(self, index: int) -> int:
        cells = [self._columns[index], *(str(row[index]) for row in self._rows)]
        return max(map(cell_len, cells))

    def _heading(self) -> tuple[Text, ...]:
        return tuple(Text(column, "bold") for column in self._columns)

    def _line(self, cells: Sequence[str | Text], widths: Sequence[int]) -> Text:
        line = Text(no_wrap=True, overflow="ignore")
        for column, cell, width in zip(self._columns, cells, widths, strict=True):
            blanks = " " * (width - cell_len(str(cell)))
            line.append(blanks if column in self._right else "").append(cell)
            line.append("" if column in self._right else blanks).append(" " * _GAP)
        line.rstrip()  # what is in a file or a pipe has no blanks at its ends
        return line

    def _table(self, chosen: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for column in (self._columns[index] for index in chosen):
            table.add_column(
                column,
                justify="right" if column in self._right else "left",
                overflow="fold",
                no_wrap=column not in self._folds,
            )
        for row in self._rows:
            table.add_row(*(row[index] for index in chosen))
        return table

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
        yield Padding(Text("\n").join(lines), (0, 0, 0, 2), expand=False)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)
