"""pycrdt-store: of two stores that begin at once on a new database, one fails to set it up."""

import logging
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import anyio
from pycrdt.store import SQLiteYStore


class Store(SQLiteYStore):
    """In a new directory."""

    db_path = str(Path(tempfile.mkdtemp()) / "y.db")


async def write(name: str) -> None:
    """One update, as a room that is opened writes it."""
    async with Store(name) as store:
        await store.write(b"\x00\x00")


async def main() -> None:
    """Open two rooms, which both see that there is no database before either makes it."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    exists, looked, both = anyio.Path.exists, [], anyio.Event()

    async def look(path: anyio.Path) -> bool:
        looked.append(await exists(path))
        if len(looked) == 2:
            both.set()
        await both.wait()
        return looked.pop()

    with patch("anyio.Path.exists", look):
        async with anyio.create_task_group() as group:
            group.start_soon(write, "one")
            group.start_soon(write, "other")


anyio.run(main)
