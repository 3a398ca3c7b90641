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

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.has_written = anyio.Event()

    async def write(self, data: bytes) -> None:
        """Write an update, and tell that there is one."""
        await super().write(data)
        self.has_written.set()


async def main() -> None:
    """Edit, stop, and read what was stored."""
    store = Store("room")
    async with YRoom(ystore=store) as room:
        await room.ydoc_observed.wait()
        text = room.ydoc.get("text", type=Text)
        for _ in range(EDITS):
            text += "x"
        await store.has_written.wait()
    loaded: Doc[Any] = Doc()
    async with Store("room") as again:
        await again.apply_updates(loaded)
    print(f"{len(str(loaded.get('text', type=Text)))} of {EDITS} edits")


anyio.run(main)
