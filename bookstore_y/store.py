"""S3YStore: pycrdt's store interface, over the buffer and the checkpointer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from anyio import TASK_STATUS_IGNORED, create_task_group
from anyio.abc import TaskStatus
from pycrdt import Doc
from pycrdt.store import BaseYStore, YDocNotFound
from traitlets import Float, Int, Unicode
from traitlets.config import Config, LoggingConfigurable

from .aio import require_asyncio
from .archive.version import Version, reset_of
from .buffer.records import FILE_HASHES, BufferedDocument
from .buffer.recovery import BufferOptions
from .buffer.sqlite_file import MEMORY
from .errors import (
    BookstoreError,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    CorruptSnapshot,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidPath,
    ListingDenied,
    SnapshotError,
    UpdateBufferError,
)
from .keys import Document
from .replication.checkpointer import Checkpointer
from .replication.document import DocumentState
from .replication.live import Live
from .replication.schedule import Policy
from .s3.refusals import answer_of
from .settings import BookstoreSettings
from .ydoc.edits import Edits
from .ydoc.squash import squash
from .ydoc.summary import lineage_of, without_client
from .ydoc.updates import apply, check, missing, update_of

if TYPE_CHECKING:
    from .file_state import Stored

_NOTED = 0.1
"""Seconds after a save within which its room has noted it in the document."""

_TURNS = 100
"""Turns of the event loop within which a room has handed an update to its store."""

_FRAME_BYTES = 49
"""What fits in the close frame (RFC 6455, 5.5) that jupyter_server_ydoc sends, as JSON, when a room
fails to open."""

RTC_PATH = re.compile(r"\.([^:]+):(.+)\.y", re.DOTALL)
"""jupyter_server_ydoc's store path, `.<type>:<file id>.y` (its handlers.py)."""


class Host(Protocol):
    """What a Jupyter server tells the stores in it."""

    settings: BookstoreSettings

    @property
    def config(self) -> Config:
        """The server's configuration."""

    async def document_of(self, type: str, file_id: str) -> Document:
        """The document that a file id stands for. Raises `BookstoreError`."""

    def opening(self, store: S3YStore, file_id: str) -> None:
        """A room is being made that will load its file, and its document from `store`."""

    def is_ready(self, store: S3YStore) -> bool:
        """Whether the room of `store` has loaded its document."""

    def bring_forward(self, store: S3YStore) -> None:
        """Have the room of `store` save its document to the file, once it is ready."""


@dataclass(frozen=True)
class _Awaited:
    """A document that is stored nowhere, and that clients are to bring."""

    file_id: str
    """The id that its file had where they opened it."""
    file_hash: str
    """Hash of what its file says in the meantime."""
    brought: Callable[[], None]
    """Called as soon as it is here."""


host: Host | None = None
"""The server that this process is, set by bookstore_y's server extension."""


class _Meta(type(LoggingConfigurable), type(BaseYStore)):  # type: ignore[misc]
    pass


class S3YStore(LoggingConfigurable, BaseYStore, metaclass=_Meta):
    """A YStore that archives its document in a versioned S3 bucket.

    Updates go to an SQLite buffer, at once; from there squashed snapshots go to the bucket, in
    the background. Leaving `async with`, or `stop`, checkpoints what is pending and raises if
    that fails.

    ```py
    async with S3YStore("notes.txt", config=config) as store:
        await store.apply_updates(doc)
        await store.write(update)
        version = await store.checkpoint()
    ```
    """

    checkpoint_interval = Int(
        200, min=1, help="Number of updates of a document after which it is checkpointed."
    ).tag(config=True)
    checkpoint_max_delay = Float(
        30.0, help="Seconds that an update waits at most for its checkpoint."
    ).tag(config=True)
    checkpoint_idle_delay = Float(
        3.0, help="Seconds without an update after which a document is checkpointed."
    ).tag(config=True)
    document_ttl = Float(
        300.0,
        help="Seconds without activity after which a document that is wholly in the bucket "
        "leaves the buffer.",
    ).tag(config=True)
    history_updates = Int(
        1000,
        min=0,
        help="Number of updates of a document that the buffer keeps after they are in the bucket. "
        "They are the steps of JupyterLab's timeline.",
    ).tag(config=True)
    history_bytes = Int(
        4 * 1024 * 1024, min=0, help="Bytes of such updates that the buffer keeps of a document."
    ).tag(config=True)
    db_path = Unicode(
        ":memory:",
        help="Where the buffer is: ':memory:', or the path of an SQLite file of this server's "
        "own, which survives a crash.",
    ).tag(config=True)
    buffer_limit = Int(
        32 * 1024 * 1024,
        min=0,
        help="Bytes that a buffer in memory may take. Past it, as in a long outage, pending "
        "updates are squashed, and what is too much even then goes on in a file of recovery_dir.",
    ).tag(config=True)
    recovery_dir = Unicode(
        help="Directory for what a stopping server cannot archive; the next one takes it up. "
        "Default: bookstore_y in Jupyter's data directory."
    ).tag(config=True)

    def __init__(
        self,
        path: str,
        metadata_callback: Callable[[], Awaitable[bytes] | bytes] | None = None,
        log: Logger | LoggerAdapter[Any] | None = None,
        *,
        config: Config | None = None,
    ) -> None:
        """`path` is the document's path under the workspace prefix; inside a Jupyter server,
        jupyter_server_ydoc's store path.

        `metadata_callback` gives the bytes that are stored with each update. `config` holds the
        `S3YStore` and `BookstoreSettings` sections; inside a Jupyter server it defaults to the
        server's. Raises `InvalidPath` when `path` cannot be a key.
        """
        if config is None and host is not None:
            config = host.config
        super().__init__(path=path, config=config)
        if log is not None:
            self.log = log
        self.path = path
        self.metadata_callback = metadata_callback
        self._checkpointer: Checkpointer | None = None
        self._entry: DocumentState | None = None
        self._failure: BookstoreError | None = None
        self._live: Live | None = None
        self._loaded: bytes | None = None
        """State vector of what was stored when it was applied to the live document."""
        self._beginning = False
        """Whether what the room has noted before its first update is not stored yet."""
        self._file: Any = None
        """The file as it was loaded, where the document says the same."""
        self._adopting = False
        self._awaited: _Awaited | None = None
        self._ready = False
        self._rtc = RTC_PATH.fullmatch(path)
        self._document = Document(path) if self._rtc is None else None
        self._file_id = ""
        if self._rtc is not None and host is not None:
            host.opening(self, self._rtc[2])

    # -- life ----------------------------------------------------------------------------------

    async def start(
        self,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
        from_context_manager: bool = False,
    ) -> None:
        """Start the store. What keeps it from working is raised by `read` and `write`.

        A room runs this in its own task group, and cancels it when it closes: the document as
        it then is goes to the buffer, and a checkpoint is due.
        """
        if from_context_manager:
            await self._open()
            task_status.started()
            self.started.set()
            return
        async with self._start_lock:
            if self._task_group is not None:
                raise RuntimeError("YStore already running")
            self._stopped = self._failure = None
            try:
                await self._open()
            except BookstoreError as error:
                # A room would start anew for ever; its `apply_updates` is where it can be told.
                self._failure = error
            try:
                async with create_task_group() as self._task_group:
                    task_status.started()
                    self.started.set()
                    await self.stopped.wait()
            finally:
                self._room_closed()
                # A room that starts anew after an error starts its store anew, too.
                self._started = self._task_group = None

    async def __aenter__(self) -> S3YStore:
        if self._task_group is not None:
            raise RuntimeError("YStore already running")
        require_asyncio("S3YStore")
        self._stopped = self._failure = None
        try:
            await super().__aenter__()
        except BaseException:
            # Upstream leaves the task group that it has entered as it is.
            self._task_group = None
            await self._exit_stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        try:
            await self.stop()
        finally:
            try:
                suppressed: bool | None = await self._exit_stack.__aexit__(*exc_info)
            except Exception as group:
                # Upstream's task group wraps what was raised inside `async with`.
                if getattr(group, "exceptions", None) != (exc_info[1],):
                    raise
                suppressed = False
        return suppressed

    async def stop(self) -> None:
        """Checkpoint what is pending and stop. Raises what kept it from the bucket, after
        stopping; the updates then stay in the buffer."""
        if self._task_group is None:
            raise RuntimeError("YStore not running")
        checkpointer, entry = self._checkpointer, self._entry
        self._checkpointer = self._entry = None
        try:
            if checkpointer is not None and entry is not None:
                self._detach(entry)
                self._live = None
                try:
                    await checkpointer.checkpoint(entry)
                except asyncio.CancelledError:
                    checkpointer.close(entry)
                    checkpointer.leave()  # who cancels does not wait, and nothing is to be lost
                    raise
                except BaseException:
                    checkpointer.close(entry)
                    await checkpointer.__aexit__()
                    raise
                checkpointer.close(entry)
                await checkpointer.__aexit__()
        finally:
            await super().stop()
            self._started = None

    async def _open(self) -> None:
        settings = host.settings if host is not None else BookstoreSettings(config=self.config)
        file_id = ""
        if self._rtc is not None:
            kind, file_id = self._rtc.groups()
            if host is None:
                raise ConfigurationError(
                    f"The document {self.path!r} has no path, since bookstore_y's server extension "
                    "is not enabled; run `jupyter server extension enable bookstore_y.jupyter`."
                )
            document = await host.document_of(kind, file_id)
        else:
            document = Document(self.path)
        checkpointer = Checkpointer.shared(settings, self.buffer_options())
        await checkpointer.__aenter__()
        try:
            entry = await checkpointer.open(document, self._policy())
        except BaseException:
            await checkpointer.__aexit__()
            raise
        if file_id and not entry.facts.file_hashes:
            entry.facts.file_id = file_id
        self._file_id = file_id
        self._checkpointer, self._entry = checkpointer, entry
        if self._live is not None:
            self._attach(entry, self._live.ydoc)

    def _room_closed(self) -> None:
        """The room has stopped; nothing can be awaited any more."""
        checkpointer, entry = self._checkpointer, self._entry
        self._checkpointer = self._entry = None
        if checkpointer is None or entry is None:
            return
        if self._live is not None and self._is_ready():
            # Updates may still have been on their way from the document to `write`. A room that
            # failed before it was ready has nobody's edits, and maybe half of its file's.
            self._take(checkpointer, entry, self._live)
        self._detach(entry)
        checkpointer.close(entry)
        checkpointer.leave()

    def detach(self) -> None:
        """Take in what the live document holds, and have no more to do with it."""
        self._room_closed()

    def capture(self) -> None:
        """Take in now what the live document of a ready room holds beyond what was written."""
        self._ready = True
        if self._checkpointer is not None and self._entry is not None and self._live is not None:
            self._take(self._checkpointer, self._entry, self._live)

    def last_capture(self) -> Callable[[], None]:
        """What takes in the live document of a ready room, also when the room is closed by then:
        messages that had arrived may reach it that late."""
        checkpointer, entry, live = self._checkpointer, self._entry, self._live

        def capture() -> None:
            if checkpointer is not None and entry is not None and live is not None:
                self._take(checkpointer, entry, live)

        return capture

    def _take(self, checkpointer: Checkpointer, entry: DocumentState, live: Live) -> None:
        if self._is_awaited(checkpointer, entry, live.ydoc):
            return
        try:
            checkpointer.capture(entry, update_of(live.ydoc, entry.state))
        except CorruptSnapshot as error:  # every update of it went through `write`
            self.log.error(  # noqa: TRY400 - the sentence is what counts
                "The live document of %s cannot be encoded. %s", entry.document, error
            )

    def _detach(self, entry: DocumentState) -> None:
        if self._live in entry.live:
            entry.live.remove(self._live)
        if self._live is not None and self._live.edits is not None:
            self._live.edits.close()

    def _is_ready(self) -> bool:
        return self._ready or (host is not None and host.is_ready(self))

    def buffer_options(self) -> BufferOptions:
        """Where the configuration has the buffer."""
        path = self.db_path
        if path != MEMORY:
            path = str(Path(path).expanduser().absolute())
        return BufferOptions(path, self.recovery_dir, self.buffer_limit)

    def _policy(self) -> Policy:
        return Policy(
            interval=self.checkpoint_interval,
            max_delay=self.checkpoint_max_delay,
            idle_delay=self.checkpoint_idle_delay,
            ttl=self.document_ttl,
            history_updates=self.history_updates,
            history_bytes=self.history_bytes,
        )

    def _opened(self) -> tuple[Checkpointer, DocumentState]:
        if self._failure is not None:
            raise self._failure
        if self._checkpointer is None or self._entry is None:
            raise RuntimeError("YStore not started")
        return self._checkpointer, self._entry

    @property
    def document(self) -> Document | None:
        """The document as it is called now; None while it is not open."""
        return self._entry.document if self._entry is not None else self._document

    @property
    def file(self) -> tuple[str, str] | None:
        """The document type and the file id that a room has; None outside a Jupyter server."""
        return None if self._rtc is None else (self._rtc[1], self._rtc[2])

    @property
    def entry(self) -> DocumentState | None:
        """Where the document stands; None while it is not open."""
        return self._entry

    # -- updates -------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Store one Yjs v1 update. Returns when it is durable, as far as `db_path` makes it.

        The update has its place before this first waits, so that a room which cancels its
        tasks on closing loses nothing. Raises `CorruptSnapshot` when `data` is not an update,
        and `UpdateBufferError` when SQLite refuses it; never anything for the bucket's sake.
        """
        checkpointer, entry = self._opened()
        check(data)
        self._ready = True
        if self._live is not None and self._is_awaited(checkpointer, entry, self._live.ydoc):
            return  # a note of the room's, which goes with the first edit
        if self._beginning:
            data = self._since_loading(data)
        if self.metadata_callback is None:
            _, durable = checkpointer.append(entry, data, b"", time.time())
        else:
            metadata: Any = self.metadata_callback()
            later = isawaitable(metadata)
            seq, durable = checkpointer.append(entry, data, b"" if later else metadata, time.time())
            if later:
                await checkpointer.buffer.set_metadata(seq, await metadata)
        if durable is not None:
            await durable

    def _since_loading(self, data: bytes) -> bytes:
        """All that was done to the live document since it was loaded, `data` being the last. The
        room's own updates build on what it did before it was ready."""
        self._beginning = False
        if self._live is None or self._loaded is None:
            return data
        try:
            return update_of(self._live.ydoc, self._loaded)
        except CorruptSnapshot:
            return data

    async def read(self) -> AsyncIterator[tuple[bytes, bytes, float]]:
        """Yield (update, metadata, seconds since the epoch): the oldest snapshot held, then the
        updates since.

        Raises `YDocNotFound` only when neither the buffer nor the bucket has the document, and
        otherwise what keeps it from being read.
        """
        held = await self._held()
        for row in [held.base] if held.base is not None else []:
            yield row.data, row.metadata, row.timestamp
        for row in held.rows:
            yield row.data, row.metadata, row.timestamp

    async def apply_updates(self, ydoc: Doc[Any]) -> None:
        """Apply all that is stored to `ydoc`. Raises like `read`.

        From then on what other writers add to the document in the bucket is applied to `ydoc`,
        too, whenever a checkpoint finds it; and a checkpoint may write what `ydoc` holds, rather
        than decode the updates that it was made of.
        """
        self._loaded = None
        self._ready = self._beginning = False
        try:
            _, entry = self._opened()
            held = await self._held()
        except YDocNotFound:
            if self._rtc is None:
                self._attach(self._opened()[1], ydoc)
                self._ready = True
            if self._awaited is None:
                raise
            held = BufferedDocument(None, [], 0)
        except BookstoreError as error:
            if self._rtc is None:
                raise
            raise type(error)(_in_a_frame(error)) from error
        if self._awaited is not None and not held.empty:
            brought, self._awaited = self._awaited.brought, None
            brought()
        apply(ydoc, held.updates())
        self._loaded = without_client(ydoc.get_state(), ydoc.client_id)
        if self._adopting:
            from .file_state import adopt

            adopt(entry.document.type, ydoc, self._file)
            self._adopting, self._file = False, None
        self._attach(entry, ydoc)
        self._ready = self._rtc is None  # a document room may reset it to the file yet
        self._beginning = self._rtc is not None

    def _attach(self, entry: DocumentState, ydoc: Doc[Any]) -> None:
        if self._live is None or self._live.ydoc is not ydoc or self._live not in entry.live:
            self._detach(entry)
            edits = Edits(ydoc) if self._rtc is not None else None
            self._live = Live(ydoc, self._is_ready, edits)
        if self._live not in entry.live:
            entry.live.append(self._live)

    async def _held(self) -> BufferedDocument:
        checkpointer, entry = self._opened()
        try:
            return await checkpointer.load(entry)
        except DocumentNotFound as error:
            raise YDocNotFound(str(error)) from error
        except (ConfigurationError, BucketError) as error:
            held = await checkpointer.buffer.read(entry.id)
            if not held.empty and not entry.facts.version_id:
                return held  # all there is: the bucket never had any of it
            # Nothing can be stored where there is no bucket; edits go to the buffer until then.
            if isinstance(error, (ConfigurationError, BucketNotFound)):
                raise YDocNotFound(str(error)) from error
            if checkpointer.settings.on_unavailable != "detached":
                raise
            self.log.warning("Opening %s without its history: %s", entry.document, error)
            raise YDocNotFound(str(error)) from error

    # -- versions ------------------------------------------------------------------------------

    async def checkpoint(self) -> Version | None:
        """Write what is pending as a new version now. None when there was nothing new.

        Raises a `BookstoreError` when it cannot be written, and it then stays pending; or when
        it was written and the bucket does not answer what it knows of the new version.
        """
        checkpointer, entry = self._opened()
        saved = await checkpointer.checkpoint(entry)
        if saved is None:
            return None
        return await checkpointer.archive.snapshots.version(entry.document, saved.version_id)

    async def change(self, how: Callable[[], None], origin: str) -> tuple[Version, bool]:
        """Change the live document, and write what it then holds as a version of that `origin`.

        What it held at the moment before, to the last keystroke, is a version of its own.
        Returns the version that is now current, and whether it is new. Raises like
        `checkpoint`; the document is changed then, and both versions follow when they can.
        """
        checkpointer, entry = self._opened()
        self.capture()
        checkpointer.about_to_replace(entry)
        how()
        return await self.checkpoint_as(origin)

    async def replace_by_file(self, how: Callable[[], None], content_hash: str) -> None:
        """Change the live document to what its file says, which other means have changed; that
        has content of this hash.

        What the document held at the moment before, to the last keystroke, becomes a version of
        its own, which the log names then. Raises `UpdateBufferError`; the document is changed.
        """
        checkpointer, entry = self._opened()
        self.capture()
        checkpointer.about_to_replace(entry, by_file=True)
        how()
        self.capture()  # or a crash would leave a file that the document seems to have outgrown
        self._note_file(entry, content_hash)
        checkpointer.about_to_save(entry)  # the file is ahead of what is stored already
        await checkpointer.set_facts(entry)
        checkpointer.keep_replaced(entry)
        if not checkpointer.buffer.durable:
            asyncio.get_running_loop().call_later(_NOTED, checkpointer.checkpoint_now, entry)
        if checkpointer.health.error is not None:
            self.log.warning(
                "The file %s was changed by other means while it was open, and its content is now "
                "that of the document. What it replaced becomes a version as soon as the bucket "
                "takes it: %s",
                entry.document.path,
                checkpointer.health.error,
            )

    async def checkpoint_as(self, origin: str) -> tuple[Version, bool]:
        """Write what the live document now holds as a version of that `origin`.

        Returns the version that is now current, and whether it is new. Raises like
        `checkpoint`.
        """
        checkpointer, entry = self._opened()
        self.capture()
        entry.origin, entry.deleted = origin, False
        saved = await checkpointer.checkpoint(entry)
        version_id = entry.facts.version_id
        version = await checkpointer.archive.snapshots.version(entry.document, version_id)
        return version, saved is not None

    async def undeleted(self) -> None:
        """The document's deletion was taken back: what was typed since goes on top of it."""
        checkpointer, entry = self._opened()
        entry.deleted = entry.facts.deleted = False
        await checkpointer.set_facts(entry)
        self.capture()
        await checkpointer.checkpoint(entry)

    async def versions(self) -> list[Version]:
        """The document's versions in the bucket, newest first; none is no error."""
        checkpointer, entry = self._opened()
        try:
            return await checkpointer.archive.versions(entry.document, details=True)
        except DocumentNotFound:
            return []

    async def apply_version(self, ydoc: Doc[Any], version_id: str) -> None:
        """Apply the document as a version has it to an empty `ydoc`.

        Raises `ValueError` when `ydoc` is not empty, since two states of one history would
        merge into the newer, and `VersionNotFound`.
        """
        if ydoc.get_state() != b"\x00":
            raise ValueError("A version can only be applied to an empty Doc; make a new one.")
        checkpointer, entry = self._opened()
        apply(ydoc, [await checkpointer.archive.load(entry.document, version_id)])

    # -- the file ------------------------------------------------------------------------------

    async def encode_state_as_update(self, ydoc: Doc[Any]) -> None:
        """Store the whole state of `ydoc`.

        A document room calls this exactly when it has built `ydoc` from its file or has reset
        it to the file, so the content is then the file's. If it was reset to a file that is
        merely what it was at the last load or save we know of, the stored content goes back on
        top as new edits, and the file is brought forward. If the file was changed by other
        means it wins, and the log names the version that it replaced.
        """
        checkpointer, entry = self._opened()
        if self._rtc is None:
            await self.write(ydoc.get_update())
            return
        from .ydoc import content  # jupyter_ydoc is slow to import

        kind = entry.document.type
        body = content.read(kind, ydoc)
        file_hash = await asyncio.to_thread(content.hash_of, body)
        if self._loaded is None:
            if not entry.facts.lineage:
                entry.facts.lineage = lineage_of(content.base_of(ydoc))
            self._attach(entry, ydoc)
            self._note_file(entry, file_hash)
            await checkpointer.set_facts(entry)
            await self.write(ydoc.get_update())
            return
        held = await checkpointer.load(entry)
        stored = await asyncio.to_thread(_content_of, kind, held.updates())
        if await asyncio.to_thread(content.hash_of, stored) == file_hash:
            self._note_file(entry, file_hash)
        elif await self._is_behind(entry, body):
            content.write(kind, ydoc, content.untrusted(stored))
            self._note_file(entry, file_hash)
            self.log.warning(
                "The file %s was behind its document, which had edits that were not saved before "
                "the server stopped; they are back, and the file will be saved.",
                entry.document.path,
            )
            if host is not None:
                host.bring_forward(self)
        else:
            replaced = await self._keep_replaced(checkpointer, entry)
            self._note_file(entry, file_hash)
            self.log.warning(
                "The file %s was changed by other means, and its content is now that of the "
                "document. What it replaced is %s.",
                entry.document.path,
                replaced,
            )
        await checkpointer.set_facts(entry)
        self._beginning = False
        await self.write(missing(ydoc.get_update(), self._loaded))

    async def _keep_replaced(self, checkpointer: Checkpointer, entry: DocumentState) -> str:
        """Have what a file replaces as a version of its own, and say which."""
        try:
            await checkpointer.checkpoint(entry)
        except ConfigurationError as error:
            return f"not in any version ({error})"
        entry.origin = reset_of(entry.facts.version_id)
        return f"version {entry.facts.version_id} of {checkpointer.archive.key(entry.document)!r}"

    async def stored(self, body: Any) -> Stored | None:
        """The document, if its file, of the content `body`, says the same or is merely older.

        None if nothing is stored, or if the file was changed by other means. Raises like `read`.
        """
        from .file_state import stored_of

        checkpointer, entry = self._opened()
        if self._loaded is not None or not self.started.is_set():
            return None
        try:
            held = await checkpointer.load(entry)
        except DocumentNotFound:
            return None
        kind, known = entry.document.type, self._known_states(entry)
        return await asyncio.to_thread(stored_of, kind, held.updates(), body, known)

    def await_clients(self, file_id: str, file_hash: str, brought: Callable[[], None]) -> None:
        """Have a document that is stored nowhere be what clients bring: the next `apply_updates`
        finds it empty, and it is stored as soon as it is not.

        `file_id` is what its file was called where they opened it, `file_hash` the hash of what
        its file says until then. `brought` is called when it is here.
        """
        self._awaited = _Awaited(file_id, file_hash, brought)

    @property
    def is_awaited(self) -> bool:
        """Whether the document is still to be brought by clients."""
        return self._awaited is not None

    def _is_awaited(self, checkpointer: Checkpointer, entry: DocumentState, ydoc: Doc[Any]) -> bool:
        """Whether there is nothing of the document yet; else it begins here, if it did not."""
        awaited = self._awaited
        if awaited is None:
            return False
        from .ydoc import content

        if content.is_blank(entry.document.type, ydoc):
            return True
        self._awaited = None
        entry.facts.former_file_id = awaited.file_id
        # Whoever else has the document of this file goes on with the same history.
        entry.facts.lineage = entry.facts.lineage or lineage_of(awaited.file_id.encode())
        self._note_file(entry, awaited.file_hash)
        checkpointer.spawn(checkpointer.set_facts(entry))
        loop = asyncio.get_running_loop()
        loop.call_soon(checkpointer.checkpoint_now, entry)  # only a tab has it
        loop.call_soon(awaited.brought)
        return False

    def adopt(self, file: Any) -> None:
        """The next `apply_updates` gives the document what its file says as it was loaded, in what
        no file holds. None where that is not known."""
        self._adopting, self._file = True, file

    async def file_is(self, content_hash: str) -> None:
        """The file now has content of this hash."""
        checkpointer, entry = self._opened()
        self._note_file(entry, content_hash)
        await checkpointer.set_facts(entry)

    @property
    def file_hash(self) -> str:
        """Hash of the file's content as far as is known; empty if it is not."""
        hashes = self._entry.facts.file_hashes if self._entry is not None else []
        return hashes[-1] if hashes else ""

    async def _is_behind(self, entry: DocumentState, body: Any) -> bool:
        """Whether a file's content is what the file was, as far as is known."""
        from .ydoc import content

        known = self._known_states(entry)
        return await asyncio.to_thread(content.is_one_of, entry.document.type, body, known)

    def _known_states(self, entry: DocumentState) -> list[str]:
        """Hashes of what the file may be without having been changed by other means."""
        facts = entry.facts
        # Another file id means another disk: what is on it is some earlier state of the file.
        known = facts.file_hashes[-1:] if facts.file_id == self._file_id else facts.file_hashes
        return [*known, facts.saving]

    def _note_file(self, entry: DocumentState, file_hash: str) -> None:
        facts = entry.facts
        facts.file_id, facts.saving = self._file_id, ""
        if file_hash in facts.file_hashes:
            facts.file_hashes.remove(file_hash)
        facts.file_hashes = [*facts.file_hashes, file_hash][-FILE_HASHES:]

    async def archive_before_save(self, within: float) -> None:
        """Have a version of the document before its file is saved, within so many seconds.

        If everything but the file were lost in a crash, the file would be newer than the archive.
        Its room would be built from it anew, and clients that come back would double their edits.
        A bucket that is away holds up no save.
        """
        checkpointer, entry = self._checkpointer, self._entry
        if checkpointer is None or entry is None:
            return
        for _ in range(_TURNS):  # until the last update has come from the room
            if entry.pending:
                break
            await asyncio.sleep(0)
        await checkpointer.before_save(entry, within)

    def note_saving(self, content_hash: str) -> None:
        """The room is about to save content of this hash to the file."""
        if self._entry is not None and self._checkpointer is not None:
            self._entry.facts.saving = content_hash
            self._checkpointer.about_to_save(self._entry)
            self._checkpointer.spawn(self._checkpointer.set_facts(self._entry))

    def note_saved(self) -> None:
        """The save that was begun last has reached the file."""
        if self._entry is not None and self._checkpointer is not None and self._entry.facts.saving:
            self._note_file(self._entry, self._entry.facts.saving)
            self._checkpointer.spawn(self._checkpointer.set_facts(self._entry))
            if not self._checkpointer.buffer.durable:
                # After a crash the file would be newer than all that is stored, and so would
                # replace it; clients that come back would then have their edits doubled. The room
                # still notes in the document that it is saved, which is no version of its own.
                loop = asyncio.get_running_loop()
                loop.call_later(_NOTED, self._checkpointer.checkpoint_now, self._entry)


def _in_a_frame(error: BookstoreError) -> str:
    """A message of `_FRAME_BYTES` at most. JupyterLab shows it; a longer one breaks the connection
    instead, and the client comes back at once. The cause goes to the log."""
    if isinstance(error, BucketUnavailable):
        return "The archive cannot be reached; try again later."
    if isinstance(error, DocumentTooLarge):
        return "The document is too large; see the log."
    if isinstance(error, SnapshotError):
        return "The archived document is damaged; see the log."
    if isinstance(error, UpdateBufferError):
        return "The update buffer cannot be used; see the log."
    if isinstance(error, InvalidPath):
        return "This path cannot be archived; see the log."
    if isinstance(error, ListingDenied):
        return "S3 denies s3:ListBucket; see the log."
    code, _ = answer_of(error)
    for refused in (f"S3 refuses it ({code}); see the log.", f"S3 refuses it ({code})."):
        if code.isalnum() and code.isascii() and len(refused) <= _FRAME_BYTES:
            return refused
    return "The archive cannot be read; see the log."


def _content_of(type: str | None, updates: list[bytes]) -> Any:
    from .ydoc import content

    doc: Doc[Any] = Doc()
    apply(doc, [squash(updates)])
    return content.read(type, doc)  # maybe nothing yet, where a room was closed too soon
