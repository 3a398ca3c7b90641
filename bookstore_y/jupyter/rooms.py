"""Rooms: the documents that are open on this server, by way of jupyter_server_ydoc."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_server.serverapp import ServerApp

from ..errors import BookstoreError
from ..keys import Document
from ..replication.document import DocumentState
from ..store import S3YStore
from ..ydoc import content

GOING_AWAY = 1001
"""WebSocket close code of a server that shuts down (RFC 6455, 7.4.1)."""

REFUSED = 1003
"""Close code after which jupyter-collaboration's client shows the reason and lets go of the
document (its docprovider, `_onConnectionClosed`)."""


class Conflict(BookstoreError):
    """What is asked for would overwrite, or has to wait for, what is going on in the server."""


@dataclass(frozen=True)
class OpenRoom:
    """A document room whose store is ours. Its id is `<format>:<type>:<file id>`."""

    id: str
    room: Any
    store: S3YStore

    @property
    def document(self) -> Document | None:
        """What it is the room of; None until its store has been started."""
        return self.store.document

    @property
    def file_id(self) -> str:
        """What jupyter_server_fileid calls its file."""
        return self.id.split(":", 2)[2]

    @property
    def people(self) -> set[str]:
        """Names of those who are in it now."""
        names = set()
        for state in list(self.room.awareness.states.values()):
            user = state.get("user") if isinstance(state, dict) else None
            if isinstance(user, dict):
                names.add(str(user.get("name") or user.get("username") or ""))
        return names - {""}

    @property
    def ready(self) -> bool:
        """Whether the room has its whole document. One that loads progressively serves it
        before, and holds on to this future (its rooms.py) until all of the file is in it."""
        room = self.room
        loading = getattr(room, "_document_progressively_loaded", None)
        progressive = getattr(room, "_document_load_progressively", False)
        unfinished = progressive and loading is not None and not loading.done()
        return bool(room.ready and not (unfinished and room._update_lock.locked()))


@dataclass(frozen=True)
class _Unsaved:
    """A closed room's document, and jupyter_server_ydoc's way to its file."""

    store: S3YStore
    document: Any
    loader: Any
    format: str
    type: str


class Rooms:
    """The document rooms of one server; none where jupyter_server_ydoc is not installed."""

    def __init__(self, serverapp: ServerApp) -> None:
        self._serverapp = serverapp
        self._last_captures: list[Callable[[], None]] = []
        self._unsaved: list[_Unsaved] = []

    @property
    def collaboration(self) -> Any:
        """jupyter_server_ydoc's extension app, or None without it."""
        apps = self._serverapp.extension_manager.extension_apps.get("jupyter_server_ydoc", ())
        return next(iter(apps), None)

    @property
    def archived(self) -> bool:
        """Whether rooms that are opened have stores of ours."""
        store = getattr(self.collaboration, "ystore_class", None)
        return isinstance(store, type) and issubclass(store, S3YStore)

    def all(self) -> list[OpenRoom]:
        """Every document room."""
        collaboration = self.collaboration
        if collaboration is None:
            return []
        return [
            OpenRoom(room_id, room, room.ystore)
            for room_id, room in list(collaboration.ywebsocket_server.rooms.items())
            if isinstance(room.ystore, S3YStore)
        ]

    def stores(self) -> list[S3YStore]:
        """The stores of all rooms."""
        return [room.store for room in self.all()]

    def of_path(self, path: str, type: str | None = None) -> list[OpenRoom]:
        """The rooms of the file at `path`: one for each document type that it is open as. What
        was deleted there, and is still open, is none of it."""
        return [room for room in self._named(path, type) if self._has_file(room)]

    def of_deleted(self, path: str, type: str | None = None) -> OpenRoom | None:
        """A room whose file was deleted at `path`, and that had loaded it; None if there is
        none."""
        rooms = self._named(path, type)
        return next((room for room in rooms if room.ready and not self._has_file(room)), None)

    def _named(self, path: str, type: str | None) -> list[OpenRoom]:
        return [
            room
            for room in self.all()
            if room.document is not None
            and room.document.path == path
            and type in (None, room.document.type)
        ]

    def _has_file(self, room: OpenRoom) -> bool:
        """Whether the room's file is there under the name of its document, and was not deleted: a
        file that took the name since has an id of its own."""
        entry, document = room.store.entry, room.document
        if entry is None or document is None or entry.deleted:
            return False
        ids = self._serverapp.web_app.settings["file_id_manager"]
        return bool(ids.get_path(room.file_id) == document.path)

    def ready(self, path: str, type: str | None = None) -> OpenRoom | None:
        """A room of the file that has loaded it; None if it is not open.

        Raises `Conflict` while it is being opened.
        """
        rooms = self.of_path(path, type)
        ready = next((room for room in rooms if room.ready), None)
        if rooms and ready is None:
            raise Conflict(f"{path} is being opened; try again in a moment.")
        return ready

    async def live(self, room: OpenRoom) -> Any:
        """The room's own document, of a jupyter_ydoc class. Changing it changes the room."""
        return await self.collaboration.get_document(room_id=room.id, copy=False)

    def dismiss(self, room: OpenRoom, reason: str) -> None:
        """Take what clients have sent, and close their connections. They show the reason, of up
        to 49 bytes, and do not come back by themselves."""
        payload = {"reason": "initialization_error", "reloadable": False, "errorReason": reason}
        for client in list(room.room.clients):
            client.close(REFUSED, json.dumps(payload))

    def authors_of(self, entry: DocumentState) -> set[str]:
        """Names of those who are in the rooms of a document now; not in those of another that has
        its name."""
        return {name for room in self.all() if room.store.entry is entry for name in room.people}

    # -- the end -------------------------------------------------------------------------------

    async def close(self) -> None:
        """Take no more edits, and buffer what rooms hold. `save` is for afterwards.

        Awaits nothing before it has all that it needs of jupyter_server_ydoc, which is stopped at
        the same time (its app.py, `stop_extension`).
        """
        rooms = self.all()
        clients = [client for room in rooms for client in room.room.clients]
        for client in clients:
            # What comes after this is not archived, so it must not reach the document either.
            client.on_message = _ignore
        self._last_captures = [room.store.last_capture() for room in rooms if room.ready]
        for room in rooms:
            try:
                await self._note_unsaved(room)
            except Exception as error:  # noqa: BLE001 - its file may stay behind, the others not
                self._serverapp.log.warning("A file was not saved at shutdown: %r", error)
        await asyncio.gather(*map(has_read, clients))
        self.capture()
        for client in clients:
            client.close(GOING_AWAY, "The server is shutting down.")
            client.send = _ignore  # what the room may have for it yet it gets when it returns

    async def _note_unsaved(self, room: OpenRoom) -> None:
        if not (room.ready and self._has_file(room) and self._autosaves(room)):
            return
        if room.store.is_awaited:
            return
        encoding, kind, file_id = room.id.split(":", 2)
        loaders = self.collaboration.file_loaders
        if file_id in loaders:
            document, loader = await self.live(room), loaders[file_id]
            _put_off_saving(room.room, loader)
            self._unsaved.append(_Unsaved(room.store, document, loader, encoding, kind))

    async def save(self, within: float) -> None:
        """Save the files of closed rooms that are behind; they may take `within` seconds.

        A room's own autosave has been cancelled, or is with the room.
        """
        unsaved, self._unsaved = self._unsaved, []
        saves = [asyncio.create_task(self._save(each)) for each in unsaved]
        if saves:
            await asyncio.wait(saves, timeout=within)

    def capture(self) -> None:
        """Take in what the documents of ended rooms hold, though a room may be closed by now."""
        for capture in self._last_captures:
            capture()

    def _autosaves(self, room: OpenRoom) -> bool:
        """Whether the room saves by itself, by jupyter_server_ydoc's own rule (its rooms.py)."""
        if self.collaboration.document_save_delay is None:
            return False
        states = [state for state in room.room.awareness.states.values() if state]
        return not states or any(state.get("autosave", True) for state in states)

    async def _save(self, unsaved: _Unsaved) -> None:
        """Save a document whose file is behind it. A file changed meanwhile stays as it is."""
        try:
            body = await unsaved.document.aget()
            if content.hash_of(body) == unsaved.store.file_hash:
                return
            await unsaved.loader.maybe_save_content(
                {"format": unsaved.format, "type": unsaved.type, "content": body}
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the archive has the document
            self._serverapp.log.warning(
                "The file %s was not saved before the server stopped (%s). Its document is "
                "archived, and updates the file when it is opened again.",
                unsaved.loader.path,
                repr(error),
            )


def _put_off_saving(room: Any, loader: Any) -> None:
    """Cancel an autosave that waits for its delay: it would note in the document that the file is
    saved, which makes a version of its own. One that writes goes on, as the file is known by its
    end; so does what is not jupyter_server_ydoc's (its rooms.py and loaders.py; both private)."""
    saving = getattr(room, "_saving_document", None)
    lock = getattr(loader, "_lock", None)
    if saving is not None and lock is not None and not lock.locked():
        saving.cancel()


async def has_read(client: Any) -> None:
    """Wait until the room has taken in what came over a connection."""
    arrived = getattr(client, "_message_queue", None)  # jupyter_server_ydoc's, and private
    for _ in range(1000):
        if arrived is None or arrived.empty():
            return
        await asyncio.sleep(0)


async def _ignore(message: Any) -> None:
    """Takes the place of a connection's handler of messages, and of its way to send them."""
