"""The documents as pycrdt-store's SQLiteYStore has them, read the way a server would."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pycrdt import Doc
from pycrdt.store import SQLiteYStore, YDocNotFound

from .address import Address
from .copies import content_of
from .judge import Copy
from .server import session

_FILE = ".jupyter_ystore.db"
"""Where jupyter_server_ydoc puts it, in the server's working directory."""


@dataclass(frozen=True)
class Found:
    """Copies, and sentences on those that cannot be had."""

    copies: list[Copy] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def names(address: Address, documents: Sequence[str]) -> dict[str, str]:
    """Under which name the store of the server at `address` has each document."""
    return {path: f".notebook:{session(address, quote(path))}.y" for path in documents}


def load(directory: Path, names: Mapping[str, str]) -> Found:
    """What the store of the server that worked in `directory` has, of documents by name."""
    return asyncio.run(_read(directory / _FILE, names))


async def _read(file: Path, names: Mapping[str, str]) -> Found:
    class Store(SQLiteYStore):
        db_path = str(file)

    found = Found()
    for document, name in names.items():
        doc: Doc[Any] = Doc()
        try:
            async with Store(name, log=logging.getLogger(__name__)) as store:
                await store.apply_updates(doc)
        except YDocNotFound:
            found.missing.append(f"{document} is not in the store.")
            continue
        found.copies.append(Copy("store", document, content_of(doc)))
    return found
