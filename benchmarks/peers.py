"""The other stores, as their users get them."""

from __future__ import annotations

import zlib
from pathlib import Path

from pycrdt.store import FileYStore, SQLiteYStore

__all__ = ["FileYStore", "MemoryStore", "checkpointing", "on_disk"]


class MemoryStore(SQLiteYStore):
    """pycrdt-store's SQLite store in memory, at its defaults."""

    db_path = ":memory:"


def on_disk(path: Path) -> type[SQLiteYStore]:
    """pycrdt-store's SQLite store in a file, at its defaults, as Jupyter subclasses it."""
    return type("DiskStore", (SQLiteYStore,), {"db_path": str(path)})


def checkpointing(path: Path | None = None) -> type[SQLiteYStore]:
    """QYStore's way as pycrdt-store implements it: updates compressed in memory, and a row with the
    whole document each 200 updates. zlib's fastest stands for Brotli's, which QYStore takes."""

    class Store(SQLiteYStore):
        db_path = str(path or ":memory:")
        checkpoint_interval = 200
        _compress = staticmethod(lambda data: zlib.compress(data, 1))
        _decompress = staticmethod(zlib.decompress)

    return Store
