"""CheckpointWriter: squashes what is pending of a document, and writes it as a version."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pycrdt import Doc

from .. import metrics
from ..aio import run_in_thread_if_large, to_its_end
from ..archive.version import VersionMetadata, WriteResult, renamed_from, reset_of
from ..buffer.records import BufferedDocument, Replaced, Row
from ..errors import (
    CorruptSnapshot,
)
from ..ydoc.squash import Squashed, Watch, squash_buffered, squash_live, unusable
from ..ydoc.summary import StateSummary, lineage_of
from ..ydoc.updates import EMPTY_UPDATE
from .document import DocumentState, Put
from .document_view import Name
from .housekeeping import are_too_many, fold
from .live import Covering
from .load import Loader
from .path_change import of_document
from .path_order import PathOrder
from .shared import Shared


class CheckpointWriter:
    """Writes the documents of one checkpointer as versions.

    Whoever calls `checkpoint` holds the document's `lock`, unless it is a path change that calls,
    for which that holder may be waiting. `DocumentState` says what the locks protect.
    """

    def __init__(
        self,
        shared: Shared,
        path_changes: Callable[[], PathOrder],
        loader: Loader,
        authors_of: Callable[[DocumentState], Iterable[str]],
        release: Callable[[], None],
    ) -> None:
        self.last_written: float | None = None
        """When the last version was written, in seconds since the epoch."""
        self._shared = shared
        self._path_changes = path_changes
        self._loader = loader
        self._authors_of = authors_of
        self._release = release
        # What is being squashed is in memory several times, what is being written once or twice.
        self._squashing = asyncio.Semaphore(2)
        self._writing = asyncio.Semaphore(min(16, shared.settings.max_threads))

    def use_all_threads(self) -> None:
        """From now on, as many documents are written at once as there may be requests: the
        process is to end, and each wave takes as long as a request does."""
        self._writing = asyncio.Semaphore(self._shared.settings.max_threads)

    async def checkpoint(
        self, entry: DocumentState, follow: bool = True, *, replaced: bool = False
    ) -> WriteResult | None:
        """Write what is pending as a new version; with `replaced`, only what was replaced.
        Without `follow`, under the name that the document had before the renames and deletions
        that the bucket has not followed."""
        saved: WriteResult | None = None
        while True:
            if follow:
                await self._path_changes().follow(entry.document.path)
            if not entry.pending or (follow and entry.name is Name.DISPLACED):
                return saved
            if replaced and entry.checkpoint_through is None:
                return saved
            self._shared.settings.require_bucket()
            entry.credits.joined(self._authors_of(entry))
            if entry.needs_base:
                await self._loader.ask(entry, follow)
            fence = entry.checkpoint_through
            async with entry.writing, self._writing:
                if entry.needs_base:
                    continue  # it was evicted meanwhile
                written, latest = await self._write(entry, follow)
            saved = latest or saved
            if written:
                self._release()
            if written and fence is None:
                return saved

    async def _write(self, entry: DocumentState, follow: bool) -> tuple[bool, WriteResult | None]:
        """Squash and save. False when a file was moved meanwhile, which is to be followed first,
        or when something was replaced, which is to be a version first."""
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
                await self._shared.buffer.set_facts(entry.id, entry.facts)
            return True, None
        # No wait between this and the note that a PUT is under way: a move waits for that.
        moved = follow and self._path_changes().holds_up(entry.document.path)
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
            self.last_written = time.time()
        return True, saved

    async def _note(
        self,
        entry: DocumentState,
        held: BufferedDocument,
        saved: WriteResult | None,
        fence: int | None,
    ) -> None:
        pending = held.pending
        last = pending[-1].seq
        replaced = entry.passed(last if fence is None else fence)
        base = None
        if saved is not None and saved.merged:
            # The buffer has to hold what others wrote, or the next checkpoint would drop it.
            base = Row(last, saved.update, b"", time.time())
        entry.covered_by(None)
        await self._shared.buffer.mark_persisted(entry.id, last, entry.facts, base)
        self._shared.pending_file.forget(entry.id, last)
        size = sum(len(row.data) for row in pending)
        entry.persisted(len(pending), size, time.monotonic(), has_base=base is not None)
        if saved is not None:
            self._loader.deliver(entry, saved.merged)
        self._tell_replaced(entry, replaced)

    def _tell_replaced(self, entry: DocumentState, replaced: list[Replaced]) -> None:
        if any(each.by_file for each in replaced) and entry.facts.version_id:
            self._shared.log.warning(
                "Another program changed the file %s while it was open, and the document now "
                "has the file's content. The replaced content is version %s of %r.",
                entry.document.path,
                entry.facts.version_id,
                self._shared.archive.key(entry.document),
            )
            entry.credits.made_by(reset_of(entry.facts.version_id), unless_said=True)

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

    def _bound(self, entry: DocumentState, count: int, size: int) -> None:
        if are_too_many(count, size, entry.policy):
            self._shared.spawn(fold(self._shared.buffer, entry))  # when what is under way is done

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
        held = await self._shared.buffer.read_pending(entry.id)
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
        while True:
            held = await self._shared.buffer.read(entry.id)
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
                await self._shared.buffer.reject(entry.id, [row.seq for row in rejected])
                sizes = [len(row.data) for row in rejected if row.seq > held.persisted]
                entry.counted(-len(sizes), -sum(sizes))
                self._shared.log.error(  # noqa: TRY400 - the sentence is what counts
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
        if not entry.facts.lineage:
            entry.lineage_is(lineage_of(held.updates()[0]))
        facts = entry.facts
        spot = of_document(entry.document)
        # Without `follow` it is what a change is of, and not what takes its place.
        replaced = self._path_changes().replaced(spot) if follow and not facts.version_id else None
        former = self._path_changes().renamed_from(entry) if follow else None
        saved = await self._shared.archive.save(
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
        if follow and self._path_changes().waiting:
            await self._path_changes().wrote(spot, entry, held.pending[-1].seq)
        return saved


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
