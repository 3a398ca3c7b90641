"""When a document is checkpointed, retried and evicted; owns the background tasks.

There is one `Checkpointer` per event loop, bucket and buffer. Stores open documents in it and
append updates; it decides the rest. `append` never waits for the bucket.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from anyio import CancelScope

from . import archive as archives
from . import metrics
from .archive import Archive, Saved
from .buffer import Buffer, Facts, Held
from .errors import (
    BookstoreError,
    BucketError,
    ConfigurationError,
    CorruptSnapshot,
    DocumentNotFound,
    SnapshotError,
)
from .keys import Document
from .settings import BookstoreSettings
from .snapshot import Squashed, advance, lineage_of, state_vector, unusable

FILE_HASHES = 32
"""Loads and saves of its file that a document remembers."""

RETRY_CAP = 30.0
"""Longest wait, in seconds, between two tries of a failing checkpoint."""


@dataclass(frozen=True)
class Policy:
    """When to checkpoint and evict, and how much history to keep. Times in seconds."""

    interval: int = 200
    max_delay: float = 30.0
    idle_delay: float = 3.0
    ttl: float = 300.0
    history_updates: int = 1000
    history_bytes: int = 4 * 1024 * 1024


@dataclass(eq=False)
class Entry:
    """A document in the buffer, and where it stands with the bucket."""

    id: int
    document: Document
    facts: Facts
    policy: Policy
    pending: int = 0
    pending_bytes: int = 0
    first_pending: float = 0.0
    last_activity: float = 0.0
    """Loop times in seconds, like every time here."""
    state: bytes = b"\x00"
    """State vector that the buffer is known to hold at least."""
    asked: bool = False
    """Whether the bucket has said what it holds of the document."""
    origin: str = ""
    """What made the next version, where it is more than a checkpoint."""
    authors: set[str] = field(default_factory=set)
    error: BookstoreError | None = None
    attempts: int = 0
    retry_at: float = 0.0
    running: bool = False
    timer: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    putting: asyncio.Event | None = None
    """Set when the PUT that is under way has ended."""
    evicted: bool = False
    """Whether the updates at hand build on what only the bucket has."""
    deleted: bool = False
    """Whether its file was deleted; a new file of that name is another document."""
    whole: list[Callable[[], bytes]] = field(default_factory=list)
    """Each gives the whole state of a live document, as one update."""
    users: int = 0
    """Stores that have it open."""
    live: list[Callable[[bytes], None]] = field(default_factory=list)
    """Each takes an update that another writer made into a live document."""


@dataclass(eq=False)
class Rename:
    """A rename of a file or directory that the bucket has to follow."""

    id: int
    source: str
    target: str
    waits_for: list[asyncio.Event] = field(default_factory=list)
    """PUTs to the old keys that were under way, and the note of it in the buffer."""


class Checkpointer:
    """The documents of one buffer on their way to one bucket.

    Use it as an async context manager; it may be entered several times, and what it opened is
    closed when it is left as often. `Checkpointer.shared` gives the one for a bucket and buffer.
    """

    def __init__(self, settings: BookstoreSettings, db_path: str = ":memory:") -> None:
        self.settings = settings
        self.archive = Archive(settings)
        self.log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger(__name__)
        self.authors_of: Callable[[Document], Iterable[str]] = lambda document: ()
        self.db_path = db_path
        self.error: BookstoreError | None = None
        """Why the bucket cannot be used now, or None as far as is known."""
        self.failing_since: float | None = None
        self.last_checkpoint: float | None = None
        """Seconds since the epoch, both."""
        self._entries: dict[Document, Entry] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._users = 0
        self._stack: AsyncExitStack | None = None
        self._entering = asyncio.Lock()
        self._buffer: Buffer | None = None
        self._renames: list[Rename] = []
        self._displaced: list[Entry] = []
        self._renaming = asyncio.Lock()
        self._deleting: dict[str, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._watched = 0
        self._policy = Policy()
        self._closing = False

    @classmethod
    def shared(cls, settings: BookstoreSettings, db_path: str = ":memory:") -> Checkpointer:
        """The checkpointer of this event loop for the bucket of `settings` and the buffer at
        `db_path`. Raises `BufferError` when the buffer cannot be opened."""
        of_loop = _shared.setdefault(asyncio.get_running_loop(), {})
        name = (settings.identity(), db_path)
        if name not in of_loop:
            of_loop[name] = cls(settings, db_path)
        return of_loop[name]

    @property
    def buffer(self) -> Buffer:
        """The buffer, which is open as long as the checkpointer is."""
        if self._buffer is None:
            raise RuntimeError("The checkpointer is not open; use it inside `async with`.")
        return self._buffer

    async def __aenter__(self) -> Checkpointer:
        """Raises `UpdateBufferError` when the buffer cannot be opened."""
        self._users += 1
        try:
            async with self._entering:
                if self._stack is None:
                    if self._buffer is None:
                        self._buffer = Buffer(self.db_path)
                        self._renames = [Rename(*row) for row in self._buffer.renames()]
                    async with AsyncExitStack() as stack:
                        await stack.enter_async_context(self.archive)
                        self._closing = False
                        self._stack = stack.pop_all()
                    self._recover()
        except BaseException:
            self._users -= 1
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._users -= 1
        if self._users == 0:
            await self._close()

    async def _close(self) -> None:
        # Half closed would be neither open nor to be opened, so nothing may cut this short.
        with CancelScope(shield=True):
            async with self._entering:
                if self._users == 0:
                    await self._close_now()

    async def _close_now(self) -> None:
        self._closing = True
        for entry in self._entries.values():
            self._disarm(entry)
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watch = None
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()
        kept = [*self._entries.values(), *self._displaced]
        for entry in kept:
            entry.running = False  # also where its task was cancelled before it began
        left = self._renames or any(entry.pending for entry in kept)
        if self._buffer is None or (left and not self._buffer.durable):
            return  # the buffer is the only place; whoever opens it next finds it as it is
        for entry in kept:
            metrics.PENDING_UPDATES.dec(entry.pending)
            metrics.PENDING_BYTES.dec(entry.pending_bytes)
        self._entries.clear()
        self._displaced.clear()
        self._buffer.close()
        self._buffer = None
        if self._users == 0:
            of_loop = _shared.get(asyncio.get_running_loop(), {})
            for name in [name for name, known in of_loop.items() if known is self]:
                del of_loop[name]

    def _recover(self) -> None:
        """Checkpoint what an earlier process left in the buffer."""
        now = self._now()
        held = {entry.id for entry in [*self._entries.values(), *self._displaced]}
        for entry in self._entries.values():
            self._arm(entry)
        for known in self.buffer.known():
            if known.id in held:
                continue
            entry = Entry(known.id, known.document, known.facts, self._policy)
            entry.pending, entry.pending_bytes = known.pending, known.pending_bytes
            entry.first_pending = entry.last_activity = now
            if known.document in self._entries:
                self._displaced.append(self._entries[known.document])
            self._entries[known.document] = entry
            metrics.PENDING_UPDATES.inc(entry.pending)
            metrics.PENDING_BYTES.inc(entry.pending_bytes)
            self._arm(entry)
        if self._renames or self._displaced:
            self.spawn(self._retry_renames())

    # -- what stores call ----------------------------------------------------------------------

    async def open(self, document: Document, policy: Policy) -> Entry:
        """The entry of a document, which is made if the buffer does not hold it."""
        self.archive.key(document)  # raises InvalidPath while there is someone to tell
        entry = self._entries.get(document)
        if entry is None or entry.deleted:
            entry = Entry(self.buffer.new_id(), document, Facts(), policy)
            entry.last_activity = self._now()
            self._entries[document] = entry
            await self.buffer.add(entry.id, document, entry.facts)
        entry.users += 1
        self._policy = entry.policy = policy
        self._arm(entry)
        return entry

    def append(
        self, entry: Entry, update: bytes, metadata: bytes, timestamp: float
    ) -> tuple[int, Awaitable[None] | None]:
        """Take in an update; see `Buffer.append`. Never waits, and never for the bucket."""
        seq, durable = self.buffer.append(entry.id, update, metadata, timestamp)
        now = self._now()
        entry.last_activity = now
        entry.pending += 1
        entry.pending_bytes += len(update)
        metrics.UPDATES.inc()
        metrics.PENDING_UPDATES.inc()
        metrics.PENDING_BYTES.inc(len(update))
        if isinstance(durable, asyncio.Future):
            durable.add_done_callback(partial(self._stored, entry, len(update)))
        if entry.pending == 1:
            entry.first_pending = now
            self._note_authors(entry)
            self._arm(entry)
        elif entry.pending >= entry.policy.interval and not entry.running:
            self._arm(entry)
        return seq, durable

    def _stored(self, entry: Entry, size: int, durable: asyncio.Future[None]) -> None:
        if not durable.cancelled() and durable.exception() is not None:
            self._count_persisted(entry, 1, size)  # its writer was told that it is not kept

    async def load(self, entry: Entry) -> Held:
        """All that is known of a document: from the buffer, or else from the bucket.

        Raises `DocumentNotFound` only when the bucket said so and the buffer holds nothing.
        """
        entry.last_activity = self._now()
        held = await self.buffer.read(entry.id)
        if held.base is None and not entry.asked:
            async with entry.lock:
                held = await self._with_base(entry)
        if held.empty:
            raise DocumentNotFound(
                f"{entry.document} is neither in the buffer nor in {self.archive.bucket.where}."
            )
        return held

    def capture(self, entry: Entry, update: bytes) -> None:
        """Take in what a closing room's document holds beyond `entry.state`."""
        if len(update) > 2:
            self.append(entry, update, b"", time.time())

    def close(self, entry: Entry) -> None:
        """A store of the document has closed: checkpoint what is pending without delay."""
        entry.users -= 1
        if entry.pending and not self._closing and self._stack is not None:
            self._start(entry)

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
        entry = self._entries.get(document)
        if entry is not None:
            await self.checkpoint(entry)

    async def forget(self, document: Document) -> None:
        """Evict a document that nobody has open, since the bucket has moved on without it."""
        entry = self._entries.get(document)
        if entry is not None and entry.users == 0:
            self._disarm(entry)
            await self._evict(entry)

    def hurry(self, entry: Entry) -> None:
        """Checkpoint what is pending now, unless that has just failed."""
        if entry.pending and entry.retry_at <= self._now() and not self._closing:
            self._start(entry)

    async def set_facts(self, entry: Entry) -> None:
        """Keep what was changed in `entry.facts`."""
        await self.buffer.set_facts(entry.id, entry.facts)

    # -- checkpoints ---------------------------------------------------------------------------

    async def checkpoint(self, entry: Entry) -> Saved | None:
        """Write what is pending as a new version. None when there was nothing new to write.

        Raises the error that kept it from the bucket; everything then stays pending.
        """
        async with entry.lock:
            try:
                saved = await self._checkpoint(entry)
            except BookstoreError as error:
                self._failed(entry, error)
                raise
            self._worked(entry)
            self._arm(entry)
            return saved

    async def _checkpoint(self, entry: Entry, follow: bool = True) -> Saved | None:
        if not entry.pending or self._is_replaced(entry):
            return None
        self.settings.require_bucket()
        started = time.perf_counter()
        self._note_authors(entry)
        held = await self._with_base(entry, follow)
        if not held.pending:
            return None
        held, squashed, fold = await self._squash(entry, held)
        pending = held.pending
        if not pending:
            return None
        authors, entry.authors = entry.authors, set()
        origin, entry.origin = entry.origin, ""
        saved = None
        if squashed.changed:
            try:
                saved = await self._save(entry, held, squashed, authors, origin, follow)
            except BaseException:
                entry.authors |= authors
                entry.origin = entry.origin or origin
                raise
        last = pending[-1].seq
        await self.buffer.mark_persisted(entry.id, last, entry.facts)
        self._count_persisted(entry, len(pending), sum(len(row.data) for row in pending))
        entry.state = squashed.state
        if saved is not None and saved.merged:
            # The buffer has to hold what others wrote, or the next checkpoint would drop it.
            await self.buffer.fold(entry.id, saved.update, last, b"", time.time())
            self._deliver(entry, saved.merged)
        elif fold:
            row = held.rows[fold - 1]
            await self.buffer.fold(entry.id, squashed.base, row.seq, row.metadata, row.timestamp)
        written = saved is not None and saved.written
        metrics.CHECKPOINTS.labels("written" if written else "unchanged").inc()
        if saved is not None and written:
            metrics.CHECKPOINT_SECONDS.observe(time.perf_counter() - started)
            metrics.CHECKPOINT_BYTES.inc(len(saved.update))
            self.last_checkpoint = time.time()
        return saved

    def _is_replaced(self, entry: Entry) -> bool:
        """Whether another document has the place of this one, whose file was deleted."""
        return entry.deleted and self._entries.get(entry.document) is not entry

    async def _squash(self, entry: Entry, held: Held) -> tuple[Held, Squashed, int]:
        """Squash what is held, after setting aside what cannot be; with how much to fold."""
        while True:
            fold = _fold_count(held, entry.policy)
            base = held.base.data if held.base else None
            known = [row.data for row in held.rows if row.seq <= held.persisted]
            pending = [row.data for row in held.pending]
            try:
                return held, await asyncio.to_thread(advance, base, known, pending, fold), fold
            except CorruptSnapshot as error:
                indices = await asyncio.to_thread(unusable, base, [*known, *pending])
                rejected = [row for at, row in enumerate(held.rows) if at in indices]
                if not rejected:
                    raise
                await self.buffer.reject(entry.id, [row.seq for row in rejected])
                self._count_persisted(
                    entry,
                    sum(row.seq > held.persisted for row in rejected),
                    sum(len(row.data) for row in rejected if row.seq > held.persisted),
                )
                self.log.error(  # noqa: TRY400 - the sentence is what counts
                    "%d updates of %s cannot be applied and were set aside in the buffer; the "
                    "others are archived. %s",
                    len(rejected),
                    entry.document,
                    error,
                )
                held = await self.buffer.read(entry.id)

    async def _save(
        self,
        entry: Entry,
        held: Held,
        squashed: Squashed,
        authors: set[str],
        origin: str,
        follow: bool,
    ) -> Saved:
        if follow:
            await self._follow_renames()
        facts = entry.facts
        if not facts.lineage:
            facts.lineage = lineage_of(held.updates()[0])
        # No wait between the last look at the renames and this: a rename waits for it.
        entry.putting = asyncio.Event()
        try:
            saved = await self.archive.save(
                entry.document,
                squashed.update,
                archives.Facts(
                    lineage=facts.lineage,
                    parent=facts.version_id,
                    updates=len(held.pending),
                    authors=tuple(sorted(authors)),
                    origin=origin or "checkpoint",
                    file_id=facts.file_id,
                    file_hashes=tuple(facts.file_hashes),
                ),
                parent_etag=facts.etag,
            )
        finally:
            entry.putting.set()
            entry.putting = None
        facts.version_id, facts.etag = saved.version_id, saved.etag
        return saved

    async def _with_base(self, entry: Entry, follow: bool = True) -> Held:
        """What is held, with the bucket's snapshot under it where the buffer has no base."""
        held = await self.buffer.read(entry.id)
        if held.base is not None or entry.asked:
            return held
        if follow:
            await self._follow_renames()
        try:
            snapshot = await self.archive.load_snapshot(entry.document)
        except DocumentNotFound:
            entry.asked = True
            if entry.evicted and entry.whole:
                # It was there, was evicted, and is gone: what is live is the whole document.
                entry.evicted = False
                entry.facts.version_id = entry.facts.etag = ""
                for whole in entry.whole:
                    self.append(entry, whole(), b"", time.time())
                return await self.buffer.read(entry.id)
            return held
        except (BucketError, ConfigurationError) as error:
            self._note_error(error)
            raise
        entry.asked, entry.evicted = True, False
        facts, theirs = entry.facts, snapshot.facts
        if facts.lineage not in ("", theirs.lineage):
            return held  # opened without the bucket, under a history of its own
        facts.lineage = theirs.lineage
        facts.version_id, facts.etag = snapshot.version_id, snapshot.etag
        if not facts.file_hashes:
            facts.file_id, facts.file_hashes = theirs.file_id, list(theirs.file_hashes)
        timestamp = snapshot.last_modified.timestamp()
        await self.buffer.set_base(entry.id, snapshot.update, timestamp)
        await self.set_facts(entry)
        entry.state = state_vector(snapshot.update)
        # After an eviction, others may have written what the live document does not have.
        self._deliver(entry, [snapshot.update])
        return await self.buffer.read(entry.id)

    def _deliver(self, entry: Entry, updates: Iterable[bytes]) -> None:
        for update in updates:
            for deliver in entry.live:
                deliver(update)

    def _note_authors(self, entry: Entry) -> None:
        entry.authors.update(self.authors_of(entry.document))

    # -- scheduling ----------------------------------------------------------------------------

    def _arm(self, entry: Entry) -> None:
        """Set the entry's one timer to when something is next due."""
        self._disarm(entry)
        if self._closing or self._stack is None or entry.running:
            return
        delay = self._next_due(entry) - self._now()
        if delay <= 0:
            self._start(entry)
        else:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(delay, self._arm, entry)

    def _disarm(self, entry: Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None

    def _next_due(self, entry: Entry) -> float:
        policy = entry.policy
        if not entry.pending:
            return entry.last_activity + policy.ttl
        if entry.pending >= policy.interval:
            due = 0.0
        else:
            due = min(
                entry.first_pending + policy.max_delay, entry.last_activity + policy.idle_delay
            )
        return max(due, entry.retry_at)

    def _start(self, entry: Entry) -> None:
        if not entry.running:
            entry.running = True
            self._disarm(entry)
            self.spawn(self._run(entry))

    async def _run(self, entry: Entry) -> None:
        try:
            if entry.pending:
                await self.checkpoint(entry)
            else:
                await self._evict(entry)
        except BookstoreError:
            pass  # kept in `entry.error`, reported, and tried again at `entry.retry_at`
        finally:
            entry.running = False
            if self._entries.get(entry.document) is entry:
                self._arm(entry)

    async def _evict(self, entry: Entry) -> None:
        async with entry.lock:
            if entry.pending:
                return
            if entry.users == 0:
                self._entries.pop(entry.document, None)
            # With a room open, its next update builds on what the bucket has.
            entry.asked = False
            entry.evicted = True
            entry.last_activity = self._now()
            if await self.buffer.evict(entry.id, keep=entry.users > 0):
                metrics.EVICTIONS.inc()

    def _count_persisted(self, entry: Entry, updates: int, size: int) -> None:
        updates, size = min(updates, entry.pending), min(size, entry.pending_bytes)
        entry.pending -= updates
        entry.pending_bytes -= size
        entry.first_pending = self._now()
        metrics.PENDING_UPDATES.dec(updates)
        metrics.PENDING_BYTES.dec(size)

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run something in the background, and log it if it fails."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("A background task of the archive failed.", exc_info=task.exception())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # -- trouble -------------------------------------------------------------------------------

    def _failed(self, entry: Entry, error: BookstoreError) -> None:
        entry.attempts += 1
        # "Full jitter", so that many documents and servers do not come back all at once.
        ceiling = min(RETRY_CAP, 0.5 * 2.0 ** min(entry.attempts, 10))
        entry.retry_at = self._now() + random.uniform(0.05, ceiling)
        metrics.CHECKPOINTS.labels("failed").inc()
        if isinstance(error, (BucketError, ConfigurationError)):
            self._note_error(error)
        elif str(error) != str(entry.error or ""):
            self.log.error("%s is not archived: %s", entry.document, error)
        entry.error = error

    def _worked(self, entry: Entry) -> None:
        entry.error, entry.attempts, entry.retry_at = None, 0, 0.0
        self._watched = 0

    def _note_error(self, error: BookstoreError) -> None:
        """The bucket cannot be used: say so once, and watch for it to come back."""
        metrics.S3_ERRORS.labels(type(error).__name__).inc()
        if type(error) is not type(self.error):
            self.log.error("Nothing is archived now, edits stay in the buffer. %s", error)
        if self.failing_since is None:
            self.failing_since = time.time()
        self.error = error
        if self._watch is None and not self._closing:
            self._watch = self.spawn(self._watch_bucket())

    async def check(self) -> bool:
        """See whether the bucket can be used, and note it in `error`. Never raises."""
        try:
            await self.archive.check()
        except BookstoreError as error:
            self._note_error(error)
            return False
        if self.error is not None:
            self.log.warning("The archive works again, in %s.", self.archive.bucket.where)
        self.error = self.failing_since = None
        for entry in self._entries.values():
            if entry.error is not None and isinstance(entry.error, BucketError):
                entry.retry_at = 0.0
                self._arm(entry)
        return True

    async def _watch_bucket(self) -> None:
        try:
            while True:
                self._watched += 1
                ceiling = min(RETRY_CAP, 2.0 ** min(self._watched, 10))
                await asyncio.sleep(random.uniform(0.5, ceiling))
                if await self.check():
                    return
        finally:
            self._watch = None

    def status(self) -> dict[str, Any]:
        """The state of the archive, of JSON types; times in seconds since the epoch."""
        pending = [entry for entry in self._entries.values() if entry.pending]
        failing = {
            str(entry.document): str(entry.error)
            for entry in self._entries.values()
            if entry.error is not None
        }
        if isinstance(self.error, ConfigurationError):
            state = "not configured"
        else:
            state = "retrying" if self.error is not None or failing else "ok"
        return {
            "status": state,
            "error": str(self.error) if self.error else None,
            "retrying_since": self.failing_since,
            "documents": len(self._entries),
            "pending_documents": len(pending),
            "pending_updates": sum(entry.pending for entry in pending),
            "pending_bytes": sum(entry.pending_bytes for entry in pending),
            "failing_documents": failing,
            "last_checkpoint": self.last_checkpoint,
            "buffer_bytes": self.buffer.size(),
        }

    # -- renames -------------------------------------------------------------------------------

    async def rename(self, source: str, target: str) -> None:
        """Follow the rename of a file or directory. The bucket follows as soon as it can."""
        # Everything here is at its new place before anybody else runs.
        noted = asyncio.Event()
        rename = Rename(0, source, target, [noted])
        moved = []
        for entry in list(self._entries.values()):
            path = _moved(entry.document.path, source, target)
            if path is not None:
                if entry.putting is not None:
                    rename.waits_for.append(entry.putting)
                del self._entries[entry.document]
                entry.document = Document(path, entry.document.type)
                moved.append(entry)
        for entry in moved:
            former = self._entries.get(entry.document)
            if former is not None:
                # What a former file of this name left goes to the bucket before this one does.
                self._disarm(former)
                self._displaced.append(former)
            self._entries[entry.document] = entry
        self._renames.append(rename)
        try:
            for entry in moved:
                await self.buffer.set_document(entry.id, entry.document)
            rename.id = await self.buffer.add_rename(source, target)
        finally:
            noted.set()
        self.spawn(self._retry_renames())

    async def _retry_renames(self) -> None:
        attempts = 0
        while self._renames or self._displaced:
            try:
                await self._follow_renames()
            except BookstoreError as error:
                if isinstance(error, (BucketError, ConfigurationError)):
                    self._note_error(error)
                attempts += 1
                await asyncio.sleep(random.uniform(0.1, min(RETRY_CAP, 2.0**attempts)))

    async def _follow_renames(self) -> None:
        """Bring the bucket to where the files are. Nothing is read or written under a new key
        before, or a document would be found missing there."""
        if not self._renames and not self._displaced:
            return
        async with self._renaming:
            while self._displaced:
                await self._checkpoint(self._displaced[0], follow=False)
                await self.buffer.evict(self._displaced.pop(0).id)
            while self._renames:
                await self._follow(self._renames[0])
                rename = self._renames.pop(0)
                await self.buffer.remove_rename(rename.id)

    async def _follow(self, rename: Rename) -> None:
        for event in rename.waits_for:
            await event.wait()
        for old in await self.archive.documents_under(rename.source):
            path = _moved(old.path, rename.source, rename.target) or rename.target
            new = Document(path, old.type)
            copied = await self.archive.rename(old, new)
            entry = self._entries.get(new)
            if copied is None or entry is None:
                continue
            # If another writer had the last word under the old name, the next checkpoint is to
            # meet its version, and merge with it.
            if copied.source_version_id == entry.facts.version_id:
                entry.facts.version_id, entry.facts.etag = copied.version_id, copied.etag
                await self.set_facts(entry)

    # -- deletions -----------------------------------------------------------------------------

    def delete(self, path: str) -> None:
        """Follow the deletion of a file or directory. The bucket follows as soon as it can, with
        delete markers; every version stays, the last state of the document among them."""
        for entry in self._entries.values():
            if _moved(entry.document.path, path, "") is not None:
                entry.deleted = True
        self._deleting[path] = self.spawn(self._delete(path))

    async def _delete(self, path: str) -> None:
        attempts = 0
        while True:
            try:
                await self._follow_deletion(path)
            except BookstoreError as error:
                self._note_error(error)
                attempts += 1
                await asyncio.sleep(random.uniform(0.1, min(RETRY_CAP, 2.0**attempts)))
            else:
                self._deleting.pop(path, None)
                return

    async def _follow_deletion(self, path: str) -> None:
        for entry in list(self._entries.values()):
            if _moved(entry.document.path, path, "") is not None:
                await self.checkpoint(entry)
        await self._follow_renames()
        for document in await self.archive.documents_under(path):
            deleted = self._entries.get(document)
            if deleted is None:
                await self.archive.delete(document)
                continue
            async with deleted.lock:
                await self.archive.delete(document)
                # Whoever still has it open starts a new run of versions with the next edit.
                deleted.facts.version_id = deleted.facts.etag = ""
                await self.set_facts(deleted)
            await self.forget(document)

    # -- shutdown ------------------------------------------------------------------------------

    async def flush(self, timeout: float) -> dict[str, str]:  # noqa: ASYNC109 - it returns what is left
        """Checkpoint all that is pending, trying again until `timeout` seconds have passed.

        Returns what could not be flushed, by name, with the reason.
        """
        deadline = self._now() + timeout

        async def settle(entry: Entry) -> None:
            while entry.pending and not self._is_replaced(entry):
                try:
                    await self.checkpoint(entry)
                except (ConfigurationError, SnapshotError):
                    return  # no trying again will mend it
                except BookstoreError:
                    await asyncio.sleep(random.uniform(0.05, 0.5))

        while True:
            # What arrives while this runs is flushed in another round.
            pending = [entry for entry in self._entries.values() if entry.pending]
            tasks = [self.spawn(settle(entry)) for entry in pending]
            tasks += self._deleting.values()
            if self._renames or self._displaced:
                tasks.append(self.spawn(self._retry_renames()))
            if not tasks:
                return {}
            _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - self._now()))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            still = [entry for entry in self._entries.values() if entry.pending]
            final = (ConfigurationError, SnapshotError)
            if late or (still and all(isinstance(entry.error, final) for entry in still)):
                return self._unflushed(f"no answer within {timeout:g} s")

    def _unflushed(self, reason: str) -> dict[str, str]:
        unflushed = {
            str(entry.document): str(entry.error or reason)
            for entry in [*self._entries.values(), *self._displaced]
            if entry.pending
        }
        for rename in self._renames:
            name = f"the rename of {rename.source} to {rename.target}"
            unflushed[name] = str(self.error or reason)
        for path in self._deleting:
            unflushed[f"the deletion of {path}"] = str(self.error or reason)
        return unflushed


def _fold_count(held: Held, policy: Policy) -> int:
    """How many of the oldest updates to fold into the base, to keep within the history window.

    Half the window is left, so that folding is done once in many checkpoints.
    """
    count, size = len(held.rows), sum(len(row.data) for row in held.rows)
    if count <= policy.history_updates and size <= policy.history_bytes:
        return 0
    fold = 0
    while fold < len(held.rows) and (
        count > policy.history_updates // 2 or size > policy.history_bytes // 2
    ):
        count -= 1
        size -= len(held.rows[fold].data)
        fold += 1
    return fold


def _moved(path: str, source: str, target: str) -> str | None:
    if path == source:
        return target
    if path.startswith(f"{source}/"):
        return target + path[len(source) :]
    return None


_leaving: set[asyncio.Task[None]] = set()

_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], Checkpointer]] = (
    WeakKeyDictionary()
)
