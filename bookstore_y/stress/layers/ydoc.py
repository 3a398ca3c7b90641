"""jupyter-ydoc: notebooks whose cells are typed in, added, set and deleted, and merged."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Doc, Map, Text

from ._mail import Mail
from ._result import LayerResult, judged
from ._writer import Writer, all_edits, writers_of

_SHARED_CELLS = 3
"""Cells in which all type and which stay; to delete a cell takes along what others type in it."""


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """`edits` edits by `clients` notebooks; what a save would write is compared, too."""
    began = time.monotonic()
    chance = Random(seed)
    docs = [Doc[Any]() for _ in range(clients)]
    notebooks = [YNotebook(doc) for doc in docs]
    notebooks[0].set(_notebook())
    for doc in docs[1:]:
        doc.apply_update(docs[0].get_update())
    writers = writers_of(clients, seed)
    mail = Mail(docs, chance)
    for _ in range(edits):
        number = chance.randrange(clients)
        _edit(notebooks[number], writers[number])
        mail.deliver_some()
    mail.deliver_all()
    copies: dict[str, str | Exception] = {}
    for writer, notebook in zip(writers, notebooks, strict=True):
        copies[writer.name] = _text(notebook)
    newcomer = YNotebook(Doc[Any]())
    newcomer.set(notebooks[0].get())
    copies["saved and loaded"] = _text(newcomer)
    done = all_edits(writers)
    return judged("jupyter-ydoc", clients, began, done, copies)


def _edit(notebook: YNotebook, writer: Writer) -> None:
    chance = writer.chance
    own = _own_cells(notebook, writer)
    kind = chance.random()
    if kind < 0.6:
        writer.edit(notebook.ycells[_shared_cell(notebook, chance)]["source"])
    elif kind < 0.75 or not own:
        cell = {
            "cell_type": "code",
            "source": writer.next_mark(),
            "metadata": {"author": writer.name},
        }
        notebook.ycells.insert(chance.randint(0, notebook.cell_number), notebook.create_ycell(cell))
    elif kind < 0.85:
        index = chance.choice(own)
        source = str(notebook.ycells[index]["source"])
        notebook.set_cell(index, source=f"{source}\n{writer.next_mark()}")
    elif kind < 0.95:
        output = {"output_type": "stream", "name": "stdout", "text": Text(writer.next_mark())}
        notebook.ycells[chance.choice(own)]["outputs"].append(Map(output))
    else:
        index = chance.choice(own)
        gone = _cell_text(notebook.get_cell(index))
        del notebook.ycells[index]
        writer.edits.deleted |= {made for made in writer.edits.made if made in gone}


def _own_cells(notebook: YNotebook, writer: Writer) -> list[int]:
    return [
        index
        for index, cell in enumerate(notebook.ycells)
        if cell["metadata"].get("author") == writer.name
    ]


def _shared_cell(notebook: YNotebook, chance: Random) -> int:
    shared = [
        index for index, cell in enumerate(notebook.ycells) if "author" not in cell["metadata"]
    ]
    return chance.choice(shared)


def _notebook() -> dict[str, Any]:
    cells = [
        {"id": f"shared{number}", "cell_type": "markdown", "source": "", "metadata": {}}
        for number in range(_SHARED_CELLS)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def _text(notebook: YNotebook) -> str:
    return "\n".join(map(_cell_text, notebook.get()["cells"]))


def _cell_text(cell: dict[str, Any]) -> str:
    outputs = (str(output["text"]) for output in cell.get("outputs", []))
    return "\n".join([cell["id"], str(cell["source"]), *outputs])
