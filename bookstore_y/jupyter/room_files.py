"""The files of open rooms, and what a room must know when somebody writes its file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from logging import Logger
from typing import Any

from tornado.web import HTTPError

from ..replication.checkpointer import Checkpointer
from ..store import S3YStore
from ..ydoc import content
from .outside_changes import is_saved_by, saving_is_noted
from .rooms import Rooms
from .server_files import ServerFiles


class RoomFiles:
    """The files that the rooms of one server have open."""

    def __init__(
        self,
        rooms: Rooms,
        files: ServerFiles,
        checkpointer: Callable[[], Checkpointer | None],
        log: Logger,
    ) -> None:
        """`checkpointer` gives None while the server starts."""
        self._rooms = rooms
        self._files = files
        self._checkpointer = checkpointer
        self._log = log
        self._tasks: set[asyncio.Task[Any]] = set()

    def before_save(self, model: dict[str, Any], path: str, **_: Any) -> None:
        """A pre-save hook: keep the hash of what a room is about to write to its file."""
        body = model.get("content")
        if body is None or model.get("chunk") is not None:
            return
        content_hash = ""
        for store in self._stores_of(path):
            if not is_saved_by(store, body):
                continue  # the room comes upon it, and takes it over
            content_hash = content_hash or content.hash_of(body)
            store.note_saving(content_hash)
            saving_is_noted()

    def saved(self, path: str) -> None:
        """The contents manager has written the file."""
        checkpointer = self._checkpointer()
        if checkpointer is not None:
            checkpointer.name_taken(path)
        for store in self._stores_of(path):
            store.note_saved()

    @contextlib.asynccontextmanager
    async def beside_room(self, path: str) -> AsyncIterator[None]:
        """Within this a lost file is written from the archive, which has what its room has said
        up to now. The room is not to take it for a change by other means; it saves next."""
        stores = self._stores_of(path)
        rooms = [room for room in self._rooms.all() if room.store in stores]
        if not rooms or self._rooms.collaboration is None:
            yield
            return
        loader = self._rooms.collaboration.file_loaders[rooms[0].file_id]
        async with loader._lock:
            yield
            with contextlib.suppress(HTTPError):
                model = await self._files.about(path)
                loader.last_modified = model["last_modified"]
        for store in stores:
            self.bring_forward(store)

    def bring_forward(self, store: S3YStore) -> None:
        """Have the room of `store` save its document to the file, once it is ready."""
        task = asyncio.get_running_loop().create_task(self._bring_forward(store))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def _bring_forward(self, store: S3YStore) -> None:
        for room in self._rooms.all():
            if room.store is store:
                await asyncio.wait_for(room.room.ready_event.wait(), 60)
                # A document that becomes dirty is saved by its room as after any edit.
                (await self._rooms.live(room)).dirty = True

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("A document was not saved.", exc_info=task.exception())

    def _stores_of(self, path: str) -> list[S3YStore]:
        path = path.strip("/")
        return [
            store
            for store in self._rooms.stores()
            if store.entry is not None
            and store.entry.document.path == path
            and not store.entry.deleted
        ]
