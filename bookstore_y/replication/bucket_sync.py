"""BucketSync: what goes between the buffer and the bucket, for one document at a time.

Squashing what is pending and saving it; having the buffer hold what the bucket has; merging what
others wrote into both, and into the live document.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
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
from .document import DocumentState, Put
from .document_view import Base, Name, Trouble
from .live import Covering, Live
from .path_change import Whereabouts, of_document
from .schedule import Policy

if TYPE_CHECKING:
    from .checkpointer import Checkpointer


@dataclass(frozen=True)
class Loading:
    """A base that is on its way to the buffer. The document's `writing` is held until `close`."""

    run: Callable[[], Coroutine[Any, Any, None]]
    close: Callable[[], None]


class BucketSync:
    """The exchange of one checkpointer's documents with the bucket.

    Whoever calls `checkpoint` holds the document's `lock`, unless it is a path change that calls,
    for which that holder may be waiting. `DocumentState` says what the locks protect.
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
            if not entry.pending or (follow and entry.name is Name.DISPLACED):
                return saved
            if replaced and entry.checkpoint_through is None:
                return saved
            cp.settings.require_bucket()
            entry.credits.joined(cp.authors_of(entry))
            if entry.needs_base:
                await self.ask(entry, follow)
            fence = entry.checkpoint_through
            async with entry.writing, self._writing:
                if entry.needs_base:
                    continue  # it was evicted meanwhile
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
        if not held.pending:
            if fence is None:
                entry.persisted(*counted, time.monotonic())  # all are, whatever was counted
            else:
                self._tell_replaced(entry, entry.passed(fence))  # the version is there already
                await cp.buffer.set_facts(entry.id, entry.facts)
            return True, None
        # No wait between this and the note that a PUT is under way: a move waits for that.
        moved = follow and cp.path_changes.holds_up(entry.document.path)
        if moved or entry.checkpoint_through != fence:
            return False, None
        saved = None
        with entry.put_started(through=fence) as put:
            if squashed.changed and not squashed.edited and entry.is_archived:
                put.noted_only()
            elif squashed.changed:
                saved = await self._save(entry, put, held, squashed, follow)
            # What the bucket has acknowledged is to be known here, whoever cancels.
            await to_its_end(self._note(entry, held, saved, fence))
            # A live document may hold what is on its way to the buffer, and may not arrive.
            state = squashed.footprint.state if covering is None else None
            if squashed.complete and not (saved is not None and saved.merged):
                covering = covering or await self._covering(entry, squashed.footprint)
                entry.covered_by(covering, state)
            else:
                entry.covered_by(None, state)
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
        entry.covered_by(None)
        await cp.buffer.mark_persisted(entry.id, last, entry.facts, base)
        cp.pending_file.forget(entry.id, last)
        size = sum(len(row.data) for row in pending)
        entry.persisted(len(pending), size, time.monotonic(), has_base=base is not None)
        if saved is not None:
            self._deliver(entry, saved.merged)
        self._tell_replaced(entry, replaced)

    def _tell_replaced(self, entry: DocumentState, replaced: list[Replaced]) -> None:
        cp = self._checkpointer
        if any(each.by_file for each in replaced) and entry.facts.version_id:
            cp.log.warning(
                "Another program changed the file %s while it was open, and the document now "
                "has the file's content. The replaced content is version %s of %r.",
                entry.document.path,
                entry.facts.version_id,
                cp.archive.key(entry.document),
            )
            entry.credits.made_by(reset_of(entry.facts.version_id), unless_said=True)

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
            entry.counted(1 - len(pending), len(update) - size)

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
            entry.base_folded(await run_in_thread_if_large(len(base), state_vector, base))

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
                nothing = StateSummary(entry.state_vector, EMPTY_UPDATE)
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
                sizes = [len(row.data) for row in rejected if row.seq > held.persisted]
                entry.counted(-len(sizes), -sum(sizes))
                cp.log.error(  # noqa: TRY400 - the sentence is what counts
                    "%d updates of %s cannot be applied and were set aside in the buffer; the "
                    "other updates are archived. %s",
                    len(rejected),
                    entry.document,
                    error,
                )

    async def _save(
        self,
        entry: DocumentState,
        put: Put,
        held: BufferedDocument,
        squashed: Squashed,
        follow: bool,
    ) -> WriteResult:
        cp = self._checkpointer
        if not entry.facts.lineage:
            entry.lineage_is(lineage_of(held.updates()[0]))
        facts = entry.facts
        spot = of_document(entry.document)
        # Without `follow` it is what a change is of, and not what takes its place.
        replaced = cp.path_changes.replaced(spot) if follow and not facts.version_id else None
        former = cp.path_changes.renamed_from(entry) if follow else None
        saved = await cp.archive.save(
            entry.document,
            squashed.update,
            VersionMetadata(
                lineage=facts.lineage,
                parent="" if facts.deleted else facts.version_id,
                updates=len(held.pending),
                authors=put.authors,
                origin=put.origin or (renamed_from(former) if former else "checkpoint"),
                file_id=facts.file_id,
                former_file_id=facts.former_file_id,
                file_hashes=facts.file_states(),
            ),
            parent_etag="" if former else replaced.etag if replaced else facts.etag,
            instead_of=replaced.version_id if replaced else "",
        )
        put.acknowledged(saved.version_id, saved.etag, time.monotonic())
        if follow and cp.path_changes.waiting:
            await cp.path_changes.wrote(spot, entry, held.pending[-1].seq)
        return saved

    async def ask(self, entry: DocumentState, follow: bool = True) -> None:
        """Have the buffer hold what the bucket has of a document."""
        held = await self._checkpointer.buffer.read(entry.id)
        _, loading = await self.find(entry, held, follow)
        if loading is not None:
            try:
                await to_its_end(loading.run())
            finally:
                loading.close()

    async def find(
        self, entry: DocumentState, held: BufferedDocument, follow: bool = True
    ) -> tuple[BufferedDocument, Loading | None]:
        """All that the buffer and the bucket have of a document; and what is to be done for the
        buffer to hold all of it, where it does not."""
        cp = self._checkpointer
        while True:
            generation = entry.generation
            answer = await self._answer(entry, held, follow)
            await entry.writing.acquire()
            with contextlib.ExitStack() as locked:
                locked.callback(entry.writing.release)
                if entry.generation != generation:  # the answer may be about what was before
                    held = await cp.buffer.read(entry.id)
                    continue
                if isinstance(answer, Snapshot):
                    apart = entry.facts.lineage not in ("", answer.facts.lineage)
                    if not (apart and await self._goes_on_apart(entry)):
                        found, run = await self._found(entry, held, answer, follow)
                        locked.enter_context(entry.loading())
                        return found, Loading(run, locked.pop_all().close)
                elif answer is None:
                    entry.confirmed()
                elif isinstance(answer, DocumentNotFound):
                    await self._begin(entry)
                elif not await self._take_whole(
                    entry, keep_version=not isinstance(answer, SnapshotError)
                ):
                    raise answer
                return await cp.buffer.read(entry.id), None

    async def _answer(
        self, entry: DocumentState, held: BufferedDocument, follow: bool
    ) -> Snapshot | BookstoreError | None:
        """The current version; None if the buffer holds it; or why there is none, if the document
        can go on without. Raises what keeps the bucket from being asked."""
        try:
            return await self._newer(entry, held, follow)
        except (DocumentNotFound, SnapshotError) as error:
            return error
        except (BucketError, ConfigurationError) as error:
            self._checkpointer.health.note(error)
            if not (follow and self._may_go_on_without(entry, error)):
                raise
            return error

    async def _found(
        self, entry: DocumentState, held: BufferedDocument, snapshot: Snapshot, follow: bool
    ) -> tuple[BufferedDocument, Callable[[], Coroutine[Any, Any, None]]]:
        """What there is of a document with a version that the buffer does not hold; and what has
        the buffer hold it."""
        cp = self._checkpointer
        if follow:
            for update in await cp.archive.unmerged(entry.document, snapshot):
                cp.append(entry, update, b"", time.time())
                self._deliver(entry, [update])
        base, state = snapshot.update, snapshot.state
        if held.base is not None:
            base = await asyncio.to_thread(squash, [held.base.data, base])
            state = await run_in_thread_if_large(len(base), state_vector, base)
        if len(base) > LARGEST_DOCUMENT:
            raise DocumentTooLarge(
                f"{entry.document} has {len(base)} bytes, more than the {LARGEST_DOCUMENT} that "
                "an open document may have; clone a version to a file and split it."
            )
        entry.base_found(snapshot, state, has_rows=bool(held.rows))
        if not entry.has_base:
            await cp.buffer.set_facts(entry.id, entry.facts)
        # Last of all, since others may be writing to the document.
        rows = await cp.buffer.read(entry.id, base=False)
        whole = replace(rows, base=Row(0, base, b"", snapshot.last_modified.timestamp()))
        return whole, partial(self._take_in, entry, entry.live, snapshot, base)

    def _may_go_on_without(self, entry: DocumentState, error: BookstoreError) -> bool:
        """Whether what a document builds on has not gone on under its new name, and cannot be
        read: all of the live document is archived anew then."""
        away = isinstance(error, (BucketUnavailable, ConfigurationError))
        return not away and self._checkpointer.path_changes.renamed_from(entry) is not None

    async def _newer(
        self, entry: DocumentState, held: BufferedDocument, follow: bool
    ) -> Snapshot | None:
        """The current version; None if the buffer holds it. Raises like `Archive.load_snapshot`."""
        cp = self._checkpointer
        while True:
            if follow:
                await cp.path_changes.follow(entry.document.path)
            document, known = entry.document, entry.facts.version_id
            generation = entry.generation
            places = cp.path_changes.whereabouts(document) if follow else [Whereabouts(document)]
            try:
                if held.base and known and await finding.is_current(cp.archive, places, known):
                    return None
                snapshot = await finding.load(cp.archive, places)
            except DocumentNotFound:
                if not follow or entry.generation == generation:
                    raise
            else:
                if not follow or entry.generation == generation:
                    return snapshot
            # It was renamed on the way: under its former name there is nothing now, or another.

    async def _begin(self, entry: DocumentState) -> None:
        """Go on with a document that the bucket does not have, or has no more."""
        cp = self._checkpointer
        held = await cp.buffer.read(entry.id)
        if await self._take_whole(entry):
            return
        if held.rows and not is_whole(entry, held):
            entry.confirmed(orphaned=not await self._build_on_own(entry))
        elif held.empty and not entry.live:
            entry.begun_here(anew=True)
        elif entry.base is not Base.BUCKET_ONLY and not entry.facts.version_id:
            entry.begun_here(anew=False)
        else:
            entry.confirmed()
        await cp.buffer.set_facts(entry.id, entry.facts)

    async def _goes_on_apart(self, entry: DocumentState) -> bool:
        """Whether a document has a history of its own, while another one is current in the bucket.
        What it builds on is a version of its own then, unless it was begun while the bucket was
        away."""
        cp = self._checkpointer
        held = await cp.buffer.read(entry.id)
        if held.empty and not (entry.facts.version_id or entry.live):
            return False  # nothing was ever kept of it
        if not entry.facts.version_id:
            entry.begun_here(anew=False)
            await cp.buffer.set_facts(entry.id, entry.facts)
        elif is_whole(entry, held) or await self._build_on_own(entry):
            entry.confirmed()
        elif not await self._take_whole(entry):
            entry.confirmed(orphaned=True)
        return True

    async def _build_on_own(self, entry: DocumentState) -> bool:
        """Have the buffer hold the version that the document builds on, though it is not current.
        False if there is none any more."""
        cp, facts = self._checkpointer, entry.facts
        try:
            own = await cp.archive.load_snapshot(entry.document, facts.version_id)
        except (VersionNotFound, DocumentNotFound, SnapshotError) as error:  # expired, say
            cp.log.warning(
                "The version that the last edits of %s build on is gone. %s", entry.document, error
            )
            return False
        if facts.lineage not in ("", own.facts.lineage):
            return False  # they would double each other
        at = own.last_modified.timestamp()
        await cp.buffer.set_base(entry.id, own.update, at, facts)
        entry.base_loaded(facts.version_id, facts.etag)
        return True

    async def _take_in(
        self, entry: DocumentState, behind: Sequence[Live], snapshot: Snapshot, base: bytes
    ) -> None:
        """Have the buffer build on a version of the bucket. Until it does, nothing else may: the
        next checkpoint would write over what it does not hold."""
        cp = self._checkpointer
        version_id, etag, at = snapshot.version_id, snapshot.etag, snapshot.last_modified
        written = entry.with_version(version_id, etag)
        await cp.buffer.set_base(entry.id, base, at.timestamp(), written)
        entry.base_loaded(version_id, etag, time.monotonic())
        if entry.facts != written:  # something else of it was noted meanwhile
            await cp.buffer.set_facts(entry.id, entry.facts)
        # After an eviction, others may have written what these do not have.
        for live in behind:
            if live in entry.live:
                live.deliver(snapshot.update)

    async def _take_whole(self, entry: DocumentState, *, keep_version: bool = False) -> bool:
        """Buffer the live document, if it was evicted: what the bucket had of it is gone, or has
        been overwritten by what cannot be read."""
        cp = self._checkpointer
        if entry.base is not Base.BUCKET_ONLY or not entry.live:
            return False
        wholes = [live.whole() for live in entry.live]
        entry.rebuilt_from_live(keep_version=keep_version)
        for whole in wholes:
            cp.append(entry, whole, b"", time.time())
        await cp.buffer.set_facts(entry.id, entry.facts)
        return True

    def _deliver(self, entry: DocumentState, updates: Iterable[bytes]) -> None:
        for update in updates:
            for live in entry.live:
                live.deliver(update)

    async def look(self, entry: DocumentState) -> None:
        """Apply to the live document what others have written to it, if they have."""
        cp = self._checkpointer
        async with entry.lock:
            entry.pulled(time.monotonic())
            known = entry.facts.version_id
            if not entry.live:
                return
            try:
                places = cp.path_changes.whereabouts(entry.document)
                if known and not await finding.is_current(cp.archive, places, known):
                    await self.ask(entry)
                if not entry.attempts and entry.error is not None:  # it was this that had failed
                    entry.in_trouble(None)
                    cp.changed()
            except DocumentNotFound:
                pass  # deleted; an edit brings it back
            except BucketError as error:
                cp.health.note(error)
            except SnapshotError as error:
                if str(error) != str(entry.error):
                    cp.log.warning(
                        "Changes that other servers may have made to %s cannot be read. %s",
                        entry.document,
                        error,
                    )
                before = entry.trouble or Trouble(error)
                entry.in_trouble(replace(before, error=error))


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
