"""Files that have another path although nobody announced a rename.

With `LocalFileIdManager` of jupyter_server_fileid a file keeps its id when a program moves it, as
`mv` does, and a room goes on with its file under the new path. What the archive has goes along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import BookstoreError
from ..keys import Document
from ..replication.checkpointer import Checkpointer
from .rooms import Rooms
from .server_files import ServerFiles


class MovedFiles:
    """Finds what was moved by the ids of files."""

    def __init__(
        self,
        rooms: Rooms,
        files: ServerFiles,
        file_ids: Callable[[], Any],
        checkpointer: Callable[[], Checkpointer | None],
    ) -> None:
        """`file_ids` gives jupyter_server_fileid's manager; `checkpointer` gives None while the
        server starts or stops."""
        self._rooms = rooms
        self._files = files
        self._file_ids = file_ids
        self._checkpointer = checkpointer
        self._paths: dict[str, str] = {}
        """Where files were that have been open since the server started, by their ids."""
        self._told: dict[str, str] = {}
        """Where files were by what tabs say that come back."""

    def was_at(self, file_id: str, path: str) -> None:
        """A tab that had a file open when another server ran says where that was."""
        self._told[file_id] = path

    async def open_file(self, file_id: str) -> None:
        """Have a file's documents called what the file is called now."""
        checkpointer = self._checkpointer()
        path = self._file_ids().get_path(file_id)
        if checkpointer is None or path is None:
            return
        for room in self._rooms.all():
            entry, document = room.store.entry, room.document
            if room.file_id != file_id or entry is None or document is None or entry.deleted:
                continue
            if document.path != path:
                try:
                    await self._rename(checkpointer, document.path, path)
                except BookstoreError as error:  # who saves or polls the file is to go on
                    checkpointer.log.error(  # noqa: TRY400 - the sentence is what counts
                        "The archive may not have followed %s to %s: %s",
                        document.path,
                        path,
                        error,
                    )
        self._paths[file_id] = path

    async def closed_file(self, document: Document, file_id: str) -> None:
        """Have what was archived of a file that is about to be opened under the path that it has
        now.

        Raises a `BookstoreError` if the bucket cannot be asked.
        """
        checkpointer = self._checkpointer()
        if checkpointer is None:
            return
        known = [
            entry.document.path
            for entry in checkpointer.entries.values()
            if entry.facts.file_id == file_id and not entry.deleted
        ]
        known += [paths[file_id] for paths in (self._paths, self._told) if file_id in paths]
        self._paths[file_id] = document.path
        self._told.pop(file_id, None)
        for source in dict.fromkeys(known):
            if source != document.path and await self._was(checkpointer, source, document, file_id):
                await self._rename(checkpointer, source, document.path)
                return

    async def _was(
        self, checkpointer: Checkpointer, source: str, document: Document, file_id: str
    ) -> bool:
        """Whether a document was at `source`: it has the file's id, and no file is there."""
        if document in checkpointer.entries or await self._files.exists(source):
            return False
        there = Document(source, document.type)
        entry = checkpointer.entries.get(there)
        if entry is not None:
            return entry.facts.file_id == file_id
        await checkpointer.path_changes.follow(source)
        await checkpointer.path_changes.follow(document.path)
        if await checkpointer.archive.snapshots.current(document) is not None:
            return False
        current = await checkpointer.archive.snapshots.current(there)
        return current is not None and current.facts.file_id == file_id

    async def _rename(self, checkpointer: Checkpointer, source: str, target: str) -> None:
        folder, moved = _without_common_end(source, target)
        if folder != source and not await self._files.is_folder(folder):
            source, target = folder, moved  # all that was in it has moved
        checkpointer.log.info(
            "%s is at %s now, as its file id tells; the archive follows.", source, target
        )
        await checkpointer.path_changes.rename(source, target)


def _without_common_end(source: str, target: str) -> tuple[str, str]:
    """Two paths without the names at their ends that they have in common, but for one name."""
    before, after = source.split("/"), target.split("/")
    while len(before) > 1 and len(after) > 1 and before[-1] == after[-1]:
        before.pop()
        after.pop()
    return "/".join(before), "/".join(after)
