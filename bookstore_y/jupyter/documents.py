"""The documents of the server's files: open, in the buffer, or in the bucket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime

from ..archive.version_keys import VersionKeys
from ..errors import BookstoreError
from ..keys import Document
from ..replication.checkpointer import Checkpointer
from .rooms import OpenRoom, Rooms
from .server_files import ServerFiles


class Documents:
    """The documents of one server, by the paths of their files."""

    def __init__(
        self, rooms: Rooms, files: ServerFiles, running: Callable[[], Checkpointer]
    ) -> None:
        """`running` gives the checkpointer, or raises `ConfigurationError`."""
        self._rooms = rooms
        self._files = files
        self._running = running

    async def room(self, path: str, type: str | None = None) -> OpenRoom | None:
        """The room of the file at `path`; or where there is no file, of one that was deleted there
        and is still open. None if nobody has it open.

        Raises `Conflict` while it is being opened.
        """
        room = self._rooms.ready(path, type)
        if room is None and not await self._files.exists(path):
            room = self._rooms.of_deleted(path, type)
        return room

    async def has_room(self, path: str) -> bool:
        """Whether there is what `room` gives, or will be in a moment."""
        return bool(self._rooms.of_path(path)) or await self.room(path) is not None

    def buffered(self, path: str) -> list[Document]:
        """The documents of a file that are in the buffer, for each type that it was open as."""
        return [document for document in self._running().entries if document.path == path]

    async def bring_up_to_date(self, path: str) -> None:
        """Have in the bucket what this server alone has of a file: what it was saved with, what
        was typed into it, and where it was moved. Raises a `BookstoreError` if it cannot."""
        checkpointer = self._running()
        if await self._files.exists(path):
            checkpointer.name_taken(path)
        await checkpointer.path_changes.follow(path)
        if checkpointer.path_changes.saves is not None:
            await checkpointer.path_changes.saves.settle(path)
        for document in self.buffered(path):
            await checkpointer.settle(document)

    async def checkpoint_all(self) -> None:
        """Have in the bucket what an earlier process left here, as far as it takes it."""
        checkpointer = self._running()
        for entry in list(checkpointer.entries.values()):
            if entry.pending:
                with contextlib.suppress(BookstoreError):  # reported, and tried again
                    await checkpointer.settle(entry.document)

    async def whereabouts(
        self, document: Document, since: datetime, file_id: str
    ) -> Document | None:
        """What a document of some moment and file id is called now; None if there is none. Raises
        a `BookstoreError` when that is not known."""
        checkpointer = self._running()
        await checkpointer.path_changes.follow(document.path)
        went = checkpointer.path_changes.went(document, since)
        if went != document:  # the bucket refuses to follow that
            return went
        return await checkpointer.archive.tracing.whereabouts(document, since, file_id)

    async def is_unknown(self, path: str) -> bool:
        """Whether the archive has never had anything at a path. Raises a `BookstoreError` when
        that is not known."""
        checkpointer = self._running()
        archive = checkpointer.archive
        await self.bring_up_to_date(path)
        if checkpointer.path_changes.archived_at(path) != path:
            return False
        keys = VersionKeys(archive.bucket, archive.settings)
        return not await keys.of(path, ("snapshot", "save"), limit=1)
