"""Documents that only open tabs have: their disk was lost before their first version.

A tab that comes back says where its document belongs. If the archive and this disk know nothing
of that path, the room starts empty, and what the tab holds becomes the document. To build it from
a file would give it another history, and merging the two would double the document or break it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from ..errors import InvalidPath
from ..keys import Document
from ..store import S3YStore
from ..ydoc import content
from ..ydoc.kinds import kind_of
from .placing import Placer
from .rooms import Conflict, Rooms
from .server_files import is_notebook
from .tab_sessions import TabSession

PATIENCE = 10.0
"""Seconds for which others wait for what a tab brings."""

UNUSED = 30.0
"""Seconds after which the file of a document that nobody has brought is removed, if nobody is in
its room."""

_FILE_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""Ids that a version's metadata may name, since they come from outside. jupyter_server_fileid's are
UUIDs (its manager.py)."""

_NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@dataclass
class _Awaited:
    """A document that is to come from a tab, and the file that stands for it until then."""

    document: Document
    former_id: str
    """The id that its file had where the tab opened it."""
    file_id: str
    size: int
    time_ns: int
    asked: float
    brought: asyncio.Event = field(default_factory=asyncio.Event)


class FromTabs:
    """The documents of one server that tabs are to bring."""

    def __init__(
        self,
        placer: Placer,
        rooms: Rooms,
        file_ids: Callable[[], Any],
        is_unknown: Callable[[str], Awaitable[bool]],
        log: Any,
    ) -> None:
        """`file_ids` gives jupyter_server_fileid's manager. `is_unknown` says whether neither the
        archive nor this disk has ever had anything at a path; it raises a `BookstoreError` when
        that is not known."""
        self._placer = placer
        self._rooms = rooms
        self._file_ids = file_ids
        self._is_unknown = is_unknown
        self._log = log
        self._awaited: dict[str, _Awaited] = {}
        """By the ids that their files have here."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By path: held while a document begins, and while it is given up."""
        self._empty_handed: set[TabSession] = set()
        self._watches: set[asyncio.Task[None]] = set()

    async def begin(self, document: Document, former_id: str, session: TabSession) -> str | None:
        """Have a room for a document that a tab has, and return the id that its file has here.

        None if something else is at its path, or was there, or if the tab had nothing before.
        Raises a `BookstoreError` when that is not known, or when the file cannot be written.
        """
        body = _least(document)
        if body is None or session in self._empty_handed or not _FILE_ID.fullmatch(former_id):
            return None
        async with self._lock(document.path):
            for awaited in self._awaited.values():
                if awaited.document == document and awaited.former_id == former_id:
                    awaited.asked = time.monotonic()
                    return awaited.file_id
            if not await self._is_unknown(document.path):
                return None
            time_ns = time.time_ns()
            try:
                if not await self._placer.place_for_now(document.path, body, time_ns):
                    return None
            except InvalidPath:
                return None
            file_id: str | None = self._file_ids().index(document.path)
            if file_id is None:
                await self._placer.remove(document.path, time_ns, len(body))
                return None
            awaited = _Awaited(document, former_id, file_id, len(body), time_ns, time.monotonic())
            self._awaited[file_id] = awaited
            watch = asyncio.create_task(self._watch(awaited))
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)
            return file_id

    def open(self, store: S3YStore, body: Any) -> Any:
        """What the room of `store`, which is stored nowhere, is to take for its file's content;
        that is `body`. Another document's is `body` itself."""
        awaited = self._awaited.get(store.file[1]) if store.file is not None else None
        if awaited is None or store.document != awaited.document:
            return body
        kind = awaited.document.type
        store.await_clients(
            awaited.former_id,
            content.hash_of_file(kind, body),
            lambda: self._brought(awaited),
        )
        return content.blank(kind)

    def refuses(self, file_id: str, session: TabSession | None) -> bool:
        """Whether the tab of a session, which has nothing, asks for a document that is to come
        from a tab."""
        return file_id in self._awaited and session in self._empty_handed

    async def wait_for(self, file_id: str) -> None:
        """Wait until a tab has brought the notebook of a file, if it is to: nobody can work in a
        notebook that is not there yet. Raises `Conflict` when it takes too long."""
        awaited = self._awaited.get(file_id)
        if awaited is None or not kind_of(awaited.document.type).is_notebook:
            return
        try:
            await asyncio.wait_for(awaited.brought.wait(), PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            raise Conflict(
                f"{awaited.document.path} is only in a tab that somebody has open, and is not "
                "here yet; try again in a moment."
            ) from None

    def has_nothing(self, store: S3YStore, session: TabSession, update: bytes) -> bool:
        """Whether the tab of a session was to bring a notebook and has none, as all that it has
        is `update`. It is not asked for it again."""
        if not store.is_awaited or store.file is None or not kind_of(store.file[0]).is_notebook:
            return False
        if not content.is_blank_update(store.file[0], update):
            return False
        self._empty_handed.add(session)
        return True

    async def stop(self) -> None:
        """Leave no file behind whose document was not brought."""
        for watch in self._watches:
            watch.cancel()
        for awaited in list(self._awaited.values()):
            await self._give_up(awaited)

    def _brought(self, awaited: _Awaited) -> None:
        awaited.brought.set()
        self._awaited.pop(awaited.file_id, None)
        self._log.warning(
            "The document %s was neither in the archive nor on this disk; it is back from a tab "
            "that has it open.",
            awaited.document.path,
        )

    async def _watch(self, awaited: _Awaited) -> None:
        while not awaited.brought.is_set():
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(awaited.brought.wait(), UNUSED)
                return
            async with self._lock(awaited.document.path):
                unused = time.monotonic() - awaited.asked > UNUSED
                if unused and not self._is_used(awaited):
                    await self._give_up(awaited)
                    return

    def _lock(self, path: str) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())

    def _is_used(self, awaited: _Awaited) -> bool:
        return any(
            room.file_id == awaited.file_id and room.room.clients for room in self._rooms.all()
        )

    async def _give_up(self, awaited: _Awaited) -> None:
        self._awaited.pop(awaited.file_id, None)
        path = awaited.document.path
        try:
            if await self._placer.remove(path, awaited.time_ns, awaited.size):
                self._file_ids().delete(path)
        except Exception as error:  # noqa: BLE001 - a stopping server has more to do
            self._log.warning(
                "No tab has brought %s, and the empty file that stands for it cannot be removed: "
                "%r. Delete it, or the tab that has the document cannot bring it any more.",
                path,
                error,
            )


def _least(document: Document) -> bytes | None:
    """The least file that a document of its type can be loaded from; None if it can be from
    none."""
    if kind_of(document.type).is_notebook != is_notebook(document.path):
        return None
    if kind_of(document.type).is_notebook:
        return json.dumps(_NOTEBOOK, indent=1).encode() + b"\n"
    return b"" if content.is_known(document.type) else None
