"""What stores learn about their server, and how its rooms load their documents."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from anyio import fail_after
from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError
from traitlets.config import Config

from ..errors import BookstoreError, InvalidPath
from ..keys import Document
from ..settings import BookstoreSettings
from ..store import S3YStore
from ..ydoc import content
from .autosave import leave_unedited
from .from_tabs import FromTabs
from .late_edits import LateEditsKeeper
from .moved_files import MovedFiles
from .outside_changes import OutsideChanges
from .room_files import RoomFiles
from .rooms import Rooms
from .server_files import Model, ServerFiles

SAVE_PATIENCE = 2.0
"""Seconds that a room's save waits for the bucket, which is to have what the file will say."""


class StoreHost:
    """One server as the stores of its rooms see it: a `store.Host`."""

    def __init__(
        self,
        serverapp: ServerApp,
        settings: BookstoreSettings,
        file_ids: Callable[[], Any],
        *,
        rooms: Rooms,
        files: ServerFiles,
        room_files: RoomFiles,
        moved_files: MovedFiles,
        outside_changes: OutsideChanges,
        from_tabs: FromTabs,
        late_edits: LateEditsKeeper,
    ) -> None:
        """`file_ids` gives jupyter_server_fileid's manager."""
        self.settings = settings
        self._serverapp = serverapp
        self._file_ids = file_ids
        self._rooms = rooms
        self._files = files
        self._room_files = room_files
        self._moved_files = moved_files
        self._outside_changes = outside_changes
        self._from_tabs = from_tabs
        self._late_edits = late_edits

    @property
    def config(self) -> Config:
        """The server's configuration, which jupyter_server_ydoc does not always pass on."""
        return self._serverapp.config

    async def document_of(self, type: str, file_id: str) -> Document:
        """The document that a file id stands for, wherever its file was when it was open last.

        Raises `InvalidPath`, and what keeps the bucket from being asked.
        """
        path = self._file_ids().get_path(file_id)
        if path is None:
            raise InvalidPath(
                f"This server has no file with id {file_id!r}; open the document again by its path."
            )
        document = Document(path, type)
        await self._moved_files.closed_file(document, file_id)
        return document

    def is_ready(self, store: S3YStore) -> bool:
        """Whether the room of `store` has loaded its document."""
        return any(room.ready for room in self._rooms.all() if room.store is store)

    def bring_forward(self, store: S3YStore) -> None:
        """Have the room of `store` save its document to the file, once it is ready."""
        self._room_files.bring_forward(store)

    def opening(self, store: S3YStore, file_id: str) -> None:
        """Have the room of `store` load its document's own content in place of a file that says
        the same, or is merely older; the file is brought forward.

        The room would otherwise reset the document to the file, which rewrites cells and so
        drops what clients that were away have typed into them.
        """
        collaboration = self._rooms.collaboration
        if collaboration is None:
            return
        loader = collaboration.file_loaders[file_id]
        load = loader.load_content
        opened = False

        async def load_content(format: str, file_type: str) -> Any:
            nonlocal opened
            first, opened = not opened, True
            model = await load(format, file_type)
            if first:
                try:
                    model = await self._of_document(store, loader, model)
                except (BookstoreError, TimeoutError):
                    pass  # whatever it is, the room comes upon it next, and can tell its client
                self._watch(store)
            model["content"] = await asyncio.to_thread(content.for_room, model["content"])
            return model

        save = loader.maybe_save_content

        async def maybe_save_content(model: Model) -> Any:
            if store.is_awaited:
                return None  # as for a file that cannot be written (its loaders.py)
            await store.archive_before_save(SAVE_PATIENCE)
            return await save(model)

        loader.load_content = load_content
        loader.maybe_save_content = maybe_save_content
        self._outside_changes.watch(loader)

    def _watch(self, store: S3YStore) -> None:
        for room in self._rooms.all():
            if room.store is store and store.entry is not None:
                leave_unedited(room.room)
                self._late_edits.watch(room.room, store.entry)

    async def _of_document(self, store: S3YStore, loader: Any, model: Model) -> Model:
        """The model of a room's file with the content of its document, unless the file was
        changed by other means. The file is brought forward if it is older."""
        with fail_after(30):  # the room starts its store at once, or not at all
            await store.started.wait()
        document = store.document
        stored = await store.stored(model["content"])
        if document is None:
            return model
        if stored is None:
            return {**model, "content": self._from_tabs.open(store, model["content"])}
        file: Any = model["content"]
        if stored.is_newer:
            body, file = stored.content, None
            if model["format"] == "base64" and isinstance(body, str):
                body = base64.b64decode(body)
            try:
                model = await self._write_forward(document, loader, body, model)
                file = model["content"]
                await store.file_is(content.hash_of(stored.content))
            except HTTPError as error:
                self._serverapp.log.warning(
                    "The file %s is older than its document, which had edits that were not "
                    "saved before the server stopped, and the file can't be written (%s). The "
                    "document has the edits; save it when the file can be written.",
                    document.path,
                    error.log_message or error.reason or error,
                )
        else:
            await store.file_is(content.hash_of(stored.content))
        store.adopt(file)
        said = await asyncio.to_thread(stored.for_room, file)
        return {**model, "content": said}

    async def _write_forward(
        self, document: Document, loader: Any, body: Any, model: Model
    ) -> Model:
        """Write a document's file, and return it as it is loaded again, with who trusts it."""
        # The loader polls the file. What it takes for a change goes into the room's document,
        # which is empty as yet, and is there twice when the store's content follows.
        async with loader._lock:
            written = await self._files.write(document.path, body)
            loader.last_modified = written["last_modified"]
            loaded = await self._files.read(document.path, model["type"], model["format"])
        self._serverapp.log.warning(
            "The file %s was older than its document, which had edits that were not saved "
            "before the server stopped. The file has them now.",
            document.path,
        )
        return loaded
