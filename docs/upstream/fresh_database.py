"""pycrdt-store: of two stores that begin at once on a new database, one fails to set it up."""

import logging
import sys
import tempfile
from pathlib import Path

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
    """Open two rooms."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    async with anyio.create_task_group() as group:
        group.start_soon(write, "one")
        group.start_soon(write, "other")


anyio.run(main)
