"""Rooms: the documents that are open on this server, by way of jupyter_server_ydoc."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_server.serverapp import ServerApp

from .. import content
from ..errors import BookstoreError
from ..keys import Document
from ..store import S3YStore

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
    def ready(self) -> bool:
        """Whether the room has its whole document. One that loads progressively serves it
        before, and holds on to this future (its rooms.py) until all of the file is in it."""
        room = self.room
        loading = getattr(room, "_document_progressively_loaded", None)
        progressive = getattr(room, "_document_load_progressively", False)
        unfinished = progressive and loading is not None and not loading.done()
        return bool(room.ready and not (unfinished and room._update_lock.locked()))


class Rooms:
    """The document rooms of one server; none where jupyter_server_ydoc is not installed."""

    def __init__(self, serverapp: ServerApp) -> None:
        self._serverapp = serverapp
        self._last_captures: list[Callable[[], None]] = []

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

    def of_path(self, path: str, type: str | None = None) -> list[OpenRoom]:
        """The rooms of a file: one for each document type that it is open as."""
        return [
            room
            for room in self.all()
            if room.document is not None
            and room.document.path == path
            and type in (None, room.document.type)
        ]

    def ready(self, path: str, type: str | None = None) -> OpenRoom | None:
        """A room of the file that has loaded it; None if it is not open.

        Raises `Conflict` while it is being opened.
        """
        rooms = self.of_path(path, type)
        ready = next((room for room in rooms if room.ready), None)
        if rooms and ready is None:
            raise Conflict(f"{path} is just being opened; try again when it is.")
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

    def authors_of(self, document: Document) -> set[str]:
        """Names of those who are in the document's rooms now."""
        names = set()
        for room in self.all():
            if room.document == document:
                for state in list(room.room.awareness.states.values()):
                    user = state.get("user") if isinstance(state, dict) else None
                    if isinstance(user, dict):
                        names.add(str(user.get("name") or user.get("username") or ""))
        return names - {""}

    # -- the end -------------------------------------------------------------------------------

    async def end(self, within: float) -> None:
        """Take no more edits, finish the saves that are due, and buffer what rooms still hold.

        Saves may take `within` seconds.
        """
        rooms = self.all()
        clients = [client for room in rooms for client in room.room.clients]
        for client in clients:
            # What comes after this is not archived, so it must not reach the document either.
            client.on_message = _ignore
        self._last_captures = [room.store.last_capture() for room in rooms if room.ready]
        for client in clients:
            await _has_read(client)
            client.close(GOING_AWAY, "The server is shutting down.")
            client.send = _ignore  # what the room may have for it yet it gets when it returns
        saves = [
            # A room's own autosave waits for its delay, and is cancelled with the room.
            asyncio.create_task(self._save(room))
            for room in rooms
            if room.ready and self._autosaves(room)
        ]
        if saves:
            await asyncio.wait(saves, timeout=within)
        self.capture()

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

    async def _save(self, room: OpenRoom) -> None:
        """Save a document whose file is behind it. A file changed meanwhile stays as it is."""
        loaders = self.collaboration.file_loaders
        encoding, kind, file_id = room.id.split(":", 2)
        if file_id not in loaders:
            return
        loader = loaders[file_id]
        body = await (await self.live(room)).aget()
        if content.hash_of(body) == room.store.file_hash:
            return
        try:
            await loader.maybe_save_content({"format": encoding, "type": kind, "content": body})
        except Exception as error:  # noqa: BLE001 - whatever it is, the archive has the document
            self._serverapp.log.warning(
                "The file %s was not saved before the server stopped (%s); its document is "
                "archived, and brings it forward when it is opened again.",
                loader.path,
                repr(error),
            )


async def _has_read(client: Any) -> None:
    """Wait until the room has taken in what came over a connection."""
    arrived = getattr(client, "_message_queue", None)  # jupyter_server_ydoc's, and private
    for _ in range(1000):
        if arrived is None or arrived.empty():
            return
        await asyncio.sleep(0)


async def _ignore(message: Any) -> None:
    """Takes the place of a connection's handler of messages, and of its way to send them."""
