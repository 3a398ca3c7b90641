"""jupyter-server-ydoc: a file that changes before its room is ready comes out twice."""

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


async def main() -> None:
    """Make a room, change the file, and then do what makes the room ready."""
    folder = Path(tempfile.mkdtemp())
    file = folder / "notes.txt"
    file.write_text("old")
    contents = AsyncFileContentsManager(root_dir=str(folder))
    ids = ArbitraryFileIdManager(root_dir=str(folder), db_path=":memory:")
    events: Any = SimpleNamespace(emit=lambda **_: None)
    log = logging.getLogger()
    loader = FileLoader(ids.index("notes.txt"), ids, contents, log, poll_interval=0.1)
    room = DocumentRoom("room", "text", "file", loader, events, None, log)
    running = asyncio.create_task(room.start())
    while loader.last_modified is None:  # it has not looked at the file yet
        await asyncio.sleep(0.1)
    file.write_text("new")
    while room._document.source != "new":
        await asyncio.sleep(0.1)
    await room.initialize()
    print(f"in the file: {file.read_text()}; in the room: {room._document.source}")
    running.cancel()


asyncio.run(main())
