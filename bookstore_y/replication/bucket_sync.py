"""BucketSync: what goes between the buffer and the bucket, for one document at a time.

Squashing what is pending and saving it; having the buffer hold what the bucket has; merging what
others wrote into both, and into the live document.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pycrdt import Doc

from .. import metrics
from ..aio import run_in_thread_if_large, to_its_end
from ..archive.version import Snapshot, VersionMetadata, WriteResult, renamed_from, reset_of
from ..buffer.database import LARGEST_DOCUMENT
from ..buffer.records import BufferedDocument, Replaced, Row
from ..errors import (
    BookstoreError,
    BucketError,
    BucketUnavailable,
    ConfigurationError,
    CorruptSnapshot,
    DocumentNotFound,
    DocumentTooLarge,
    SnapshotError,
    VersionNotFound,
)
from ..ydoc.squash import Squashed, Watch, condense, squash, squash_buffered, squash_live, unusable
from ..ydoc.summary import StateSummary, lineage_of
from ..ydoc.updates import EMPTY_UPDATE, state_vector
from . import finding
from .document import DocumentState
from .live import Covering, Live
from .path_change import Whereabouts, of_document
from .schedule import Policy

if TYPE_CHECKING:
    from .checkpointer import Checkpointer


class BucketSync:
    """The exchange of one checkpointer's documents with the bucket.

    Whoever calls `checkpoint` or `ask` holds the entry's lock, if anybody else might.
    """

    def __init__(self, checkpointer: Checkpointer) -> None:
        self._checkpointer = checkpointer
        # What is being squashed is in memory several times, what is being written once or twice.
        self._squashing = asyncio.Semaphore(2)
        self._writing = asyncio.Semaphore(min(16, checkpointer.settings.max_threads))

    def use_all_threads(self) -> None:
        """From now on, as many documents are written at once as there may be requests: the
        process is to end, and each wave takes as long as a request does."""
        self._writing = asyncio.Semaphore(self._checkpointer.settings.max_threads)

    async def checkpoint(
        self, entry: DocumentState, follow: bool = True, *, replaced: bool = False
    ) -> WriteResult | None:
        """Write what is pending as a new version; with `replaced`, only what was replaced.
        Without `follow`, under the name that the document had before the renames and deletions
        that the bucket has not followed."""
        cp = self._checkpointer
        saved: WriteResult | None = None
        while True:
            if follow:
                await cp.path_changes.follow(entry.document.path)
            if not entry.pending or (follow and self.is_replaced(entry)):
                return saved
            if replaced and entry.checkpoint_through is None:
                return saved
            cp.settings.require_bucket()
            self.note_authors(entry)
            if not entry.synced:
                held = await cp.buffer.read(entry.id)
                if held.base is None:
                    await self.ask(entry, held, follow)
            fence = entry.checkpoint_through
            async with entry.writing, self._writing:
                written, latest = await self._write(entry, follow)
            saved = latest or saved
            if written:
                cp.release()
            if written and fence is None:
                return saved

    async def _write(self, entry: DocumentState, follow: bool) -> tuple[bool, WriteResult | None]:
        """Squash and save. False when a file was moved meanwhile, which is to be followed first,
        or when something was replaced, which is to be a version first."""
        cp = self._checkpointer
        started = time.perf_counter()
        counted = entry.pending, entry.pending_bytes
        fence = entry.checkpoint_through
        async with self._squashing:
            covering, held, squashed = await self._of_live(entry) or await self._squash(
                entry, fence
            )
        pending = held.pending
        if not pending:
            if fence is None:
                cp.count_persisted(entry, *counted)  # all of them are, whatever was counted
            else:
                self._tell_replaced(entry, entry.passed(fence))  # the version is there already
                await cp.set_facts(entry)
            return True, None
        # No wait between this and the note that a PUT is under way: a move waits for that.
        moved = follow and cp.path_changes.holds_up(entry.document.path)
        if moved or entry.checkpoint_through != fence:
            return False, None
        authors, entry.authors = entry.authors, set()
        origin = ""
        if fence is None:  # the origin is that of what comes after a fence
            origin, entry.origin = entry.origin, ""
        saved = None
        noted = squashed.changed and not squashed.edited and _is_archived(entry)
        if noted:
            entry.facts.noted = True
        elif squashed.changed:
            try:
                saved = await self._save(entry, held, squashed, authors, origin, follow)
            except BaseException:
                entry.authors |= authors
                entry.origin = entry.origin or origin
                raise
        # What the bucket has acknowledged is to be known here, whoever cancels.
        await to_its_end(self._note(entry, held, saved, fence))
        if covering is None:  # which may hold what is on its way to the buffer, and may not arrive
            entry.state = squashed.footprint.state
        if squashed.complete and not (saved is not None and saved.merged):
            entry.live_baseline = covering or await self._covering(entry, squashed.footprint)
        written = saved is not None and saved.written
        metrics.CHECKPOINTS.labels("written" if written else "unchanged").inc()
        if saved is not None and written:
            metrics.CHECKPOINT_SECONDS.observe(time.perf_counter() - started)
            metrics.CHECKPOINT_BYTES.inc(len(saved.update))
            cp.last_checkpoint = time.time()
        return True, saved

    async def _note(
        self,
        entry: DocumentState,
        held: BufferedDocument,
        saved: WriteResult | None,
        fence: int | None,
    ) -> None:
        cp = self._checkpointer
        pending = held.pending
        last = pending[-1].seq
        replaced = entry.passed(last if fence is None else fence)
        base = None
        if saved is not None and saved.merged:
            # The buffer has to hold what others wrote, or the next checkpoint would drop it.
            base = Row(last, saved.update, b"", time.time())
        entry.live_baseline = None
        await cp.buffer.mark_persisted(entry.id, last, entry.facts, base)
        cp.pending_file.forget(entry.id, last)
        cp.count_persisted(entry, len(pending), sum(len(row.data) for row in pending))
        if saved is not None:
            self._deliver(entry, saved.merged)
        self._tell_replaced(entry, replaced)

    def _tell_replaced(self, entry: DocumentState, replaced: list[Replaced]) -> None:
        cp = self._checkpointer
        if any(each.by_file for each in replaced) and entry.facts.version_id:
            cp.log.warning(
                "The file %s was changed by other means while it was open, and its content is now "
                "that of the document. What it replaced is version %s of %r.",
                entry.document.path,
                entry.facts.version_id,
                cp.archive.key(entry.document),
            )
            entry.origin = entry.origin or reset_of(entry.facts.version_id)

    def take_merged(self, entry: DocumentState, updates: Iterable[bytes]) -> None:
        """Take in what others had written, which a version has that was just written here."""
        for update in updates:
            self._checkpointer.append(entry, update, b"", time.time())
            self._deliver(entry, [update])

    async def _covering(self, entry: DocumentState, archived: StateSummary) -> Covering | None:
        """A live document that has all of what was archived."""
        for live in entry.live:
            if not live.is_ready():
                continue
            try:
                seen, mark = live.footprint(), live.mark()
            except CorruptSnapshot:
                continue
            if await run_in_thread_if_large(len(seen.deletions), seen.covers, archived):
                same = await run_in_thread_if_large(len(seen.deletions), seen.same, archived)
                return Covering(live, archived, mark if same else None)
        return None

    async def condense(self, entry: DocumentState) -> None:
        """Squash what the buffer holds of a document: what is pending, and what is not."""
        cp = self._checkpointer
        async with entry.lock:
            held = await cp.buffer.read(entry.id)
            pending = held.pending
            if not pending or entry.checkpoint_through is not None:
                return
            base = held.base.data if held.base else None
            known = [row.data for row in held.rows if row.seq <= held.persisted]
            data = [row.data for row in pending]
            whole, update = await asyncio.to_thread(condense, base, known, data)
            first, last = pending[0].seq, pending[-1].seq
            await cp.buffer.condense(entry.id, whole if known else None, update, first, last)
            await cp.buffer.vacuum()
            size = sum(map(len, data))
            cp.count_persisted(entry, len(pending) - 1, size - len(update))

    def is_replaced(self, entry: DocumentState) -> bool:
        """Whether another document has the place of this one, whose file is gone."""
        cp = self._checkpointer
        return entry.deleted and cp.entries.get(entry.document) is not entry

    async def fold(self, entry: DocumentState) -> None:
        """Keep what the buffer holds of a document within its history window: the oldest updates
        become part of the base."""
        cp = self._checkpointer
        async with entry.lock, entry.writing:
            held = await cp.buffer.read(entry.id)
            rows = [row for row in _oldest(held.rows, entry.policy) if row.seq <= held.persisted]
            if not rows:
                return
            older = [] if held.base is None else [held.base.data]
            base = await asyncio.to_thread(squash, older + [row.data for row in rows])
            last = rows[-1]
            folded = Row(last.seq, base, last.metadata, last.timestamp)
            await cp.buffer.mark_persisted(entry.id, last.seq, entry.facts, folded)
            entry.state = await run_in_thread_if_large(len(base), state_vector, base)

    def _bound(self, entry: DocumentState, count: int, size: int) -> None:
        if _are_too_many(count, size, entry.policy):
            self._checkpointer.spawn(self.fold(entry))  # when what is under way is done

    async def _of_live(
        self, entry: DocumentState
    ) -> tuple[Covering, BufferedDocument, Squashed] | None:
        """What is pending, from a live document, which spares decoding what is archived. None if
        there is none that has it all."""
        if (
            entry.live_baseline is None
            or entry.checkpoint_through is not None
            or not entry.facts.lineage
        ):
            return None
        covering = entry.live_baseline
        live, before = covering.live, covering.footprint
        held = await self._checkpointer.buffer.read_pending(entry.id)
        self._bound(entry, held.count, held.size)
        # Others may have written meanwhile, and the document may have been closed.
        still = entry.live_baseline is covering and live in entry.live and live.is_ready()
        if not (held.rows and still) or entry.checkpoint_through is not None:
            return None
        pending = [row.data for row in held.rows]
        if covering.mark is None and _may_be_notes(pending) and live.edits is not None:
            return None  # whether there is an edit among them is seen when they are decoded
        try:
            # In one go: it must not change between.
            after, whole, mark = live.footprint(), live.whole(), live.mark()
            edited = live.is_edited_since(covering.mark)
            squashed = await run_in_thread_if_large(
                len(whole), squash_live, before, after, whole, pending
            )
        except CorruptSnapshot:
            return None  # with the rest, each is looked at by itself
        if squashed is None:
            return None
        return Covering(live, after, mark), held, replace(squashed, edited=edited)

    async def _squash(
        self, entry: DocumentState, fence: int | None
    ) -> tuple[None, BufferedDocument, Squashed]:
        """Squash what is held, up to the fence, after setting aside what cannot be."""
        cp = self._checkpointer
        while True:
            held = await cp.buffer.read(entry.id)
            self._bound(entry, len(held.rows), sum(len(row.data) for row in held.rows))
            held = held if fence is None else held.until(fence)
            base = held.base.data if held.base else None
            known = [row.data for row in held.rows if row.seq <= held.persisted]
            pending = [row.data for row in held.pending]
            if not pending:
                nothing = StateSummary(entry.state, EMPTY_UPDATE)
                return None, held, Squashed(EMPTY_UPDATE, nothing, changed=False)
            try:
                watch = _watch(entry.document.type)
                return (
                    None,
                    held,
                    await asyncio.to_thread(squash_buffered, base, known, pending, watch),
                )
            except CorruptSnapshot as error:
                indices = await asyncio.to_thread(unusable, base, [*known, *pending])
                rejected = [row for at, row in enumerate(held.rows) if at in indices]
                if not rejected:
                    raise
                await cp.buffer.reject(entry.id, [row.seq for row in rejected])
                cp.count_persisted(
                    entry,
                    sum(row.seq > held.persisted for row in rejected),
                    sum(len(row.data) for row in rejected if row.seq > held.persisted),
                )
                cp.log.error(  # noqa: TRY400 - the sentence is what counts
                    "%d updates of %s cannot be applied and were set aside in the buffer; the "
                    "others are archived. %s",
                    len(rejected),
                    entry.document,
                    error,
                )

    async def _save(
        self,
        entry: DocumentState,
        held: BufferedDocument,
        squashed: Squashed,
        authors: set[str],
        origin: str,
        follow: bool,
    ) -> WriteResult:
        cp = self._checkpointer
        facts = entry.facts
        if not facts.lineage:
            facts.lineage = lineage_of(held.updates()[0])
        spot = of_document(entry.document)
        # Without `follow` it is what a change is of, and not what takes its place.
        replaced = cp.path_changes.replaced(spot) if follow and not facts.version_id else None
        former = cp.path_changes.renamed_from(entry) if follow else None
        entry.putting = asyncio.Event()  # no other can be under way: `entry.writing` is held
        try:
            saved = await cp.archive.save(
                entry.document,
                squashed.update,
                VersionMetadata(
                    lineage=facts.lineage,
                    parent="" if facts.deleted else facts.version_id,
                    updates=len(held.pending),
                    authors=tuple(sorted(authors)),
                    origin=origin or (renamed_from(former) if former else "checkpoint"),
                    file_id=facts.file_id,
                    former_file_id=facts.former_file_id,
                    file_hashes=facts.file_states(),
                ),
                parent_etag="" if former else replaced.etag if replaced else facts.etag,
                instead_of=replaced.version_id if replaced else "",
            )
        finally:
            entry.putting.set()
            entry.putting = None
        facts.version_id, facts.etag, facts.deleted = saved.version_id, saved.etag, False
        facts.noted = False
        if follow and cp.path_changes.waiting:
            await cp.path_changes.wrote(spot, entry, held.pending[-1].seq)
        entry.pulled_at = time.monotonic()
        return saved

    async def ask(
        self, entry: DocumentState, held: BufferedDocument, follow: bool = True
    ) -> BufferedDocument:
        """Have the buffer hold what the bucket has of a document."""
        held, taking_in = await self.find(entry, held, follow)
        if taking_in is not None:
            await to_its_end(taking_in())
        return held

    async def find(
        self, entry: DocumentState, held: BufferedDocument, follow: bool = True
    ) -> tuple[BufferedDocument, Callable[[], Coroutine[Any, Any, None]] | None]:
        """All that the buffer and the bucket have of a document; and what is to be done, with the
        entry's lock held, for the buffer to hold all of it, where it does not."""
        cp = self._checkpointer
        facts = entry.facts
        try:
            snapshot = await self._newer(entry, held, follow)
        except DocumentNotFound:
            await self._begin(entry)
            return await cp.buffer.read(entry.id), None
        except SnapshotError:
            if not self._take_whole(entry):
                raise
            entry.synced = True
            return await cp.buffer.read(entry.id), None
        except (BucketError, ConfigurationError) as error:
            cp.health.note(error)
            if not (follow and self._goes_on_without(entry, error)):
                raise
            return await cp.buffer.read(entry.id), None
        if snapshot is None:
            entry.synced = True
            return await cp.buffer.read(entry.id), None
        theirs = snapshot.facts
        if facts.lineage not in ("", theirs.lineage) and await self._goes_on_apart(entry):
            return await cp.buffer.read(entry.id), None
        if follow:
            for update in await cp.archive.writer.unmerged(entry.document, snapshot):
                cp.append(entry, update, b"", time.time())
                self._deliver(entry, [update])
        base, state = snapshot.update, snapshot.state
        if held.base is not None:
            base = await asyncio.to_thread(squash, [held.base.data, base])
            state = await run_in_thread_if_large(len(base), state_vector, base)
        if len(base) > LARGEST_DOCUMENT:
            raise DocumentTooLarge(
                f"{entry.document} takes {len(base)} bytes, and one that is open may take "
                f"{LARGEST_DOCUMENT}; clone a version of it to a file, and split that."
            )
        entry.state = state
        facts.lineage = theirs.lineage
        facts.learn_of_file(theirs.file_id, theirs.file_hashes)
        if held.base is None:
            # Until it has, and after a crash, what it holds is not to be taken for the document.
            # With a base it holds an older one, whose version is replaced together with it.
            entry.evicted = True
            facts.version_id, facts.etag = snapshot.version_id, snapshot.etag
            await cp.set_facts(entry)
        # Last of all, since others may be writing to the document.
        rows = await cp.buffer.read(entry.id, base=False)
        whole = replace(rows, base=Row(0, base, b"", snapshot.last_modified.timestamp()))
        return whole, partial(self._take_in, entry, list(entry.live), snapshot, base)

    def _goes_on_without(self, entry: DocumentState, error: BookstoreError) -> bool:
        """Buffer the live document, if what it builds on has not gone on under its new name, and
        cannot be read: all of it is archived anew then."""
        version_id = entry.facts.version_id
        away = isinstance(error, (BucketUnavailable, ConfigurationError))
        if away or self._checkpointer.path_changes.renamed_from(entry) is None:
            return False
        if not self._take_whole(entry):
            return False
        entry.facts.version_id = version_id
        entry.synced = True
        return True

    async def _newer(
        self, entry: DocumentState, held: BufferedDocument, follow: bool
    ) -> Snapshot | None:
        """The current version; None if the buffer holds it. Raises like `Archive.load_snapshot`."""
        cp = self._checkpointer
        while True:
            if follow:
                await cp.path_changes.follow(entry.document.path)
            document, known, renames = entry.document, entry.facts.version_id, entry.renames
            places = cp.path_changes.whereabouts(document) if follow else [Whereabouts(document)]
            try:
                if held.base and known and await finding.is_current(cp.archive, places, known):
                    return None
                snapshot = await finding.load(cp.archive, places)
            except DocumentNotFound:
                if not follow or entry.renames == renames:
                    raise
            else:
                if not follow or entry.renames == renames:
                    return snapshot
            # It was renamed on the way: under its former name there is nothing now, or another.

    async def _begin(self, entry: DocumentState) -> None:
        """Go on with a document that the bucket does not have, or has no more."""
        cp, facts = self._checkpointer, entry.facts
        held = await cp.buffer.read(entry.id)
        if not self._take_whole(entry):
            if held.rows and not is_whole(entry, held):
                await self._build_on_own(entry)
            elif held.empty and not entry.live:
                # It begins here, whatever the bucket once had under that name.
                facts.lineage = facts.version_id = facts.etag = ""
                facts.has_full_history = True
                await cp.set_facts(entry)
            elif not (entry.evicted or facts.has_full_history or facts.version_id):
                facts.has_full_history = True
                await cp.set_facts(entry)
        entry.synced, entry.evicted = True, False

    async def _goes_on_apart(self, entry: DocumentState) -> bool:
        """Whether a document has a history of its own, while another one is current in the bucket.
        What it builds on is a version of its own then, unless it was begun while the bucket was
        away."""
        cp = self._checkpointer
        held = await cp.buffer.read(entry.id)
        if held.empty and not (entry.facts.version_id or entry.live):
            return False  # nothing was ever kept of it
        if entry.facts.version_id and not is_whole(entry, held):
            if not await self._build_on_own(entry):
                self._take_whole(entry)
            entry.evicted = False
        entry.synced = True
        return True

    async def _build_on_own(self, entry: DocumentState) -> bool:
        """Have the buffer hold the version that the document builds on, though it is not current.
        False if there is none any more."""
        cp, facts = self._checkpointer, entry.facts
        try:
            own = await cp.archive.load_snapshot(entry.document, facts.version_id)
        except (VersionNotFound, DocumentNotFound, SnapshotError) as error:  # expired, say
            cp.log.warning("What the last edits of %s build on is gone. %s", entry.document, error)
            return False
        if facts.lineage not in ("", own.facts.lineage):
            return False  # they would double each other
        at = own.last_modified.timestamp()
        await cp.buffer.set_base(entry.id, own.update, at, facts)
        return True

    async def _take_in(
        self, entry: DocumentState, behind: list[Live], snapshot: Snapshot, base: bytes
    ) -> None:
        """Have the buffer build on a version of the bucket. Until it does, nothing else may: the
        next checkpoint would write over what it does not hold."""
        async with entry.writing:
            entry.live_baseline = None
            await self._set_base(entry, snapshot, base)
        entry.synced, entry.evicted = True, False
        entry.pulled_at = time.monotonic()
        # After an eviction, others may have written what these do not have.
        for live in behind:
            if live in entry.live:
                live.deliver(snapshot.update)

    async def _set_base(self, entry: DocumentState, snapshot: Snapshot, base: bytes) -> None:
        version_id, etag = snapshot.version_id, snapshot.etag
        known = replace(entry.facts, version_id=version_id, etag=etag)
        at = snapshot.last_modified.timestamp()
        await self._checkpointer.buffer.set_base(entry.id, base, at, known)
        entry.facts.version_id, entry.facts.etag = version_id, etag

    def _take_whole(self, entry: DocumentState) -> bool:
        """Buffer the live document, if it was evicted: what the bucket had of it is gone, or has
        been overwritten by what cannot be read."""
        cp = self._checkpointer
        if not (entry.evicted and entry.live):
            return False
        entry.evicted, entry.live_baseline = False, None
        entry.facts.version_id = entry.facts.etag = ""
        for live in entry.live:
            cp.append(entry, live.whole(), b"", time.time())
        return True

    def _deliver(self, entry: DocumentState, updates: Iterable[bytes]) -> None:
        for update in updates:
            for live in entry.live:
                live.deliver(update)

    def note_authors(self, entry: DocumentState) -> None:
        """Those who are in the document's rooms now have a part in its next version."""
        entry.authors.update(self._checkpointer.authors_of(entry))

    async def look(self, entry: DocumentState) -> None:
        """Apply to the live document what others have written to it, if they have."""
        cp = self._checkpointer
        async with entry.lock:
            entry.pulled_at = time.monotonic()
            known = entry.facts.version_id
            if not entry.live:
                return
            try:
                places = cp.path_changes.whereabouts(entry.document)
                if known and not await finding.is_current(cp.archive, places, known):
                    await self.ask(entry, await cp.buffer.read(entry.id))
                if not entry.attempts and entry.error is not None:  # it was this that had failed
                    entry.error = None
                    cp.changed()
            except DocumentNotFound:
                pass  # deleted; an edit brings it back
            except BucketError as error:
                cp.health.note(error)
            except SnapshotError as error:
                if str(error) != str(entry.error):
                    cp.log.warning(
                        "What others may have written to %s cannot be read. %s",
                        entry.document,
                        error,
                    )
                entry.error = error


def _is_archived(entry: DocumentState) -> bool:
    """Whether the bucket has a version of it that is current, as far as is known."""
    return bool(entry.facts.version_id) and not (entry.facts.deleted or entry.deleted)


def _may_be_notes(updates: Sequence[bytes]) -> bool:
    """Whether so few and so small updates may be what a room notes, and nothing else."""
    return len(updates) <= _NOTES and sum(map(len, updates)) <= _NOTES * _NOTE_BYTES


_NOTES, _NOTE_BYTES = 8, 1024


def _watch(type: str | None) -> Watch | None:
    if type is None:
        return None  # it was never in a room

    def watch(doc: Doc[Any]) -> Callable[[], bool]:
        from ..ydoc import content  # jupyter_ydoc is slow to import

        return content.watch(type, doc)

    return watch


def is_whole(entry: DocumentState, held: BufferedDocument) -> bool:
    """Whether the buffer holds a document from its beginning: a snapshot of it, or all of what
    the bucket never had any of."""
    begun_here = entry.facts.has_full_history or not entry.facts.version_id
    return held.base is not None or (bool(held.rows) and begun_here)


def _are_too_many(count: int, size: int, policy: Policy) -> bool:
    return count > policy.history_updates or size > policy.history_bytes


def _oldest(rows: list[Row], policy: Policy) -> list[Row]:
    """Those to fold into the base, to keep within the history window.

    Half the window is left, so that folding is done once in many checkpoints.
    """
    count, size = len(rows), sum(len(row.data) for row in rows)
    if not _are_too_many(count, size, policy):
        return []
    fold = 0
    while fold < len(rows) and (
        count > policy.history_updates // 2 or size > policy.history_bytes // 2
    ):
        count -= 1
        size -= len(rows[fold].data)
        fold += 1
    return rows[:fold]
