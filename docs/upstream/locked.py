"""pycrdt-store: an update that SQLite does not take, as another room holds the lock, is dropped."""

import logging
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import anyio
from pycrdt import Doc, Text, TransactionEvent
from pycrdt.store import SQLiteYStore

updates: list[bytes] = []


def keep(event: TransactionEvent) -> None:
    """Note an update."""
    updates.append(event.update)


class Store(SQLiteYStore):
    """In a new directory."""

    db_path = str(Path(tempfile.mkdtemp()) / "y.db")


async def main() -> None:
    """Write the second of three updates while another connection holds the database."""
    logging.disable()
    author: Doc[Any] = Doc()
    author.observe(keep)
    text = author.get("text", type=Text)
    for letter in "abc":
        text += letter
    async with Store("room") as store:
        await store.write(updates[0])
        other = sqlite3.connect(Store.db_path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await store.write(updates[1])  # returns after SQLite's five seconds, as if all were well
        other.close()
        await store.write(updates[2])
    loaded: Doc[Any] = Doc()
    async with Store("room") as again:
        await again.apply_updates(loaded)
    print(f"{loaded.get('text', type=Text)} of {text}")


anyio.run(main)
