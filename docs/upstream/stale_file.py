"""jupyter-server-ydoc: after a crash the file, which is older, replaces what the store has."""

import asyncio
import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from jupyter_server_fileid.manager import ArbitraryFileIdManager
from jupyter_server_ydoc.loaders import FileLoader  # type: ignore[import-untyped]
from jupyter_server_ydoc.rooms import DocumentRoom  # type: ignore[import-untyped]
from jupyter_server_ydoc.stores import SQLiteYStore  # type: ignore[import-untyped]
from pycrdt import Doc, Text

folder = Path(tempfile.mkdtemp())
file = folder / "notes.txt"
file.write_text("old")
contents = AsyncFileContentsManager(root_dir=str(folder))
ids = ArbitraryFileIdManager(root_dir=str(folder), db_path=":memory:")
events: Any = SimpleNamespace(emit=lambda **_: None)
log = logging.getLogger()


async def open_room() -> tuple[Text, SQLiteYStore, asyncio.Task[None]]:
    """The text of a room of the file and its store, as a server that has just started has them."""
    loader = FileLoader(ids.index("notes.txt"), ids, contents, log)
    store = SQLiteYStore(path="notes", log=log)
    store.db_path = str(folder / "y.db")
    room = DocumentRoom("room", "text", "file", loader, events, store, log, save_delay=60)
    running = asyncio.create_task(room.start())
    await room.initialize()
    await room.ydoc_observed.wait()
    return room.ydoc.get("source", type=Text), store, running


async def stored(store: SQLiteYStore) -> str:
    """What the store has."""
    doc: Doc[Any] = Doc()
    await store.apply_updates(doc)
    return str(doc.get("source", type=Text))


async def main() -> None:
    """Type, crash when it is stored but not saved, and open it again."""
    text, store, running = await open_room()
    for word in ("and", "new", "words", "typed"):
        text += f" {word}"
    while await stored(store) != str(text):
        await asyncio.sleep(0.1)
    print(f"typed: {text}; in the file: {file.read_text()}")
    running.cancel()
    text, _, running = await open_room()
    print(f"after the crash: {text}")
    running.cancel()


asyncio.run(main())
