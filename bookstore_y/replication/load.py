"""Loader: has the buffer hold what the bucket has of a document, and its live documents too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..aio import run_in_thread_if_large, to_its_end
from ..archive.version import Snapshot
from ..buffer.database import LARGEST_DOCUMENT
from ..buffer.records import BufferedDocument, Row
from ..errors import (
    BookstoreError,
    BucketError,
    BucketUnavailable,
    ConfigurationError,
    DocumentNotFound,
    DocumentTooLarge,
    SnapshotError,
    VersionNotFound,
)
from ..ydoc.squash import squash
from ..ydoc.updates import state_vector
from . import finding
from .document import DocumentState
from .document_view import Base, Trouble
from .live import Live
from .path_change import Whereabouts
from .path_order import PathOrder
from .shared import Shared

Append = Callable[[DocumentState, bytes, bytes, float], Any]


@dataclass(frozen=True)
class Loading:
    """A base that is on its way to the buffer. The document's `writing` is held until `close`."""

    run: Callable[[], Coroutine[Any, Any, None]]
    close: Callable[[], None]


class Loader:
    """Loads the documents of one checkpointer. `DocumentState` says what the locks protect."""

    def __init__(
        self, shared: Shared, path_changes: Callable[[], PathOrder], append: Append
    ) -> None:
        self._shared = shared
        self._path_changes = path_changes
        self._append = append

    def take_merged(self, entry: DocumentState, updates: Iterable[bytes]) -> None:
        """Take in what others had written, which a version has that was just written here."""
        for update in updates:
            self._append(entry, update, b"", time.time())
            self.deliver(entry, [update])

    async def ask(self, entry: DocumentState, follow: bool = True) -> None:
        """Have the buffer hold what the bucket has of a document."""
        held = await self._shared.buffer.read(entry.id)
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
        while True:
            generation = entry.generation
            answer = await self._answer(entry, held, follow)
            await entry.writing.acquire()
            with contextlib.ExitStack() as locked:
                locked.callback(entry.writing.release)
                if entry.generation != generation:  # the answer may be about what was before
                    held = await self._shared.buffer.read(entry.id)
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
                return await self._shared.buffer.read(entry.id), None

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
            self._shared.health.note(error)
            if not (follow and self._may_go_on_without(entry, error)):
                raise
            return error

    async def _found(
        self, entry: DocumentState, held: BufferedDocument, snapshot: Snapshot, follow: bool
    ) -> tuple[BufferedDocument, Callable[[], Coroutine[Any, Any, None]]]:
        """What there is of a document with a version that the buffer does not hold; and what has
        the buffer hold it."""
        if follow:
            for update in await self._shared.archive.unmerged(entry.document, snapshot):
                self._append(entry, update, b"", time.time())
                self.deliver(entry, [update])
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
            await self._shared.buffer.set_facts(entry.id, entry.facts)
        # Last of all, since others may be writing to the document.
        rows = await self._shared.buffer.read(entry.id, base=False)
        whole = replace(rows, base=Row(0, base, b"", snapshot.last_modified.timestamp()))
        return whole, partial(self._take_in, entry, entry.live, snapshot, base)

    def _may_go_on_without(self, entry: DocumentState, error: BookstoreError) -> bool:
        """Whether what a document builds on has not gone on under its new name, and cannot be
        read: all of the live document is archived anew then."""
        away = isinstance(error, (BucketUnavailable, ConfigurationError))
        return not away and self._path_changes().renamed_from(entry) is not None

    async def _newer(
        self, entry: DocumentState, held: BufferedDocument, follow: bool
    ) -> Snapshot | None:
        """The current version; None if the buffer holds it. Raises like `Archive.load_snapshot`."""
        archive, changes = self._shared.archive, self._path_changes()
        while True:
            if follow:
                await changes.follow(entry.document.path)
            document, known = entry.document, entry.facts.version_id
            generation = entry.generation
            places = (
                self._path_changes().whereabouts(document) if follow else [Whereabouts(document)]
            )
            try:
                if held.base and known and await finding.is_current(archive, places, known):
                    return None
                snapshot = await finding.load(archive, places)
            except DocumentNotFound:
                if not follow or entry.generation == generation:
                    raise
            else:
                if not follow or entry.generation == generation:
                    return snapshot
            # It was renamed on the way: under its former name there is nothing now, or another.

    async def _begin(self, entry: DocumentState) -> None:
        """Go on with a document that the bucket does not have, or has no more."""
        held = await self._shared.buffer.read(entry.id)
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
        await self._shared.buffer.set_facts(entry.id, entry.facts)

    async def _goes_on_apart(self, entry: DocumentState) -> bool:
        """Whether a document has a history of its own, while another one is current in the bucket.
        What it builds on is a version of its own then, unless it was begun while the bucket was
        away."""
        held = await self._shared.buffer.read(entry.id)
        if held.empty and not (entry.facts.version_id or entry.live):
            return False  # nothing was ever kept of it
        if not entry.facts.version_id:
            entry.begun_here(anew=False)
            await self._shared.buffer.set_facts(entry.id, entry.facts)
        elif is_whole(entry, held) or await self._build_on_own(entry):
            entry.confirmed()
        elif not await self._take_whole(entry):
            entry.confirmed(orphaned=True)
        return True

    async def _build_on_own(self, entry: DocumentState) -> bool:
        """Have the buffer hold the version that the document builds on, though it is not current.
        False if there is none any more."""
        facts = entry.facts
        try:
            own = await self._shared.archive.load_snapshot(entry.document, facts.version_id)
        except (VersionNotFound, DocumentNotFound, SnapshotError) as error:  # expired, say
            self._shared.log.warning(
                "The version that the last edits of %s build on is gone. %s", entry.document, error
            )
            return False
        if facts.lineage not in ("", own.facts.lineage):
            return False  # they would double each other
        at = own.last_modified.timestamp()
        await self._shared.buffer.set_base(entry.id, own.update, at, facts)
        entry.base_loaded(facts.version_id, facts.etag)
        return True

    async def _take_in(
        self, entry: DocumentState, behind: Sequence[Live], snapshot: Snapshot, base: bytes
    ) -> None:
        """Have the buffer build on a version of the bucket. Until it does, nothing else may: the
        next checkpoint would write over what it does not hold."""
        version_id, etag, at = snapshot.version_id, snapshot.etag, snapshot.last_modified
        written = entry.with_version(version_id, etag)
        await self._shared.buffer.set_base(entry.id, base, at.timestamp(), written)
        entry.base_loaded(version_id, etag, time.monotonic())
        if entry.facts != written:  # something else of it was noted meanwhile
            await self._shared.buffer.set_facts(entry.id, entry.facts)
        # After an eviction, others may have written what these do not have.
        for live in behind:
            if live in entry.live:
                live.deliver(snapshot.update)

    async def _take_whole(self, entry: DocumentState, *, keep_version: bool = False) -> bool:
        """Buffer the live document, if it was evicted: what the bucket had of it is gone, or has
        been overwritten by what cannot be read."""
        if entry.base is not Base.BUCKET_ONLY or not entry.live:
            return False
        wholes = [live.whole() for live in entry.live]
        entry.rebuilt_from_live(keep_version=keep_version)
        for whole in wholes:
            self._append(entry, whole, b"", time.time())
        await self._shared.buffer.set_facts(entry.id, entry.facts)
        return True

    def deliver(self, entry: DocumentState, updates: Iterable[bytes]) -> None:
        for update in updates:
            for live in entry.live:
                live.deliver(update)

    async def pull(self, entry: DocumentState) -> None:
        """Apply to the live document what others have written to it, if they have."""
        async with entry.lock:
            entry.pulled(time.monotonic())
            known = entry.facts.version_id
            if not entry.live:
                return
            try:
                places = self._path_changes().whereabouts(entry.document)
                if known and not await finding.is_current(self._shared.archive, places, known):
                    await self.ask(entry)
                if not entry.attempts and entry.error is not None:  # it was this that had failed
                    entry.in_trouble(None)
                    self._shared.changed()
            except DocumentNotFound:
                pass  # deleted; an edit brings it back
            except BucketError as error:
                self._shared.health.note(error)
            except SnapshotError as error:
                if str(error) != str(entry.error):
                    self._shared.log.warning(
                        "Changes that other servers may have made to %s cannot be read. %s",
                        entry.document,
                        error,
                    )
                before = entry.trouble or Trouble(error)
                entry.in_trouble(replace(before, error=error))


def is_whole(entry: DocumentState, held: BufferedDocument) -> bool:
    """Whether the buffer holds a document from its beginning: a snapshot of it, or all of what
    the bucket never had any of."""
    begun_here = entry.facts.has_full_history or not entry.facts.version_id
    return held.base is not None or (bool(held.rows) and begun_here)
