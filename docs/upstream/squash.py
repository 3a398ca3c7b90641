"""pycrdt-store: what SQLiteYStore squashes without compression is lost, and so is what it
compresses after a checkpoint."""

import tempfile
import zlib
from pathlib import Path
from typing import Any

import anyio
from pycrdt import Doc, Text, TransactionEvent
from pycrdt.store import SQLiteYStore

EDITS, FIRST = 150, 120
updates: list[bytes] = []


def keep(event: TransactionEvent) -> None:
    """Note an update."""
    updates.append(event.update)


def store(directory: str, *, compress: bool) -> SQLiteYStore:
    """The store of the document in a directory."""
    made = SQLiteYStore("room")
    made.db_path = str(Path(directory) / "y.db")
    if compress:
        made.register_compression_callbacks(zlib.compress, zlib.decompress)
    return made


async def kept(*, squash: bool = False, compress: bool = False) -> int:
    """How many edits come back, of which the last are written by a store that may squash."""
    directory = tempfile.mkdtemp()
    async with store(directory, compress=compress) as first:
        for update in updates[:FIRST]:
            await first.write(update)
    second = store(directory, compress=compress)
    second.squash_after_inactivity_of = 0 if squash else None
    async with second:
        for update in updates[FIRST:]:
            await second.write(update)
    loaded: Doc[Any] = Doc()
    try:
        async with store(directory, compress=compress) as third:
            await third.apply_updates(loaded)
    except Exception as error:  # noqa: BLE001 - a group of what it did not expect
        print(f"raised {type(error).__name__}", end=", ")
    return len(str(loaded.get("text", type=Text)))


async def main() -> None:
    """Write and load in three ways."""
    author: Doc[Any] = Doc()
    author.observe(keep)
    text = author.get("text", type=Text)
    for _ in range(EDITS):
        text += "x"
    print("plain:", await kept(), "of", EDITS)
    print("squashed:", await kept(squash=True), "of", EDITS)
    print("compressed:", await kept(compress=True), "of", EDITS)


anyio.run(main)
