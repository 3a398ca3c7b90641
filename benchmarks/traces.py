"""What people do to documents, from a seeded simulator: the same edits in every run."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Doc, Text

WORDS = [
    "import",
    "numpy",
    "plot",
    "figure",
    "axes",
    "data",
    "frame",
    "group",
    "mean",
    "fit",
    "model",
    "train",
    "score",
    "def",
    "return",
    "for",
    "range",
    "print",
    "the",
    "result",
    "which",
    "we",
    "then",
    "show",
    "below",
]


class Trace:
    """A document, and the updates that made it."""

    def __init__(self, doc: Doc[Any]) -> None:
        self.doc = doc
        self.updates: list[bytes] = []
        self._subscription = doc.observe(lambda event: self.updates.append(event.update))

    def taken(self) -> list[bytes]:
        """The updates since this was asked last."""
        taken, self.updates = self.updates, []
        return taken


def text(edits: int, seed: int = 1) -> Trace:
    """A text typed with a keyboard: bursts where the cursor is, corrections by backspace, small
    movements, and now and then a jump to somewhere else. One update a character."""
    chance = random.Random(seed)
    trace = Trace(Doc(client_id=seed))
    source = trace.doc.get("source", type=Text)
    for position, character in _strokes(edits, chance):
        if character:
            source.insert(position, character)
        else:
            del source[position]
    return trace


def typing(trace: Trace, seed: int = 2) -> Iterator[bytes]:
    """Updates of somebody who goes on typing at the end of a trace's document, without end."""
    chance = random.Random(seed)
    source = trace.doc.get("source", type=Text)
    trace.taken()
    while True:
        for character in chance.choice(WORDS) + " ":
            source += character
            yield from trace.taken()


def typed_notebook(edits: int, authors: int = 3, seed: int = 1) -> Trace:
    """A notebook that several authors type at the same time, a character an update, each in cells
    of their own most of the time. The trace is what a server receives."""
    chance = random.Random(seed)
    server = YNotebook(Doc(client_id=seed))
    server.set(_notebook([_cell(index, []) for index in range(20)]))
    trace = Trace(server.ydoc)
    trace.updates.append(server.ydoc.get_update())
    clients = [YNotebook(Doc(client_id=1000 * seed + index)) for index in range(authors)]
    done = [b"\x00"] * authors
    for client in clients:
        client.ydoc.apply_update(server.ydoc.get_update())
    left = edits
    while left > 0:
        index = chance.randrange(authors)
        client = clients[index]
        # What the others typed meanwhile comes in before somebody begins to type.
        client.ydoc.apply_update(server.ydoc.get_update(done[index]))
        cell = chance.randrange(20) if chance.random() < 0.1 else (7 * index) % 20
        source = client.ycells[cell]["source"]
        burst = min(left, chance.randrange(5, 40))
        for position, character in _strokes(burst, chance, len(str(source))):
            state = client.ydoc.get_state()
            if character:
                source.insert(position, character)
            else:
                del source[position]
            server.ydoc.apply_update(client.ydoc.get_update(state))
        done[index] = server.ydoc.get_state()
        left -= burst
    return trace


def executed_notebook(size: int, seed: int = 1) -> Trace:
    """A notebook of about `size` bytes that has been run: images, tables and logs in its outputs.

    Its one update is that of opening it.
    """
    chance = random.Random(seed)
    cells: list[dict[str, Any]] = []
    left = size
    while left > 0:
        output = _output(len(cells) % 3, min(left, chance.randrange(60_000, 240_000)), chance)
        cells.append(_cell(len(cells), [output]))
        left -= sum(map(len, output["data"].values())) + 300
    notebook = YNotebook(Doc(client_id=seed))
    trace = Trace(notebook.ydoc)
    notebook.set(_notebook(cells))
    return trace


def _strokes(
    edits: int, chance: random.Random, length: int = 0
) -> Iterator[tuple[int, str | None]]:
    """Keys pressed in a text of `length`: a position, and what is inserted there or None if it is
    deleted."""
    cursor, word = length, ""
    for _ in range(edits):
        movement = chance.random()
        if movement < 0.005:
            cursor = chance.randint(0, length)
        elif movement < 0.02:
            cursor = min(length, max(0, cursor + chance.randint(-40, 40)))
        if cursor and chance.random() < 0.12:
            cursor, length = cursor - 1, length - 1
            yield cursor, None
            continue
        word = word or chance.choice(WORDS) + chance.choice("    \n")
        yield cursor, word[0]
        word = word[1:]
        cursor, length = cursor + 1, length + 1


def _output(kind: int, size: int, chance: random.Random) -> dict[str, Any]:
    if kind == 0:
        image = base64.b64encode(chance.randbytes(size * 3 // 4)).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": image}}
    rows: list[str] = []
    length = 0
    while length < size:
        numbers = [f"{chance.gauss(0, 1):.6f}" for _ in range(8)]
        if kind == 1:
            rows.append(f"<tr><th>{len(rows)}</th><td>{'</td><td>'.join(numbers)}</td></tr>\n")
        else:
            rows.append(f"epoch {len(rows)}: loss {numbers[0]}, accuracy {numbers[1]}\n")
        length += len(rows[-1])
    data = {("text/html" if kind == 1 else "text/plain"): "".join(rows)[:size]}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def _cell(index: int, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"cell-{index}",
        "cell_type": "code",
        "metadata": {},
        "execution_count": index,
        "source": f"# {WORDS[index % len(WORDS)]}\n",
        "outputs": outputs,
    }


def _notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
