"""The server's documents: their paths, rooms, files and authors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anyio import fail_after
from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError

from ..archive.current_files import CurrentFiles
from ..archive.file_reader import FileReader
from ..archive.version_keys import VersionKeys
from ..errors import BookstoreError, ConfigurationError, InvalidPath
from ..keys import Document
from ..replication.checkpointer import Checkpointer
from ..replication.document import DocumentState
from ..settings import BookstoreSettings
from ..store import S3YStore
from ..ydoc import content
from .autosave import leave_unedited
from .bringing_back import Source
from .files import Files, Model
from .from_tabs import FromTabs
from .history_events import HistoryEvents
from .late_edits import LateEditsKeeper
from .moved_files import MovedFiles
from .newest_versions import NewestVersions
from .notices import Notices
from .outside_changes import OutsideChanges, is_saved_by, saving_is_noted
from .placing import Placer
from .returning_tabs import ReturningTabs
from .rooms import OpenRoom, Rooms
from .workspace_on_disk import WorkspaceOnDisk

if TYPE_CHECKING:
    from traitlets.config import Config


STARTING = 30.0
"""Seconds that a request waits at most for the archive to open: a server answers before that."""

SAVE_PATIENCE = 2.0
"""Seconds that a room's save waits for the bucket, which is to have what the file will say."""


class Documents:
    """What stores and handlers need to know of the server they are in: a `store.Host`."""

    def __init__(self, serverapp: ServerApp, settings: BookstoreSettings) -> None:
        self.serverapp = serverapp
        self.settings = settings
        self.checkpointer: Checkpointer | None = None
        self.started = asyncio.Event()
        """Set once the archive is open, or is known not to open in this process."""
        self.failure: str | None = None
        """Why the archive could not be started, in a sentence."""
        self.rooms = Rooms(serverapp)
        self.files = Files(serverapp)
        self.newest = NewestVersions()
        self.history_events = HistoryEvents(serverapp)
        placer = Placer(serverapp, self.files, self._beside_room)
        self.workspace = WorkspaceOnDisk(settings, placer)
        self.notices = Notices(serverapp)
        self.late_edits = LateEditsKeeper(self.notices, serverapp)
        self.moved_files = MovedFiles(
            self.rooms, self.files, lambda: self._file_ids, lambda: self.checkpointer
        )
        self._outside = OutsideChanges(self.rooms, serverapp, self.moved_files.open_file)
        self.from_tabs = FromTabs(
            placer, self.rooms, lambda: self._file_ids, self._is_unknown, serverapp.log
        )
        self.returning_tabs = ReturningTabs(
            self.files,
            lambda: self._file_ids,
            self.workspace.bring_back,
            self._whereabouts,
            self.from_tabs,
        )
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def _file_ids(self) -> Any:
        """jupyter_server_fileid's manager, whose extension may load after this one."""
        return self.serverapp.web_app.settings["file_id_manager"]

    @property
    def config(self) -> Config:
        """The server's configuration, which jupyter_server_ydoc does not always pass on."""
        return self.serverapp.config

    def running(self) -> Checkpointer:
        """The checkpointer. Raises `ConfigurationError` when the server is starting."""
        if self.checkpointer is None:
            raise ConfigurationError("The server is starting; ask again in a moment.")
        return self.checkpointer

    async def wait_started(self) -> None:
        """Wait for the archive to open. Raises `ConfigurationError` when it takes too long."""
        try:
            with fail_after(STARTING):
                await self.started.wait()
        except TimeoutError:
            raise ConfigurationError(
                "The server is still starting and cannot open documents yet; try again in a moment."
            ) from None

    async def document_of(self, type: str, file_id: str) -> Document:
        """The document that a file id stands for, wherever its file was when it was open last.

        Raises `InvalidPath`, and what keeps the bucket from being asked.
        """
        path = self._file_ids.get_path(file_id)
        if path is None:
            raise InvalidPath(
                f"The file id {file_id!r} stands for no file of this server; open the document "
                "again by its path."
            )
        document = Document(path, type)
        await self.moved_files.closed_file(document, file_id)
        return document

    def buffered(self, path: str) -> list[Document]:
        """The documents of a file that are in the buffer, for each type that it was open as."""
        return [document for document in self.running().entries if document.path == path]

    async def settle(self, path: str) -> None:
        """Have in the bucket what this server alone has of a file: what it was saved with, what
        was typed into it, and where it was moved. Raises a `BookstoreError` if it cannot."""
        checkpointer = self.running()
        if await self.files.exists(path):
            checkpointer.name_taken(path)
        await checkpointer.path_changes.follow(path)
        if checkpointer.path_changes.saves is not None:
            await checkpointer.path_changes.saves.settle(path)
        for document in self.buffered(path):
            await checkpointer.settle(document)

    # -- the workspace -------------------------------------------------------------------------

    def start_workspace(self, log: Any, delay: float) -> None:
        """Begin, after so many seconds, to bring back what the archive holds and the disk does
        not. What people ask for does not wait for that."""
        checkpointer = self.running()
        bucket, settings = checkpointer.archive.bucket, self.settings
        source = Source(
            files=CurrentFiles(bucket, settings),
            reader=FileReader(bucket, settings),
            settle=self.settle,
            now_at=lambda path: checkpointer.path_changes.now_at(path),
            archived_at=lambda path: checkpointer.path_changes.archived_at(path),
            away=lambda: checkpointer.health.error,
            note=checkpointer.health.note,
        )
        self.workspace.log = log
        self.workspace.start(source, self._settle_all, delay)

    async def _settle_all(self) -> None:
        """Have in the bucket what an earlier process left here, as far as it takes it."""
        checkpointer = self.running()
        for entry in list(checkpointer.entries.values()):
            if entry.pending:
                with contextlib.suppress(BookstoreError):  # reported, and tried again
                    await checkpointer.settle(entry.document)

    # -- rooms ---------------------------------------------------------------------------------

    def stores(self) -> list[S3YStore]:
        """The stores of all open rooms."""
        return [room.store for room in self.rooms.all()]

    async def room(self, path: str, type: str | None = None) -> OpenRoom | None:
        """The room of the file at `path`; or where there is no file, of one that was deleted there
        and is still open. None if nobody has it open.

        Raises `Conflict` while it is being opened.
        """
        room = self.rooms.ready(path, type)
        if room is None and not await self.files.exists(path):
            room = self.rooms.of_deleted(path, type)
        return room

    async def has_room(self, path: str) -> bool:
        """Whether there is what `room` gives, or will be in a moment."""
        return bool(self.rooms.of_path(path)) or await self.room(path) is not None

    def authors_of(self, entry: DocumentState) -> set[str]:
        """Names of those who are in the document's rooms now."""
        return self.rooms.authors_of(entry)

    def is_ready(self, store: S3YStore) -> bool:
        """Whether the room of `store` has loaded its document."""
        return any(room.ready for room in self.rooms.all() if room.store is store)

    def capture(self) -> None:
        """Take in what the documents of ended rooms hold."""
        self.rooms.capture()

    # -- a file that is behind its document ----------------------------------------------------

    def opening(self, store: S3YStore, file_id: str) -> None:
        """Have the room of `store` load its document's own content in place of a file that says
        the same, or is merely older; the file is brought forward.

        The room would otherwise reset the document to the file, which rewrites cells and so
        drops what clients that were away have typed into them.
        """
        collaboration = self.rooms.collaboration
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
        self._outside.watch(loader)

    def _watch(self, store: S3YStore) -> None:
        for room in self.rooms.all():
            if room.store is store and store.entry is not None and self.checkpointer is not None:
                leave_unedited(room.room)
                self.late_edits.watch(room.room, self.checkpointer, store.entry)

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
            return {**model, "content": self.from_tabs.open(store, model["content"])}
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
                self.serverapp.log.warning(
                    "The file %s is behind its document, which had edits that were not saved "
                    "before the server stopped, and it cannot be written (%s). The document has "
                    "them; save it when the file can be written.",
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
            written = await self.files.write(document.path, body)
            loader.last_modified = written["last_modified"]
            loaded = await self.files.read(document.path, model["type"], model["format"])
        self.serverapp.log.warning(
            "The file %s was behind its document, which had edits that were not saved before "
            "the server stopped; the file has them now.",
            document.path,
        )
        return loaded

    def bring_forward(self, store: S3YStore) -> None:
        """Have the room of `store` save its document to the file, once it is ready."""
        self._spawn(self._bring_forward(store))

    async def _bring_forward(self, store: S3YStore) -> None:
        for room in self.rooms.all():
            if room.store is store:
                await asyncio.wait_for(room.room.ready_event.wait(), 60)
                # A document that becomes dirty is saved by its room as after any edit.
                (await self.rooms.live(room)).dirty = True

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.serverapp.log.error("A document was not saved.", exc_info=task.exception())

    # -- files ---------------------------------------------------------------------------------

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
        if self.checkpointer is not None:
            self.checkpointer.name_taken(path)
        for store in self._stores_of(path):
            store.note_saved()

    @contextlib.asynccontextmanager
    async def _beside_room(self, path: str) -> AsyncIterator[None]:
        """Within this a lost file is written from the archive, which has what its room has said
        up to now. The room is not to take it for a change by other means; it saves next."""
        stores = self._stores_of(path)
        rooms = [room for room in self.rooms.all() if room.store in stores]
        if not rooms or self.rooms.collaboration is None:
            yield
            return
        loader = self.rooms.collaboration.file_loaders[rooms[0].id.split(":", 2)[2]]
        async with loader._lock:
            yield
            with contextlib.suppress(HTTPError):
                model = await self.files.about(path)
                loader.last_modified = model["last_modified"]
        for store in stores:
            self.bring_forward(store)

    def _stores_of(self, path: str) -> list[S3YStore]:
        path = path.strip("/")
        return [
            store
            for store in self.stores()
            if store.entry is not None
            and store.entry.document.path == path
            and not store.entry.deleted
        ]

    async def _whereabouts(
        self, document: Document, since: datetime, file_id: str
    ) -> Document | None:
        checkpointer = self.running()
        await checkpointer.path_changes.follow(document.path)
        went = checkpointer.path_changes.went(document, since)
        if went != document:  # the bucket refuses to follow that
            return went
        return await checkpointer.archive.whereabouts(document, since, file_id)

    async def _is_unknown(self, path: str) -> bool:
        """Whether neither the archive nor this disk has, or has ever had, anything at a path.
        Raises a `BookstoreError` when that is not known."""
        checkpointer = self.running()
        if self.workspace.has_had(path) or not self.settings.s3_bucket:
            return False
        await self.settle(path)
        if checkpointer.path_changes.archived_at(path) != path:
            return False
        places = VersionKeys(checkpointer.archive.bucket, self.settings)
        return not await places.of(path, ("snapshot", "save"), limit=1)
