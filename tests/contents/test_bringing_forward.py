"""A file that is behind its document is brought forward before its room loads it."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server_ydoc.loaders import FileLoader  # type: ignore[import-untyped]
from pycrdt import Doc

from bookstore_y import BookstoreSettings
from bookstore_y.file_state import Stored, stored_of
from bookstore_y.jupyter.services import Services
from bookstore_y.keys import Document
from bookstore_y.ydoc import content

PATH = "notes.txt"


class PolledManager(AsyncLargeFileManager):
    """Whoever watches a file looks at it as soon as it was saved."""

    loader: Any = None
    looks: list[asyncio.Task[None]] = []  # noqa: RUF012 - a trait of one test's manager

    async def save(self, model: Any, path: str = "") -> Any:
        saved = await super().save(model, path)  # type: ignore[no-untyped-call]
        self.looks.append(asyncio.create_task(self.loader.maybe_notify()))
        await asyncio.sleep(0)  # it is at the loader's lock now, or past it
        return saved


class BehindStore:
    """A store whose document says more than its file."""

    document = Document(PATH, "file")
    entry = None

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.started.set()

    async def stored(self, body: Any) -> Stored:
        doc: Doc[Any] = Doc()
        content.write("file", doc, "typed before the server stopped")
        found = stored_of("file", [doc.get_update()], body, [content.hash_of(body)])
        assert found is not None
        return found

    def adopt(self, file: Any) -> None:
        pass

    async def file_is(self, content_hash: str) -> None:
        pass


async def test_a_file_that_is_brought_forward_is_no_change_to_its_room(tmp_path: Path) -> None:
    (tmp_path / PATH).write_text("typed")
    os.utime(tmp_path / PATH, (1e9, 1e9))
    manager = PolledManager(root_dir=str(tmp_path))
    ids: Any = SimpleNamespace(get_path=lambda _: PATH)
    loader = manager.loader = FileLoader("id", ids, manager)
    told: list[str] = []

    async def changed() -> None:
        told.append("a room that is not ready")

    loader.observe("room", changed)
    await loader.maybe_notify()

    no_rooms = SimpleNamespace(rooms={})
    app = SimpleNamespace(file_loaders={"id": loader}, ywebsocket_server=no_rooms)
    apps = SimpleNamespace(extension_apps={"jupyter_server_ydoc": [app]})
    log = logging.getLogger(__name__)
    events = SimpleNamespace(register_event_schema=lambda _: None)
    server: Any = SimpleNamespace(
        contents_manager=manager,
        extension_manager=apps,
        log=log,
        event_logger=events,
        web_app=SimpleNamespace(settings={"file_id_manager": ids}),
    )
    store: Any = BehindStore()
    Services(server, BookstoreSettings()).store_host.opening(store, "id")
    model = await loader.load_content("text", "file")
    assert manager.looks
    await asyncio.gather(*manager.looks)

    assert model["content"] == "typed before the server stopped"
    assert told == []
