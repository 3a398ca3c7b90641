"""pycrdt.websocket: a room that stops cancels the writes that wait for its store."""

import tempfile
from pathlib import Path
from typing import Any

import anyio
from pycrdt import Doc, Text
from pycrdt.store import SQLiteYStore
from pycrdt.websocket import YRoom

EDITS = 1000


class Store(SQLiteYStore):
    """In a new directory."""

    db_path = str(Path(tempfile.mkdtemp()) / "y.db")


async def main() -> None:
    """Edit, stop, and read what was stored."""
    store = Store("room")
    async with YRoom(ystore=store) as room:
        await anyio.sleep(0.5)  # the store starts
        text = room.ydoc.get("text", type=Text)
        for _ in range(EDITS):
            text += "x"
        await anyio.sleep(0.1)
    loaded: Doc[Any] = Doc()
    async with Store("room") as again:
        await again.apply_updates(loaded)
    print(f"{len(str(loaded.get('text', type=Text)))} of {EDITS} edits")


anyio.run(main)
