"""Files that something else changes while their rooms are open.

That is a program on disk, another client's save, or a jupytext pair.

A room takes over what its file then says (jupyter_server_ydoc's rooms.py). Left alone, it does so
in several steps. Between them people go on typing; a key pressed can cancel it half-way; and a save
of the room can be written over the file before all of the rooms have read it. Here it is one step
that nothing interrupts, and what it replaces becomes a version of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError

from ..store import S3YStore
from ..ydoc import content
from ..ydoc.kinds import kind_of
from .rooms import OpenRoom, Rooms

T = TypeVar("T")

Target = tuple[int, int, int] | None

_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass
class _Save:
    """A room that is saving its file."""

    file: tuple[str, str]
    """The document type and the file id."""
    noted: bool = False
    """Whether its store knows what is saved."""


_saving: ContextVar[_Save | None] = ContextVar("saving", default=None)

_turn: ContextVar[object] = ContextVar("turn", default=None)
"""The loader of the file that this task, or who started it, may read and write alone."""

_taking: ContextVar[bool] = ContextVar("taking", default=False)


def is_saved_by(store: S3YStore, body: Any) -> bool:
    """Whether `body` is what the room of `store` holds, on its way to the file, and is not saved by
    other means. (A notebook that its manager keeps as a text is none of it either.)"""
    save = _saving.get()
    is_its_own = save is not None and save.file == store.file
    return is_its_own and isinstance(body, dict) == _is_json(store)


def saving_is_noted() -> None:
    """The store of the room that is saving its file knows what is saved."""
    save = _saving.get()
    if save is not None:
        save.noted = True


def _is_json(store: S3YStore) -> bool:
    return store.file is not None and kind_of(store.file[0]).is_notebook


class OutsideChanges:
    """Watches the files of a server's rooms."""

    def __init__(
        self, rooms: Rooms, serverapp: ServerApp, follow: Callable[[str], Awaitable[None]]
    ) -> None:
        """`follow` has the documents of a file id called what their file is called now."""
        self._rooms = rooms
        self._follow = follow
        self._serverapp = serverapp
        self._taken: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._targets: WeakKeyDictionary[Any, Target] = WeakKeyDictionary()
        self._locks: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()

    def watch(self, loader: Any) -> None:
        """Watch the file of `loader`, a `FileLoader` of jupyter_server_ydoc (its loaders.py)."""
        self._locks.setdefault(loader, asyncio.Lock())
        self._taken.setdefault(loader, 0)
        load, save = loader.load_content, loader.maybe_save_content
        notify = loader.maybe_notify

        async def load_content(format: str, file_type: str) -> Any:
            room = self._room(loader, format, file_type)
            if room is None or not room.room.ready or _taking.get():
                self._targets[loader] = self._target(loader)
                return await load(format, file_type)
            # A key pressed cancels the save that has found the file changed.
            return await self._to_its_end(self._take_over(loader, room, load))

        async def maybe_save_content(model: dict[str, Any]) -> Any:
            taken = self._taken[loader]
            async with self._turn(loader):
                if self._taken[loader] != taken:
                    model = await self._renewed(loader, model)
                await self._follow(loader.file_id)
                room = self._room(loader, model["format"], model["type"])
                # The loader gives the model another type if the contents manager knows none such.
                saving = _Save((model["type"], loader.file_id))
                token = _saving.set(saving)
                self._see_through_link(loader)
                try:
                    saved = await save(model)
                finally:
                    _saving.reset(token)
                self._targets[loader] = self._target(loader)
                if room is not None and saved is not None:
                    if not saving.noted:  # its manager has its own way to save
                        room.store.note_saving(content.hash_of(model["content"]))
                    room.store.note_saved()
                return saved

        async def maybe_notify() -> None:
            async with self._turn(loader):
                await self._follow(loader.file_id)
                self._see_through_link(loader)
                await notify()

        loader.load_content, loader.maybe_save_content = load_content, maybe_save_content
        loader.maybe_notify = maybe_notify

    def _room(self, loader: Any, format: str, file_type: str) -> OpenRoom | None:
        room_id = f"{format}:{file_type}:{loader.file_id}"
        return next((room for room in self._rooms.all() if room.id == room_id), None)

    async def _renewed(self, loader: Any, model: dict[str, Any]) -> dict[str, Any]:
        """What is to be saved, with the document as it is now: the file has been taken over since
        it was put together."""
        room = self._room(loader, model["format"], model["type"])
        document = await self._rooms.live(room) if room is not None else None
        return model if document is None else {**model, "content": await document.aget()}

    async def _take_over(self, loader: Any, room: OpenRoom, load: Any) -> Any:
        """Read the file, and make the document of its room say what it says."""
        _taking.set(True)  # of this task alone
        async with self._turn(loader):
            encoding, kind, _ = room.id.split(":", 2)
            target = self._target(loader)
            model = await load(encoding, kind)
            self._targets[loader] = target  # else the next look would find it changed again
            document = await self._rooms.live(room)
            if document is None or room.store.entry is None:
                return model  # it has ended meanwhile
            body = model["content"]
            file_hash = await asyncio.to_thread(content.hash_of_file, kind, body)
            async with _not_saving(room):
                if file_hash == content.hash_of(document.get()):
                    await room.store.file_is(file_hash)
                else:
                    await room.store.replace_by_file(
                        lambda: content.write(kind, document.ydoc, body), file_hash
                    )
            self._taken[loader] += 1
            _let_it_be(document)
            return {**model, "content": _taken(body)}

    def _see_through_link(self, loader: Any) -> None:
        """Have the loader find the file changed if it is a link, and what it leads to has changed.

        The time that jupyter_server tells is the link's own (its filemanager.py, `_base_model`).
        """
        if self._target(loader) != self._targets.get(loader):
            loader.last_modified = _LONG_AGO

    def _target(self, loader: Any) -> Target:
        """What tells apart the states of what a link leads to; None if the file is no link."""
        try:
            manager: Any = self._serverapp.contents_manager  # extensions may replace it
            path = Path(manager._get_os_path(loader.path))
            if not path.is_symlink():
                return None
            found = path.stat()
        except (AttributeError, HTTPError, OSError, RuntimeError):
            return None  # the files are on no disk, or this one is gone
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextlib.asynccontextmanager
    async def _turn(self, loader: Any) -> AsyncIterator[None]:
        if _turn.get() is loader:
            yield
            return
        async with self._locks[loader]:
            token = _turn.set(loader)
            try:
                yield
            finally:
                _turn.reset(token)

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


def _not_saving(room: OpenRoom) -> contextlib.AbstractAsyncContextManager[Any]:
    """While this lasts, the room does not set about saving its document for having changed."""
    lock: contextlib.AbstractAsyncContextManager[Any] = room.room._update_lock
    return lock


class _TakenJSON(dict[str, Any]):
    """What a file says, and its document has been made to say."""


class _TakenText(str):
    """The same of a file that is no notebook."""


def _taken(body: Any) -> Any:
    if isinstance(body, dict):
        return _TakenJSON(body)
    return _TakenText(body) if isinstance(body, str) else body


def _let_it_be(document: Any) -> None:
    """Have the room not set its document once more to what it has taken over already: by then
    somebody may have typed, and that would be replaced, too."""
    if "aset" in vars(document):
        return
    aset = document.aset

    async def set_unless_taken(value: Any) -> None:
        if not isinstance(value, (_TakenJSON, _TakenText)):
            await aset(value)

    document.aset = set_unless_taken
