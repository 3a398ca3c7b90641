"""Author: somebody's edits of one notebook, each with a mark, and the list of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Array, Doc, Map, Text

from . import marks

SHARED = "shared"
"""How the ids of the cells begin that everybody types into."""

_OUTPUT_MARKS = 25
"""Marks that a cell prints before its outputs are cleared and it runs anew."""


class Author:
    """One client's edits. `online` says whether it is connected, when an edit is made.

    Everybody types into the shared cells; cells, their sources and their outputs are handled by
    whoever inserted them alone: for Yjs a moved cell is a new one, and a source that two people
    replace at once is there twice. Only what a person has made is taken away by that person.
    """

    def __init__(
        self, name: str, notebook: YNotebook, chance: random.Random, online: Callable[[], bool]
    ) -> None:
        self.name = name
        self.notebook = notebook
        """Replaced when the person comes back in a new tab."""
        self.edits: dict[str, bool] = {}
        """Every mark that was made, in order, and whether it is to be there."""
        self._chance = chance
        self._online = online
        self._typed: list[str] = []
        self._cells: dict[str, tuple[str, str | None]] = {}
        """The marks of a cell's insertion and of its last move, by its id."""
        self._set: str | None = None
        self._printed: list[str] = []
        self._runs = 0

    # -- text ----------------------------------------------------------------------------------

    def insert_text(self) -> None:
        """Insert a mark between two others of a shared cell."""
        text: Text = self._chance.choice(self._shared())["source"]
        before = str(text).encode()
        places = [found.start() for found in marks.MARK.finditer(before.decode("latin-1"))]
        mark = self._make()
        text.insert(self._chance.choice([*places, len(before)]), mark)
        self._typed.append(mark)

    def delete_text(self) -> None:
        """Delete a mark of this author's from the shared cell that has it."""
        if not self._typed:
            return
        mark = self._typed.pop(self._chance.randrange(len(self._typed)))
        for cell in self._shared():
            text: Text = cell["source"]
            at = str(text).encode().find(mark.encode())
            if at >= 0:
                del text[at : at + len(mark)]
                self.edits[mark] = False
                return
        # It is not in this copy, which is for the comparison to find: it stays expected.

    # -- cells ---------------------------------------------------------------------------------

    def insert_cell(self) -> None:
        """Insert a cell of one mark, anywhere."""
        mark = self._make()
        cell_id = f"{self.name}-{len(self.edits)}"
        self._insert(cell_id, mark)
        self._cells[cell_id] = (mark, None)

    def move_cell(self) -> None:
        """Move a cell of this author's, as JupyterLab does: away here and anew there. The mark of
        that is in its metadata, in place of the one of the move before."""
        cell_id = self._pick()
        index = None if cell_id is None else self._find(cell_id)
        if cell_id is None or index is None:
            return
        mark = self._make()
        with self._doc.transaction():
            source = str(self._ycells[index]["source"])
            del self._ycells[index]
            self._insert(cell_id, source, moved=mark)
        inserted, before = self._cells[cell_id]
        self._cells[cell_id] = (inserted, mark)
        if before is not None:
            self.edits[before] = False

    def delete_cell(self) -> None:
        """Delete a cell of this author's."""
        cell_id = self._pick()
        index = None if cell_id is None else self._find(cell_id)
        if cell_id is None or index is None:
            return
        del self._ycells[index]
        for mark in self._cells.pop(cell_id):
            if mark is not None:
                self.edits[mark] = False

    def set_source(self) -> None:
        """Replace the source of a cell of this author's, made for that."""
        mark = self._make()
        text: Text = self._own_cell("set")["source"]
        with self._doc.transaction():
            text.clear()
            text += mark
        if self._set is not None:
            self.edits[self._set] = False
        self._set = mark

    def stream_output(self) -> None:
        """Have a cell of this author's print one line more; now and then run it anew."""
        cell = self._own_cell("run", code=True)
        outputs: Array[Any] = cell["outputs"]
        mark = self._make()
        if len(outputs) and len(self._printed) < _OUTPUT_MARKS:
            text: Text = outputs[0]["text"]
            text += f"{mark}\n"
            self._printed.append(mark)
            return
        self._runs += 1
        with self._doc.transaction():
            outputs.clear()
            cell["execution_count"] = self._runs
            output = {"output_type": "stream", "name": "stdout", "text": Text(f"{mark}\n")}
            outputs.append(Map(output))
        self.edits.update(dict.fromkeys(self._printed, False))
        self._printed = [mark]

    # -- within --------------------------------------------------------------------------------

    @property
    def _doc(self) -> Doc[Any]:
        doc: Doc[Any] = self.notebook.ydoc
        return doc

    @property
    def _ycells(self) -> Array[Map[Any]]:
        ycells: Array[Map[Any]] = self.notebook.ycells
        return ycells

    def _make(self) -> str:
        mark = marks.make(self.name, len(self.edits), offline=not self._online())
        self.edits[mark] = True
        return mark

    def _shared(self) -> list[Map[Any]]:
        return [cell for cell in self._ycells if cell["id"].startswith(SHARED)]

    def _find(self, cell_id: str) -> int | None:
        for index, cell in enumerate(self._ycells):
            if cell["id"] == cell_id:
                return index
        return None

    def _pick(self) -> str | None:
        return self._chance.choice(list(self._cells)) if self._cells else None

    def _own_cell(self, purpose: str, *, code: bool = False) -> Map[Any]:
        cell_id = f"{self.name}-{purpose}"
        index = self._find(cell_id)
        if index is None:
            index = self._insert(cell_id, "", code=code)
        return self._ycells[index]

    def _insert(
        self, cell_id: str, source: str, *, code: bool = False, moved: str | None = None
    ) -> int:
        index = self._chance.randint(0, len(self._ycells))
        cell: dict[str, Any] = {"id": cell_id, "cell_type": "markdown", "source": source}
        if moved is not None:
            cell["metadata"] = {"moved": moved}
        if code:
            cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
        self._ycells.insert(index, self.notebook.create_ycell(cell))
        return index
