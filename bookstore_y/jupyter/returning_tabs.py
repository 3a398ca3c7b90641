"""The room for a returning tab whose file id the server doesn't know.

Every fresh disk gives files ids of its own, and a tab goes on asking for the room of the id that
it was told, `<format>:<type>:<file id>`. It is led to the one room that the file has here, so that
tabs of several disks meet in one document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from ..errors import ConfigurationError, InvalidPath
from ..keys import Document
from .from_tabs import FromTabs
from .server_files import ServerFiles
from .tab_sessions import TabSession


class ReturningTabs:
    """Finds the rooms of returning tabs."""

    def __init__(
        self,
        files: ServerFiles,
        file_ids: Callable[[], Any],
        bring_back: Callable[[str], Awaitable[object]],
        whereabouts: Callable[[Document, datetime, str], Awaitable[Document | None]],
        from_tabs: FromTabs,
    ) -> None:
        """`file_ids` gives jupyter_server_fileid's manager. `bring_back` writes a lost file
        of a path, `whereabouts` says what a document of some moment and file id is called
        now."""
        self._files = files
        self._file_ids = file_ids
        self._bring_back = bring_back
        self._whereabouts = whereabouts
        self._from_tabs = from_tabs
        self._here: dict[str, str] = {}
        """Ids of other disks -> the ids that their files have here."""
        self._seen: set[str] = set()

    def is_first(self, session_id: str) -> bool:
        """Whether nobody has come with this session before, since the server started."""
        first = session_id not in self._seen
        self._seen.add(session_id)
        return first

    async def room_of(
        self,
        room_id: str,
        session: TabSession | None,
        may_bring: Callable[[], Awaitable[bool]],
    ) -> str:
        """The id of the room that a tab means, with its file on the disk.

        It is `room_id` itself where the file id is known, and where nothing is known of it at
        all. `may_bring` says whether the tab may bring a document that only it has. Raises a
        `BookstoreError` when the bucket cannot be asked.
        """
        encoding, kind, file_id = room_id.split(":", 2)
        file_ids = self._file_ids()
        for known in (file_id, self._here.get(file_id)):
            path = None if known is None else file_ids.get_path(known)
            if path is not None:
                if known and known != file_id and self._from_tabs.refuses(known, session):
                    return room_id
                await self._bring_back(path)
                if known == file_id:
                    await self._from_tabs.wait_for(known)
                return f"{encoding}:{kind}:{known}"
        if session is None:
            return room_id
        path = await self._path_now(session, kind, file_id)
        if path is not None:
            await self._bring_back(path)
            here = file_ids.index(path) if await self._files.exists(path) else None
        else:
            here = await self._brought(session, kind, file_id, may_bring)
        if here is None:
            return room_id
        self._here[file_id] = here
        return f"{encoding}:{kind}:{here}"

    async def _brought(
        self, session: TabSession, kind: str, file_id: str, may_bring: Callable[[], Awaitable[bool]]
    ) -> str | None:
        try:
            document = Document(session.path, kind)
        except InvalidPath:
            return None
        if not await may_bring():
            return None
        return await self._from_tabs.begin(document, file_id, session)

    async def _path_now(self, session: TabSession, kind: str, file_id: str) -> str | None:
        try:
            then = Document(session.path, kind)
            found = await self._whereabouts(then, session.since, file_id)
        except (ConfigurationError, InvalidPath):  # there is no archive, or it never had this
            return None
        return None if found is None else found.path
