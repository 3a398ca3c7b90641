"""The server's documents: their paths, rooms, files and authors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from anyio import fail_after
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from .. import content
from ..checkpointer import Checkpointer
from ..errors import (
    BookstoreError,
    ConfigurationError,
    DocumentNotFound,
    InvalidPath,
    UnsupportedDocument,
)
from ..keys import Document
from ..settings import BookstoreSettings
from ..store import S3YStore
from ..version import Snapshot, Version

if TYPE_CHECKING:
    from traitlets.config import Config

GOING_AWAY = 1001
"""WebSocket close code of a server that shuts down (RFC 6455, 7.4.1)."""


class Conflict(BookstoreError):
    """The file holds something that the archive does not."""


class Documents:
    """What stores and handlers need to know of the server they are in: a `store.Host`."""

    def __init__(self, serverapp: ServerApp, settings: BookstoreSettings) -> None:
        self.serverapp = serverapp
        self.settings = settings
        self.checkpointer: Checkpointer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last_captures: list[Callable[[], None]] = []

    @property
    def config(self) -> Config:
        """The server's configuration, which jupyter_server_ydoc does not always pass on."""
        return self.serverapp.config

    # -- paths ---------------------------------------------------------------------------------

    def document_of(self, type: str, file_id: str) -> Document:
        """The document that a file id stands for. Raises `InvalidPath`."""
        path = self.serverapp.web_app.settings["file_id_manager"].get_path(file_id)
        if path is None:
            raise InvalidPath(
                f"The file id {file_id!r} stands for no file of this server; open the document "
                "again by its path."
            )
        return Document(path, type)

    # -- rooms ---------------------------------------------------------------------------------

    @property
    def _collaboration(self) -> Any:
        """jupyter_server_ydoc's extension app, or None without it."""
        apps = self.serverapp.extension_manager.extension_apps.get("jupyter_server_ydoc", ())
        return next(iter(apps), None)

    def _rooms(self) -> Iterator[tuple[str, Any, S3YStore]]:
        """(room id, room, its store) of every document room."""
        collaboration = self._collaboration
        if collaboration is None:
            return
        for room_id, room in list(collaboration.ywebsocket_server.rooms.items()):
            store = room.ystore
            if isinstance(store, S3YStore):
                yield room_id, room, store

    def stores(self) -> list[S3YStore]:
        """The stores of all open rooms."""
        return [store for _, _, store in self._rooms()]

    def authors_of(self, document: Document) -> set[str]:
        """Names of those who are in the document's rooms now."""
        names = set()
        for _, room, store in self._rooms():
            if store.document == document:
                for state in list(room.awareness.states.values()):
                    user = state.get("user") if isinstance(state, dict) else None
                    if isinstance(user, dict):
                        names.add(str(user.get("name") or user.get("username") or ""))
        return names - {""}

    async def _live(self, room_id: str) -> Any:
        return await self._collaboration.get_document(room_id=room_id, copy=False)

    def opening(self, store: S3YStore, file_id: str) -> None:
        """Have a stale file brought forward before the room of `store` loads it.

        The room would otherwise reset the document to the file, which rewrites cells and so
        drops what clients that were away have typed into them.
        """
        collaboration = self._collaboration
        if collaboration is None:
            return
        loader = collaboration.file_loaders[file_id]
        load = loader.load_content

        opened = False

        async def load_content(format: str, file_type: str) -> Any:
            nonlocal opened
            first, opened = not opened, True
            if first:
                try:
                    await self._bring_file_forward(store)
                except (BookstoreError, HTTPError, TimeoutError):
                    pass  # whatever it is, the room comes upon it next, and can tell its client
            model = await load(format, file_type)
            if not first and store.entry is not None:
                # The file was changed by other means, and the room takes its content over.
                kind = store.entry.document.type
                known = await asyncio.to_thread(content.hash_of_file, kind, model["content"])
                if store.entry is not None:
                    await store.file_is(known)
            return model

        loader.load_content = load_content

    async def _bring_file_forward(self, store: S3YStore) -> None:
        with fail_after(30):  # the room starts its store at once, or not at all
            await store.started.wait()
        document = store.document
        if document is None:
            return

        async def hash_of_file() -> str:
            model = await self._read_file(document)
            return await asyncio.to_thread(content.hash_of_file, document.type, model["content"])

        body = await store.newer_content(hash_of_file)
        if body is not None:
            await self._write_file(document, content.untrusted(body))
            await store.file_is(content.hash_of(body))
            self.serverapp.log.warning(
                "The file %s was behind its document, which had edits that were not saved before "
                "the server stopped; the file has them now.",
                document.path,
            )

    async def _read_file(self, document: Document) -> dict[str, Any]:
        contents: Any = self.serverapp.contents_manager
        kind = "notebook" if document.type == "notebook" else "file"
        model: dict[str, Any] = await ensure_async(
            contents.get(document.path, type=kind, content=True)
        )
        if kind == "file" and isinstance(model["content"], str):
            # As jupyter_server_ydoc does on loading (its loaders.py).
            model["content"] = model["content"].replace("\r\n", "\n")
        return model

    def is_ready(self, store: S3YStore) -> bool:
        """Whether the room of `store` has loaded its document."""
        return any(_is_ready(room) for _, room, candidate in self._rooms() if candidate is store)

    def bring_forward(self, store: S3YStore) -> None:
        """Have the room of `store` save its document to the file, once it is ready."""
        self._spawn(self._bring_forward(store))

    async def _bring_forward(self, store: S3YStore) -> None:
        for room_id, room, candidate in self._rooms():
            if candidate is store:
                await asyncio.wait_for(room.ready_event.wait(), 60)
                # A document that becomes dirty is saved by its room as after any edit.
                (await self._live(room_id)).dirty = True

    async def end_rooms(self, within: float) -> None:
        """Take no more edits, finish the saves that are due, and buffer what rooms still hold.

        Saves may take `within` seconds.
        """
        rooms = list(self._rooms())
        clients = [client for _, room, _ in rooms for client in room.clients]
        for client in clients:
            # What comes after this is not archived, so it must not reach the document either.
            client.on_message = _ignore
        self._last_captures = [store.last_capture() for _, room, store in rooms if _is_ready(room)]
        for client in clients:
            await _has_read(client)
            client.close(GOING_AWAY, "The server is shutting down.")
            client.send = _ignore  # what the room may have for it yet it gets when it returns
        saves = [
            # A room's own autosave waits for its delay, and is cancelled with the room.
            asyncio.create_task(self._save(room_id, room, store))
            for room_id, room, store in rooms
            if _is_ready(room) and self._autosaves(room)
        ]
        if saves:
            await asyncio.wait(saves, timeout=within)
        self.capture()

    def capture(self) -> None:
        """Take in what the documents of ended rooms hold, though a room may be closed by now."""
        for capture in self._last_captures:
            capture()

    def _autosaves(self, room: Any) -> bool:
        """Whether the room saves by itself, by jupyter_server_ydoc's own rule (its rooms.py)."""
        if self._collaboration.document_save_delay is None:
            return False
        states = [state for state in room.awareness.states.values() if state]
        return not states or any(state.get("autosave", True) for state in states)

    async def _save(self, room_id: str, room: Any, store: S3YStore) -> None:
        """Save a document whose file is behind it. A file changed meanwhile stays as it is."""
        loaders = self._collaboration.file_loaders
        encoding, kind, file_id = room_id.split(":", 2)
        if file_id not in loaders:
            return
        loader = loaders[file_id]
        body = await (await self._live(room_id)).aget()
        if content.hash_of(body) == store.file_hash:
            return
        try:
            await loader.maybe_save_content({"format": encoding, "type": kind, "content": body})
        except Exception as error:  # noqa: BLE001 - whatever it is, the archive has the document
            self.serverapp.log.warning(
                "The file %s was not saved before the server stopped (%s); its document is "
                "archived, and brings it forward when it is opened again.",
                loader.path,
                repr(error),
            )

    # -- files ---------------------------------------------------------------------------------

    def before_save(self, model: dict[str, Any], path: str, **_: Any) -> None:
        """A pre-save hook: keep the hash of what a room is about to write to its file."""
        body = model.get("content")
        if body is None or model.get("chunk") is not None:
            return
        content_hash = ""
        for store in self._stores_of(path):
            content_hash = content_hash or content.hash_of(body)
            store.note_saving(content_hash)

    def saved(self, path: str) -> None:
        """The contents manager has written the file."""
        for store in self._stores_of(path):
            store.note_saved()

    def _stores_of(self, path: str) -> list[S3YStore]:
        path = path.strip("/")
        return [
            store
            for store in self.stores()
            if store.entry is not None
            and store.entry.document.path == path
            and not store.entry.deleted
        ]

    async def bring_back(self, path: str, type: str) -> None:
        """Write the file of a document anew if the disk has lost it and the bucket has not.

        Raises a `BookstoreError` when the bucket cannot be asked.
        """
        contents: Any = self.serverapp.contents_manager
        if self.checkpointer is None or await ensure_async(contents.file_exists(path)):
            return
        archive = self.checkpointer.archive
        try:
            # What was deleted here is not to come back because the bucket has not followed yet.
            await self.checkpointer.moves.follow()
            # One file may have a room of each type; the one written last has the newest of it.
            document = await archive.resolve(path)
            if document.type is None:
                document = Document(path, type)
            snapshot = await archive.load_snapshot(document)
        except (DocumentNotFound, ConfigurationError):
            return
        body = await asyncio.to_thread(_content_of, document.type, snapshot)
        await self._write_file(document, body)
        self.serverapp.log.warning(
            "The file %s was not on this disk; it is back, from version %s.",
            path,
            snapshot.version_id,
        )

    async def _write_file(self, document: Document, body: Any) -> None:
        contents: Any = self.serverapp.contents_manager
        kind = "notebook" if document.type == "notebook" else "file"
        encoding = "json" if kind == "notebook" else "text"
        parents = document.path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            folder = "/".join(parents[:depth])
            if not await ensure_async(contents.dir_exists(folder)):
                await ensure_async(contents.save({"type": "directory"}, folder))
        if isinstance(body, bytes):
            raise UnsupportedDocument(
                f"{document} is binary, and cannot be written back as a file yet; load the "
                "version with bookstore_y.Archive."
            )
        model = {"type": kind, "format": encoding, "content": body}
        await ensure_async(contents.save(model, document.path))

    async def _check_file(self, document: Document, snapshot: Snapshot | None) -> None:
        """Raise `Conflict` if the file holds what no version does, since it is replaced now."""
        contents: Any = self.serverapp.contents_manager
        if not await ensure_async(contents.file_exists(document.path)):
            return
        try:
            model = await self._read_file(document)
        except HTTPError:
            model = {"content": None}
        known = set()
        if snapshot is not None:
            body = await asyncio.to_thread(_content_of, document.type, snapshot)
            known = {*snapshot.facts.file_hashes, content.hash_of(body)}
        if content.hash_of_file(document.type, model["content"]) not in known:
            raise Conflict(
                f"The file {document.path} was changed by other means since it was last open, "
                "and restoring would overwrite that; open it once, so that its content becomes "
                "a version, and restore then."
            )

    # -- versions ------------------------------------------------------------------------------

    async def versions(self, path: str | Document) -> list[Version]:
        """All versions of a document, newest first; none for a file that has no version yet.

        Raises `DocumentNotFound` when there is no such file either.
        """
        contents: Any = self.serverapp.contents_manager
        try:
            return await self._running().archive.versions(path, details=True)
        except DocumentNotFound:
            name = path.path if isinstance(path, Document) else path
            if await ensure_async(contents.file_exists(name)):
                return []
            raise

    def _running(self) -> Checkpointer:
        if self.checkpointer is None:
            raise ConfigurationError("The server is stopping; ask again when it runs.")
        return self.checkpointer

    # -- restoring -----------------------------------------------------------------------------

    async def restore(self, path: str, version_id: str, type: str | None) -> tuple[Version, bool]:
        """Make a document say again what a version says: in its live room, or without one.

        Returns the version that is now current, and whether anything changed. Raises
        `DocumentNotFound`, `VersionNotFound`, `Conflict`, and what keeps the bucket from use.
        """
        checkpointer = self._running()
        rooms = [
            (room_id, room, store, store.document)
            for room_id, room, store in self._rooms()
            if store.document is not None
            and store.document.path == path
            and type in (None, store.document.type)
        ]
        live = [
            (room_id, store, document)
            for room_id, room, store, document in rooms
            if _is_ready(room)
        ]
        if rooms and not live:
            raise Conflict(f"{path} is just being opened; restore it when it is.")
        if not live:
            return await self._restore_file(checkpointer, path, version_id, type)
        room_id, store, document = live[0]
        update = await checkpointer.archive.load(document, version_id)
        body = content.untrusted(await asyncio.to_thread(content.of_update, document.type, update))
        room_document = await self._live(room_id)
        room_document.set(body)
        restored = await store.checkpoint_as(f"restore:{version_id}")
        contents: Any = self.serverapp.contents_manager
        if not await ensure_async(contents.file_exists(document.path)):
            # It was deleted under its room, which saves no file that is not there.
            await self._write_file(document, body)
        return restored

    async def _restore_file(
        self, checkpointer: Checkpointer, path: str, version_id: str, type: str | None
    ) -> tuple[Version, bool]:
        archive = checkpointer.archive
        document = await archive.resolve(Document(path, type) if type else path, version_id)
        await checkpointer.settle(document)
        await archive.load_snapshot(document, version_id)
        try:
            before = await archive.load_snapshot(document)
        except DocumentNotFound:  # it was deleted
            before = None
        await self._check_file(document, before)
        version = await archive.restore(document, version_id)
        await checkpointer.forget(document)
        after = await archive.load_snapshot(document)
        body = await asyncio.to_thread(_content_of, document.type, after)
        await self._write_file(document, body)
        return version, before is None or version.version_id != before.version_id

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.serverapp.log.error("A document was not saved.", exc_info=task.exception())


async def _has_read(client: Any) -> None:
    """Wait until the room has taken in what came over a connection."""
    arrived = getattr(client, "_message_queue", None)  # jupyter_server_ydoc's, and private
    for _ in range(1000):
        if arrived is None or arrived.empty():
            return
        await asyncio.sleep(0)


async def _ignore(message: Any) -> None:
    """Takes the place of a connection's handler of messages, and of its way to send them."""


def _is_ready(room: Any) -> bool:
    """Whether the room has its whole document. One that loads progressively serves it before,
    and holds on to this future (its rooms.py) until all of the file is in it."""
    loading = getattr(room, "_document_progressively_loaded", None)
    progressive = getattr(room, "_document_load_progressively", False)
    unfinished = progressive and loading is not None and not loading.done()
    return bool(room.ready and not (unfinished and room._update_lock.locked()))


def _content_of(type: str | None, snapshot: Snapshot) -> Any:
    return content.untrusted(content.of_update(type, snapshot.update))
