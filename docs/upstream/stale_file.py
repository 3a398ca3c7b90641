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
from pycrdt import Text

folder = Path(tempfile.mkdtemp())
file = folder / "notes.txt"
file.write_text("old")
contents = AsyncFileContentsManager(root_dir=str(folder))
ids = ArbitraryFileIdManager(root_dir=str(folder), db_path=":memory:")
events: Any = SimpleNamespace(emit=lambda **_: None)
log = logging.getLogger()


async def open_room() -> tuple[Text, asyncio.Task[None]]:
    """The text of a room of the file, as a server that has just started makes it."""
    loader = FileLoader(ids.index("notes.txt"), ids, contents, log)
    store = SQLiteYStore(path="notes", log=log)
    store.db_path = str(folder / "y.db")
    room = DocumentRoom("room", "text", "file", loader, events, store, log, save_delay=1)
    running = asyncio.create_task(room.start())
    await room.initialize()
    return room.ydoc.get("source", type=Text), running


async def main() -> None:
    """Type for longer than the file takes to be saved, crash, and open it again."""
    text, running = await open_room()
    for word in ("and", "new", "words", "typed"):
        text += f" {word}"
        await asyncio.sleep(0.4)  # stored; a save waits for a second without typing
    print(f"typed: {text}; in the file: {file.read_text()}")
    running.cancel()
    text, running = await open_room()
    print(f"after the crash: {text}")
    running.cancel()


asyncio.run(main())
