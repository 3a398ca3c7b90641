"""pycrdt-store: what SQLiteYStore writes after the clock was set back is not loaded."""

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
from pycrdt import Doc, Text, TransactionEvent
from pycrdt.store import SQLiteYStore

EDITS, FIRST = 180, 150
updates: list[bytes] = []


def keep(event: TransactionEvent) -> None:
    """Note an update."""
    updates.append(event.update)


class Store(SQLiteYStore):
    """In a new directory."""

    db_path = str(Path(tempfile.mkdtemp()) / "y.db")


async def main() -> None:
    """Write, set the clock back by five seconds after a checkpoint, write, and load."""
    author: Doc[Any] = Doc()
    author.observe(keep)
    text = author.get("text", type=Text)
    for _ in range(EDITS):
        text += "x"
    async with Store("room") as store:
        for update in updates[:FIRST]:
            await store.write(update)
        earlier = time.time() - 5
        with patch("time.time", lambda: earlier):
            for update in updates[FIRST:]:
                await store.write(update)
    loaded: Doc[Any] = Doc()
    async with Store("room") as again:
        await again.apply_updates(loaded)
    print(f"{len(str(loaded.get('text', type=Text)))} of {EDITS} edits")


anyio.run(main)
