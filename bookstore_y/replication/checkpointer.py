"""When a document is checkpointed, retried and evicted; owns the background tasks.

There is one `Checkpointer` per event loop, bucket and buffer. Stores open documents in it and
append updates; it decides the rest. `append` never waits for the bucket.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from anyio import CancelScope

from .. import metrics
from ..aio import to_its_end
from ..archive.archive import Archive
from ..archive.version import WriteResult
from ..buffer.database import Buffer
from ..buffer.pending_file import PendingFile
from ..buffer.records import BufferedDocument, DocumentRecord
from ..buffer.recovery import BufferOptions, Recovery
from ..buffer.sqlite_file import BufferInUse
from ..errors import (
    BookstoreError,
    BucketError,
    ConfigurationError,
    DocumentNotFound,
    SnapshotError,
    UpdateBufferError,
)
from ..keys import Document
from ..settings import BookstoreSettings
from . import health, recovery_fit
from .checkpoint import CheckpointWriter
from .document import DocumentState
from .document_view import Base, Name, Trouble
from .health import Health
from .housekeeping import condense_pending
from .load import Loader, Loading, is_whole
from .memory_limiter import MemoryLimiter, Relief
from .path_changes import PathChanges
from .schedule import Due, Policy, Surroundings, next_due
from .scheduler import Scheduler
from .shared import Shared

State = dict[str, Any]

TAKE_UP_PAUSE = 60.0
"""Seconds between looking for what other processes have left behind, at least."""

LISTED = 100
"""Path changes that the status tells of; it has the number of all."""


class Checkpointer:
    """The documents of one buffer on their way to one bucket.

    Use it as an async context manager; it may be entered several times, and what it opened is
    closed when it is left as often. `Checkpointer.shared` gives the one for a bucket and buffer.
    """

    def __init__(self, settings: BookstoreSettings, options: BufferOptions | None = None) -> None:
        options = options or BufferOptions()
        self.settings = settings
        self.archive = Archive(settings)
        self.recovery = Recovery(settings, options)
        self.health = Health(self.archive.check, self.spawn, self._bucket_is_back)
        self.health.changed = self.changed
        self.path_changes = PathChanges(self)
        self._shared = Shared(settings, self.archive, self.health, self.spawn, self.changed)
        self.loader = Loader(self._shared, lambda: self.path_changes, self.append)
        self._writer = CheckpointWriter(
            self._shared,
            lambda: self.path_changes,
            self.loader,
            lambda entry: self.authors_of(entry),
            self.release,
        )
        self._memory = MemoryLimiter(
            options.limit,
            Relief(
                buffer=lambda: self.buffer,
                documents=lambda: self.entries.values(),
                drop=self.drop,
                condense=lambda entry: condense_pending(self.buffer, entry),
                move_to_file=self._move_to_file,
                spawn=self.spawn,
                log=lambda: self.log,
            ),
        )
        self.scheduler = Scheduler(
            self._next_due,
            self._do_what_is_due,
            lambda entry: self.entries.get(entry.document) is entry,
            self.spawn,
        )
        self.log = logging.getLogger("bookstore_y.checkpointer")
        self.authors_of: Callable[[DocumentState], Iterable[str]] = lambda entry: ()
        self.on_state: Callable[[State], None] = lambda state: None
        """Called with `status()` whenever its `status` or `buffer` has changed."""
        self.entries: dict[Document, DocumentState] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self._users = 0
        self._stack: AsyncExitStack | None = None
        self._entering = asyncio.Lock()
        self._policy = Policy()
        self._closing = False
        self._journal_failed = False
        self._last_notes = PendingFile()
        self._told = ("ok", "")

    @property
    def log(self) -> logging.Logger | logging.LoggerAdapter[Any]:
        """Where this and all that belongs to it tells what happens."""
        return self._shared.log

    @log.setter
    def log(self, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._shared.log = self.health.log = self.recovery.log = log

    @classmethod
    def shared(
        cls, settings: BookstoreSettings, options: BufferOptions | None = None
    ) -> Checkpointer:
        """The checkpointer of this event loop for the bucket of `settings` and a buffer."""
        options = options or BufferOptions()
        of_loop = _shared.setdefault(asyncio.get_running_loop(), {})
        name = (settings.identity(), options.path)
        if name not in of_loop:
            of_loop[name] = cls(settings, options)
        return of_loop[name]

    @property
    def buffer(self) -> Buffer:
        """The buffer, which is open as long as the checkpointer is."""
        return self._shared.buffer

    async def __aenter__(self) -> Checkpointer:
        """Raises `UpdateBufferError` when the buffer cannot be opened."""
        self._users += 1
        try:
            async with self._entering:
                if self._stack is None:
                    async with AsyncExitStack() as stack:
                        await stack.enter_async_context(self.archive)
                        unanswered = self.archive.bucket.unanswered
                        unanswered.listeners.add(self.changed)
                        stack.callback(unanswered.listeners.discard, self.changed)
                        if self._shared.open_buffer is None:
                            self._shared.open_buffer = await self._open_buffer()
                            self.buffer.on_change = self._buffer_changed
                            _open.add(self)
                            self._recover()
                        self._closing = False
                        self.health.open()
                        self.health.where = self.archive.bucket.where
                        self._told = ("ok", self._where_buffered())
                        self._stack = stack.pop_all()
                        self.scheduler.open()
                    for entry in list(self.entries.values()):
                        if entry.name is Name.DELETED and entry.users == 0 and not entry.pending:
                            self.spawn(self._evict(entry))
                        else:
                            self.scheduler.arm(entry)
                    self.path_changes.retry()
                    self.release()
        except BaseException:
            self._users -= 1
            raise
        return self

    async def _open_buffer(self) -> Buffer:
        if not self.recovery.takes_up_one:
            await recovery_fit.choose(self.archive, self.recovery)
        opening = asyncio.ensure_future(asyncio.to_thread(self.recovery.open))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread goes on, and what it opens must not be left locked.
            while not opening.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([opening])
            if opening.exception() is None:
                self.recovery.abandon(opening.result())
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        self._users -= 1
        if self._users == 0:
            await self._close()

    async def _close(self) -> None:
        # Half closed would be neither open nor to be opened, so nothing may cut this short: no
        # cancelled scope of anyio's, and no cancelled task.
        with CancelScope(shield=True):
            await to_its_end(self._close_unless_used(asyncio.current_task()))

    async def _close_unless_used(self, caller: asyncio.Task[Any] | None) -> None:
        async with self._entering:
            if self._users == 0:
                await self._close_now(caller)

    async def _close_now(self, caller: asyncio.Task[Any] | None) -> None:
        self._closing = True
        self.scheduler.stop()
        self.health.close()
        tasks = [task for task in self._tasks if task is not caller]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()
        self.scheduler.forget_running()
        if self._shared.open_buffer is None:
            return
        archived = not self._unarchived()
        if not archived and not self.buffer.durable:
            if self._users:
                return  # somebody came while this waited, and goes on with it as it is
            try:
                await self.keep()
            except UpdateBufferError as error:
                self.log.error(  # noqa: TRY400 - the sentence is what counts
                    "Edits that are not archived are only in memory, and no recovery file can "
                    "be written in %s: %s",
                    self.recovery.directory,
                    error,
                )
                return  # the buffer is the only place; whoever opens it next finds it as it is
        self.entries.clear()
        self.path_changes = PathChanges(self)
        buffer, self._shared.open_buffer = self.buffer, None
        _open.discard(self)
        self._shared.pending_file.close()
        self._last_notes.close()
        await asyncio.to_thread(self.recovery.close, buffer, archived=archived)
        if self._users == 0:
            of_loop = _shared.get(asyncio.get_running_loop(), {})
            for name in [name for name, known in of_loop.items() if known is self]:
                del of_loop[name]

    def _unarchived(self) -> bool:
        """Whether there is anything that the bucket does not have."""
        kept = [*self.entries.values(), *self.path_changes.displaced]
        if self.path_changes.waiting or any(entry.pending for entry in kept):
            return True
        return self.buffer.has_pending()

    async def take_up(self) -> None:
        """Archive what other processes have left behind since this one started, as in a rolling
        restart while the bucket was away. Documents that are open here get it from the bucket."""
        directory = self.recovery.options.recovery_dir
        await recovery_fit.choose(self.archive, self.recovery)
        for path in await asyncio.to_thread(self.recovery.left_behind):
            late = Checkpointer(self.settings, BufferOptions(str(path), directory))
            late.log = self.log
            try:
                async with late:
                    await late.flush(self.settings.shutdown_timeout)
            except BufferInUse:
                continue  # its process lives, or another has just taken it up
            except UpdateBufferError as error:
                self.log.error(  # noqa: TRY400 - the sentence is what counts
                    "What another server left in %s is not archived: %s", path, error
                )

    async def _take_up_always(self) -> None:
        while True:
            await asyncio.sleep(health.pause(10, 1.0) + TAKE_UP_PAUSE)
            if self.health.error is None:
                await self.take_up()

    def take_up_always(self) -> None:
        """`take_up` every minute or so, in the background."""
        self.spawn(self._take_up_always())

    async def keep(self) -> None:
        """Have a file hold all that is not archived, if the buffer does not survive a crash.

        Raises `UpdateBufferError` when it cannot be written.
        """
        if self.buffer.durable or not self._unarchived():
            return
        self._tell_kept(await asyncio.to_thread(self.recovery.keep, self.buffer))

    async def keep_pending(self) -> None:
        """Have a recovery file hold what is pending, at once: not what it builds on, which is in
        the bucket. It is removed at the end, when all is there or `keep` holds more.

        Raises `UpdateBufferError` when it cannot be written.
        """
        if self.buffer.durable:
            return
        if self.path_changes.waiting:  # which takes the whole buffer to follow
            await self.keep()
            return
        pending = [
            (entry.id, entry.document, entry.facts, self.buffer.pending_after(entry.id, 0))
            for entry in self.entries.values()
            if entry.pending
        ]
        path = self.recovery.new_file()
        await asyncio.to_thread(self._last_notes.note_all, path, pending)

    def keep_at_exit(self) -> None:
        """Like `keep`, in a process that ends without having left what it entered."""
        if self._shared.open_buffer is not None and not self.buffer.durable and self._unarchived():
            self._tell_kept(self.recovery.keep(self.buffer))

    def _tell_kept(self, path: Path) -> None:
        self.log.warning(
            "Edits that are not archived yet are kept in %s; the next server to start archives "
            "them.",
            path,
        )

    def _recover(self) -> None:
        """Take up what an earlier process left in the buffer; it is checkpointed soon."""
        now = self._now()
        # Of two documents of one name, the one that was written to last has it; but a deleted one
        # never takes it from another.
        order = sorted(self.buffer.known(), key=lambda k: (not k.facts.deleted, k.newest))
        for known in order:
            entry = DocumentState.recovered(known, self._policy, now)
            former = self.entries.get(known.document)
            if former is not None and former.deleted and not former.pending:
                self.spawn(self._evict(former))
            elif former is not None:
                self.path_changes.displace(former)
            self.register(entry)
        for entry in self.entries.values():
            if entry.pending:
                entry.brought_back()  # by an edit
        self.path_changes.recover()

    def register(self, entry: DocumentState) -> None:
        """Its name is this document's now, whoever has had it."""
        former = self.entries.get(entry.document)
        if former is not None and former is not entry:
            former.displaced()
        self.entries[entry.document] = entry

    # -- what stores call ----------------------------------------------------------------------

    async def open(self, document: Document, policy: Policy) -> DocumentState:
        """The entry of a document, which is made if the buffer does not hold it."""
        self.archive.key(document)  # raises InvalidPath while there is someone to tell
        entry = self.entries.get(document)
        if entry is None or entry.deleted:
            if entry is not None and entry.users == 0 and not self.path_changes.dooms(entry):
                self.path_changes.displace(entry)  # with edits from after its deletion
                self.path_changes.retry()
            number, now = self.buffer.new_id(), self._now()
            entry = DocumentState(number, document, DocumentRecord(), policy, now)
            self.register(entry)
            try:
                await self.buffer.add(entry.id, document, entry.facts)
            except BaseException:
                if entry.users == 0 and self.entries.get(document) is entry:
                    del self.entries[document]
                raise
        entry.opened(policy)
        self._policy = policy
        self.scheduler.arm(entry)
        return entry

    def append(
        self, entry: DocumentState, update: bytes, metadata: bytes, timestamp: float
    ) -> tuple[int, Awaitable[None] | None]:
        """Take in an update; see `Buffer.append`. Never waits, and never for the bucket."""
        seq, durable = self.buffer.append(entry.id, update, metadata, timestamp)
        entry.appended(len(update), self._now())
        metrics.UPDATES.inc()
        if isinstance(durable, asyncio.Future):
            durable.add_done_callback(partial(self._stored, entry, len(update)))
        self._memory.added(len(update))
        if entry.pending == 1:
            entry.credits.joined(self.authors_of(entry))
            self.scheduler.arm(entry)
        elif entry.pending >= entry.policy.interval and not self.scheduler.is_running(entry):
            self.scheduler.arm(entry)
        return seq, durable

    def _stored(self, entry: DocumentState, size: int, durable: asyncio.Future[None]) -> None:
        if not durable.cancelled() and durable.exception() is not None:
            entry.counted(-1, -size)  # its writer was told that it is not kept

    async def load(self, entry: DocumentState) -> BufferedDocument:
        """All that is known of a document: from the buffer, with what the bucket has besides.

        Raises `DocumentNotFound` only when the bucket said so and the buffer holds nothing; and
        what keeps the bucket from being asked, unless the buffer holds the whole document.
        """
        entry.touched(self._now())
        held = await self.buffer.read(entry.id)
        known = entry.synced and not held.empty  # of one that was not there, another may have it
        if not known and not (is_whole(entry, held) and self.health.error is not None):
            held = await self._find(entry)
            self.scheduler.arm(entry)
        if held.empty:
            raise DocumentNotFound(
                f"{entry.document} is neither in the buffer nor in {self.archive.bucket.where}."
            )
        return held

    async def _find(self, entry: DocumentState) -> BufferedDocument:
        with contextlib.ExitStack() as locked:
            await entry.lock.acquire()
            locked.callback(entry.lock.release)
            held = await self.buffer.read(entry.id)
            if entry.synced and not held.empty:
                return held
            try:
                held, loading = await self.loader.find(entry, held)
            except (BucketError, ConfigurationError):
                held = await self.buffer.read(entry.id)
                if not is_whole(entry, held):
                    raise
                return held
            if loading is not None:
                # Who opens a document need not wait until the buffer has all of it, too; whatever
                # else is to be done with it waits for the locks.
                locked.callback(loading.close)
                task = self.spawn(self._load(entry, loading))
                kept = locked.pop_all()
                task.add_done_callback(lambda _: kept.close())
            return held

    async def _load(self, entry: DocumentState, loading: Loading) -> None:
        try:
            await loading.run()
            self.scheduler.arm(entry)
        except UpdateBufferError as error:  # the next checkpoint tries it again, and says so
            self.log.error("%s", error)  # noqa: TRY400 - the sentence is what counts

    def capture(self, entry: DocumentState, update: bytes) -> None:
        """Take in what a closing room's document holds beyond `entry.state_vector`."""
        if len(update) <= 2:
            return
        if entry.name is Name.CURRENT:
            if entry.document not in self.entries:  # dropped, as the last of its stores had closed
                self.register(entry)
                self.spawn(self.buffer.add(entry.id, entry.document, entry.facts))
            entry = self.entries[entry.document]
        self.append(entry, update, b"", time.time())

    def close(self, entry: DocumentState) -> None:
        """A store of the document has closed: checkpoint what is pending without delay."""
        entry.closed()
        if self._closing or self._stack is None:
            return
        if entry.pending and entry.users == 0 and entry.name is Name.DISPLACED:
            self.path_changes.displace(entry)
            self.path_changes.retry()
        elif entry.pending:
            self.scheduler.start(entry)
        elif entry.users == 0 and (entry.facts.deleted or entry.base is Base.BUCKET_ONLY):
            self.spawn(self.drop(entry))

    def leave(self) -> None:
        """Like leaving the context, for those who cannot wait: flushes, then closes."""

        async def flush_and_leave() -> None:
            if self._users == 1:
                for document, reason in (await self.flush(self.settings.shutdown_timeout)).items():
                    self.log.error("%s stays in the buffer: %s", document, reason)
            await self.__aexit__()

        task = asyncio.get_running_loop().create_task(flush_and_leave())
        _leaving.add(task)
        task.add_done_callback(_leaving.discard)

    async def settle(self, document: Document) -> None:
        """Checkpoint what is pending of a document, if it is in the buffer."""
        entry = self.entries.get(document)
        if entry is not None:
            await self.checkpoint(entry)

    async def forget(self, document: Document) -> None:
        """Evict a document that nobody has open, since the bucket has moved on without it."""
        entry = self.entries.get(document)
        if entry is not None:
            await self.drop(entry)

    def name_taken(self, path: str) -> None:
        """There is a file at `path`. A document that was deleted there, and that somebody still
        has open, is another one: what is typed into it is archived below that file's."""
        for document, entry in list(self.entries.items()):
            if document.path == path and entry.deleted and entry.users:
                self.scheduler.disarm(entry)
                del self.entries[document]
                entry.displaced()

    async def drop(self, entry: DocumentState) -> None:
        """Evict a document, if nobody has it open."""
        if entry.users == 0:
            self.scheduler.disarm(entry)
            await self._evict(entry)

    def checkpoint_now(self, entry: DocumentState) -> None:
        """Checkpoint what is pending now, unless that has just failed."""
        if entry.pending and entry.retry_at <= self._now() and not self._closing:
            self.scheduler.start(entry)

    async def before_save(self, entry: DocumentState, within: float) -> None:
        """Checkpoint what is pending, and wait for it so many seconds; not while it fails, since
        nothing is to wait for a bucket that is away. Who cancels ends the wait alone."""
        if self.health.error is None and entry.pending and entry.retry_at <= self._now():

            async def checkpoint() -> None:
                with contextlib.suppress(BookstoreError):  # kept in `entry.error`, and retried
                    await self.checkpoint(entry)

            await asyncio.wait([self.spawn(checkpoint())], timeout=within)

    def about_to_save(self, entry: DocumentState) -> None:
        """The document's file is about to be saved. It must never be newer than what survives a
        crash together with it, so what is in memory goes to the journal first."""
        if self.buffer.durable or not entry.pending:
            return
        rows = self.buffer.pending_after(entry.id, self._shared.pending_file.noted(entry.id))
        try:
            path = self.recovery.new_file()
            self._shared.pending_file.note(path, entry.id, entry.document, entry.facts, rows)
        except UpdateBufferError as error:
            if not self._journal_failed:
                self.log.warning("A crash right after a save may double edits. %s", error)
            self._journal_failed = True

    async def keep_record(self, entry: DocumentState) -> None:
        """Have the buffer keep what was changed in `entry.facts`."""
        await self.buffer.set_facts(entry.id, entry.facts)

    def keep_replaced(self, entry: DocumentState) -> None:
        """Checkpoint what was replaced now, in the background; it is tried again with the rest."""

        async def keep() -> None:
            with contextlib.suppress(BookstoreError):  # kept in `entry.error`, and reported
                await self.checkpoint(entry, replaced=True)

        if entry.retry_at <= self._now() and not self._closing:
            self.spawn(keep())

    def about_to_replace(self, entry: DocumentState, *, by_file: bool = False) -> None:
        """What the buffer holds of the document now is to be a version of its own, since the next
        update replaces it. With a buffer in a file a crash does not change that."""
        entry.replaced_up_to(self.buffer.last, by_file=by_file)
        self.buffer.set_facts(entry.id, entry.facts).add_done_callback(self._finished)

    # -- checkpoints ---------------------------------------------------------------------------

    async def checkpoint(
        self, entry: DocumentState, *, replaced: bool = False
    ) -> WriteResult | None:
        """Write what is pending as a new version. None when there was nothing new to write.
        With `replaced`, only what was replaced.

        Raises the error that kept it from the bucket; everything then stays pending.
        """
        async with entry.lock:
            try:
                saved = await self._writer.checkpoint(entry, replaced=replaced)
            except BookstoreError as error:
                self._failed(entry, error)
                raise
            except Exception as error:
                unexpected = BookstoreError(
                    f"Archiving {entry.document} failed unexpectedly ({error!r}); its edits are "
                    "kept, and the server retries. Please report this."
                )
                if str(unexpected) != str(entry.error):
                    self.log.exception("Unexpected error:")
                self._failed(entry, unexpected)
                raise unexpected from error
            self._worked(entry)
            self.scheduler.arm(entry)
            return saved

    async def write(self, entry: DocumentState) -> None:
        """Checkpoint under the name that a document had before what is being followed now."""
        await self._writer.checkpoint(entry, follow=False)

    def release(self) -> None:
        """What earlier processes left can go when all of it is in the bucket."""
        if (self.recovery.waiting or self.buffer.left) and not self._unarchived():
            self.recovery.archived(self.buffer)

    # -- scheduling ----------------------------------------------------------------------------

    def _next_due(self, entry: DocumentState) -> Due:
        surroundings = Surroundings(
            bucket_is_away=self.health.error is not None,
            disk_refuses=self.buffer.refused is not None,
        )
        return next_due(entry.timing(), entry.policy, surroundings, self._now())

    async def _do_what_is_due(self, entry: DocumentState) -> None:
        due = self._next_due(entry)
        try:
            if due.what == "checkpoint":  # now, whenever else it would be due
                await self.checkpoint(entry)
            elif due.at <= self._now():
                await (self._evict(entry) if due.what == "evict" else self.loader.pull(entry))
        except UpdateBufferError as error:
            self.log.error("%s", error)  # noqa: TRY400 - the sentence is what counts
        except BookstoreError:
            pass  # kept in `entry.error`, reported, and tried again at `entry.retry_at`

    async def _evict(self, entry: DocumentState) -> None:
        async with entry.lock:
            await self.evict_written(entry)

    async def evict_written(self, entry: DocumentState) -> None:
        """Evict a document, unless any of it is pending. Needs no lock; takes `writing`."""
        async with entry.writing:
            if entry.pending:
                return
            stays = entry.users > 0
            # Who opens it from now on begins with what the bucket has.
            if not stays and self.entries.get(entry.document) is entry:
                del self.entries[entry.document]
            written = entry.without_history()
            try:
                with entry.evicting() as eviction:
                    gone = await self.buffer.evict(entry.id, keep=stays, facts=written)
                    if gone:
                        eviction.gone(self._now())
            except BaseException:
                if not stays:
                    self._stays_after_all(entry)
                raise
            if not gone:  # it was counted wrongly, or something came meanwhile
                await self._count(entry)
                if not stays:
                    self._stays_after_all(entry)
                return
            metrics.EVICTIONS.inc()
            if stays and entry.facts != written:  # something of it was noted meanwhile
                await self.buffer.set_facts(entry.id, entry.facts)
        if stays and entry.users == 0:
            self.spawn(self.drop(entry))

    def _stays_after_all(self, entry: DocumentState) -> None:
        if entry.name is not Name.DISPLACED and entry.document not in self.entries:
            self.register(entry)
        elif entry.pending and entry.users == 0:
            self.path_changes.displace(entry)
            entry.displaced()
            self.path_changes.retry()

    async def _count(self, entry: DocumentState) -> None:
        """Count what is pending."""
        updates, size = entry.pending, entry.pending_bytes
        pending = (await self.buffer.read(entry.id, base=False)).pending
        entry.counted(len(pending) - updates, sum(len(row.data) for row in pending) - size)

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run something in the background, and log it if it fails."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("A background task of the archive failed.", exc_info=task.exception())

    def _now(self) -> float:
        return time.monotonic()

    # -- trouble -------------------------------------------------------------------------------

    def _failed(self, entry: DocumentState, error: BookstoreError) -> None:
        attempts = entry.attempts + 1
        retry_at = self._now() + health.pause(attempts)
        before = entry.trouble
        since = time.time() if before is None else before.failing_since or time.time()
        metrics.CHECKPOINTS.labels("failed").inc()
        if not isinstance(error, health.BUCKET_WIDE) and str(error) != str(entry.error or ""):
            self.log.error("%s is not archived: %s", entry.document, error)
        entry.in_trouble(Trouble(error, attempts, retry_at, since))
        self.health.note(error)
        self.changed()

    def _worked(self, entry: DocumentState) -> None:
        entry.in_trouble(None)
        self.health.worked()
        self.changed()

    def _bucket_is_back(self) -> None:
        self.path_changes.retry(now=True)
        for entry in self.entries.values():
            trouble = entry.trouble
            if trouble is not None and isinstance(trouble.error, health.BUCKET_WIDE):
                entry.in_trouble(replace(trouble, retry_at=0.0))
            self.scheduler.arm(entry)

    def _buffer_changed(self) -> None:
        """The disk of the buffer refuses to take more: the bucket has to, and at once."""
        self.log.error(
            "The update buffer continues in memory; edits are safe once they are in the bucket. %s",
            self.buffer.refused,
        )
        for entry in self.entries.values():
            self.scheduler.arm(entry)
        self.changed()

    async def _move_to_file(self) -> Path:
        """Have the buffer go on in a file, so that a crash leaves all of it."""
        path = self.recovery.new_file()
        await self.buffer.move_to_file(path)
        self._shared.pending_file.close()
        self.changed()
        return Path(path)

    def moved(self, entry: DocumentState) -> None:
        """A document has another name now, or none."""
        saved = self._shared.pending_file.noted(entry.id)
        self._shared.pending_file.forget(entry.id)
        if saved and not entry.deleted:
            self.about_to_save(entry)

    def changed(self) -> None:
        """Tell whoever wants to know if the state has changed."""
        if self._shared.open_buffer is None:
            return
        state = self.status()
        now = (state["status"], state["buffer"])
        if now != self._told:
            self._told = now
            if self in _shared.get(asyncio.get_running_loop(), {}).values():
                metrics.RETRYING.set(state["status"] == "retrying")
            self.on_state(state)

    def _where_buffered(self) -> str:
        if self.buffer.refused is not None:
            return "disk refuses"
        return "file" if self.buffer.durable else "memory"

    @property
    def waiting_seconds(self) -> float:
        """For how long the bucket has not answered a request; 0 unless that is too long."""
        since = self.archive.bucket.unanswered.since if self._stack is not None else None
        return 0.0 if since is None else max(0.0, time.time() - since)

    def status(self) -> State:
        """The state of the archive, of JSON types; times in seconds since the epoch."""
        pending = [entry for entry in self.entries.values() if entry.pending]
        failing = [entry for entry in self.entries.values() if entry.error is not None]
        changes = self.path_changes.failing
        saves = {} if self.path_changes.saves is None else self.path_changes.saves.status()
        error = self.health.error
        unanswered = self.archive.bucket.unanswered.since if self._stack is not None else None
        since = [
            self.health.failing_since,
            *(entry.trouble.failing_since for entry in failing if entry.trouble is not None),
            *(change.since for change in changes),
            saves.get("failing_since"),
            unanswered,
        ]
        if isinstance(error, ConfigurationError):
            state = "not configured"
        else:
            trouble = failing or changes or saves.get("failing_saves")
            state = "retrying" if error or trouble or unanswered is not None else "ok"
        reason = str(error) if error else None
        if unanswered is not None and error is None:
            at = datetime.fromtimestamp(unanswered, timezone.utc).strftime("%H:%M:%S UTC")
            reason = f"Waiting for the {self.archive.bucket.where} since {at}; edits are kept."
        return {
            "status": state,
            "error": reason,
            "waiting_since": unanswered,
            "retrying_since": min((at for at in since if at is not None), default=None),
            "documents": len(self.entries),
            "pending_documents": len(pending),
            "pending_updates": sum(entry.pending for entry in pending),
            "pending_bytes": sum(entry.pending_bytes for entry in pending),
            "failing_documents": {str(entry.document): str(entry.error) for entry in failing},
            "path_changes": self.path_changes.listed()[:LISTED],
            "waiting_path_changes": self.path_changes.count,
            "set_aside_path_changes": self.path_changes.set_aside,
            **{name: value for name, value in saves.items() if name != "failing_since"},
            "last_checkpoint": self._writer.last_written,
            "buffer": self._where_buffered(),
            "buffer_bytes": self.buffer.size(),
        }

    # -- shutdown ------------------------------------------------------------------------------

    async def flush(self, timeout: float) -> dict[str, str]:  # noqa: ASYNC109 - it returns what is left
        """Checkpoint all that is pending, small documents before large ones, trying again until
        `timeout` seconds have passed.

        Returns what could not be flushed, by name, with the reason.
        """
        deadline = self._now() + timeout
        self._writer.use_all_threads()

        async def settle(entry: DocumentState) -> None:
            while entry.pending and entry.name is not Name.DISPLACED:
                try:
                    await self.checkpoint(entry)
                except (ConfigurationError, SnapshotError):
                    return  # no trying again will mend it
                except BookstoreError:
                    await asyncio.sleep(health.pause(0))

        while True:
            # What arrives while this runs is flushed in another round.
            pending = [entry for entry in self.entries.values() if entry.pending]
            if len(pending) > 1:  # there may not be the time for all of them
                with contextlib.suppress(UpdateBufferError):  # then in any order
                    sizes = await self.buffer.sizes()
                    pending.sort(key=lambda entry: sizes.get(entry.id, 0))
            tasks = [self.spawn(settle(entry)) for entry in pending]
            self.path_changes.retry(now=True)
            if self.path_changes.due:
                tasks.append(self.spawn(self.path_changes.until_none_is_due()))
            if not tasks:  # what was set aside is not worth waiting for
                return self._unflushed("")
            _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - self._now()))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            still = [entry for entry in self.entries.values() if entry.pending]
            final = (ConfigurationError, SnapshotError)
            if late or (still and all(isinstance(entry.error, final) for entry in still)):
                return self._unflushed(f"no answer within {timeout:g} s")

    def _unflushed(self, reason: str) -> dict[str, str]:
        unflushed = {
            str(entry.document): str(entry.error or reason)
            for entry in [*self.entries.values(), *self.path_changes.displaced]
            if entry.pending
        }
        why = str(self.health.error or reason)
        return unflushed | {
            name: self.path_changes.reason(name) or why for name in self.path_changes.names()
        }


_open: set[Checkpointer] = set()


def _pending(what: str) -> float:
    """The sum over all documents of this process. For whoever reads the metrics: to count it at
    every update would cost more than the update."""
    held = [e for cp in list(_open) for e in (*cp.entries.values(), *cp.path_changes.displaced)]
    return float(sum(getattr(entry, what) for entry in held))


metrics.PENDING_UPDATES.set_function(partial(_pending, "pending"))
metrics.PENDING_BYTES.set_function(partial(_pending, "pending_bytes"))
metrics.PATH_CHANGES.labels("waiting").set_function(
    lambda: float(sum(cp.path_changes.count - cp.path_changes.set_aside for cp in list(_open)))
)
metrics.PATH_CHANGES.labels("set aside").set_function(
    lambda: float(sum(cp.path_changes.set_aside for cp in list(_open)))
)
metrics.WAITING_SECONDS.set_function(
    lambda: max((cp.waiting_seconds for cp in list(_open)), default=0.0)
)


@atexit.register
def _keep_what_is_open() -> None:
    """A loop may end with rooms open, whose last updates then are nowhere else."""
    for checkpointer in list(_open):
        try:
            checkpointer.keep_at_exit()
        except UpdateBufferError as error:
            checkpointer.log.error("Edits that are only in memory are now lost. %s", error)  # noqa: TRY400


_leaving: set[asyncio.Task[None]] = set()

_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], Checkpointer]] = (
    WeakKeyDictionary()
)
