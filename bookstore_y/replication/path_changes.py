"""PathChanges: renames and deletions of files, which the bucket follows as soon as it can.

They are followed in the order in which they happened, path by path: only what concerns a path, or
a directory above or below it, waits. Before anything is read or written under a key that a change
concerns, the change is followed: a document would otherwise be found missing under its new name,
or a file that was made after a deletion be taken for the deleted one.

A change that fails again and again while the bucket itself works is set aside. It is still tried
now and then, but nothing waits for it any more: what is written under its names meanwhile is
archived, and is spared when it is followed in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anyio import move_on_after

from .. import metrics
from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketUnavailable,
    InvalidPath,
    NotFound,
    SnapshotError,
)
from ..keys import Document, check_path
from ..s3.objects import Copied
from . import whereabouts
from .document import DocumentState
from .file_uploads import FileUploads
from .following import Following
from .health import BUCKET_WIDE, pause
from .path_change import (
    Part,
    PathChange,
    Spot,
    Whereabouts,
    moved,
    of_document,
    of_file,
)

if TYPE_CHECKING:
    from .checkpointer import Checkpointer

TRIES = 4
"""Tries in a row, while the bucket works, after which a change that it refuses is set aside."""

TRIES_UNANSWERED = 8
"""The same of one that it does not answer, or cannot serve now, though it serves others."""

SET_ASIDE_PAUSE = 300.0
"""Seconds, about, between two tries of what was set aside."""

AT_ONCE = 8
"""Changes that are followed in the background at a time."""

PATIENCE = 5.0
"""Seconds that somebody who needs a change waits at most for the next try."""

_ORDERED = 60.0
"""Seconds after which a change looks again at what it waits for, in case nobody told it."""


class NoSuchChange(NotFound):
    """There is no path change of that number, or none any more."""


class ChangeNeeded(BookstoreError):
    """A path change cannot be dropped, since edits would be lost with it."""


class PathChanges:
    """The renames and deletions of one checkpointer."""

    def __init__(self, checkpointer: Checkpointer) -> None:
        self.saves: FileUploads | None = None
        """Where saved files wait for the bucket, if they are archived."""
        self._checkpointer = checkpointer
        self._changes: list[PathChange] = []
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._progress = asyncio.Event()
        self._following = Following(
            checkpointer.archive,
            self._keep,
            lambda spot, version, change: whereabouts.is_gone(self._before(change), spot, version),
            self._taken_over,
            lambda: checkpointer.log,
        )

    # -- what waits ----------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether there is anything that the bucket has not followed, set aside or not."""
        return bool(self._changes)

    @property
    def displaced(self) -> list[DocumentState]:
        """Documents whose name another has taken, on their way to the bucket."""
        return [change.displaced for change in self._changes if change.displaced is not None]

    def dooms(self, entry: DocumentState) -> bool:
        """Whether the deletion of a document has not been followed, which settles it."""
        return any(entry in change.doomed for change in self._changes)

    def names(self) -> list[str]:
        """What the bucket has not followed, in words."""
        return [str(change) for change in self._changes if change.displaced is None]

    def reason(self, name: str) -> str | None:
        """Why that has not been followed, if it was tried, or what it waits for."""
        change = next((each for each in self._changes if str(each) == name), None)
        if change is None or change.reason:
            return None if change is None else change.reason
        blocked_by = self._blocked_by(change)
        return None if blocked_by is None else f"It waits for {blocked_by}."

    def listed(self, path: str | None = None) -> list[dict[str, Any]]:
        """What the bucket has not followed, of JSON types, in the order in which it happened;
        with `path`, what concerns that."""
        chosen = [each for each in self._changes if path is None or each.touches(path)]
        return [change.to_dict(self._blocked_by(change)) for change in chosen]

    @property
    def failing(self) -> list[PathChange]:
        """Those that have been tried in vain."""
        return [change for change in self._changes if change.reason]

    @property
    def count(self) -> int:
        """How many changes the bucket has not followed, set aside or not."""
        return len(self._changes)

    @property
    def set_aside(self) -> int:
        """How many were set aside, or wait for one that was."""
        return sum(not self._is_due(change) for change in self._changes)

    def holds_up(self, path: str) -> bool:
        """Whether what is at `path` has to wait."""
        return bool(self._changes) and self._next(path) is not None

    def _next(self, path: str) -> PathChange | None:
        """The first change that what is at `path` has to wait for."""
        relevant: list[PathChange] = []
        for change in reversed(self._changes):
            if change.touches(path) or any(each.depends_on(change) for each in relevant):
                relevant.append(change)
        ordered = reversed(relevant)
        return next((change for change in ordered if change.running or self._is_due(change)), None)

    def _is_due(self, change: PathChange) -> bool:
        """Whether others wait for a change: it was not set aside, nor waits for one that was."""
        return not change.set_aside and self._blocked_by(change) is None

    def _blocked_by(self, change: PathChange) -> PathChange | None:
        """A change that was set aside, and that has to be followed before this one."""
        for earlier in self._before(change):
            if not change.depends_on(earlier):
                continue
            if earlier.set_aside and _blocks(earlier, change):
                return earlier
            if not earlier.set_aside and self._blocked_by(earlier) is not None:
                return earlier
        return None

    def _before(self, change: PathChange) -> Iterator[PathChange]:
        for earlier in self._changes:
            if earlier is change:
                return
            yield earlier

    # -- where things are meanwhile ------------------------------------------------------------

    def whereabouts(self, document: Document) -> list[Whereabouts]:
        """Where the bucket may have a document, the best place first: its own key, unless
        changes that were set aside say otherwise. Nowhere if it has been deleted."""
        return [
            Whereabouts(spot.document, version_id, whereabouts.gone(self._changes, spot))
            for spot, version_id in whereabouts.places(self._changes, of_document(document))
        ]

    def former(self, path: str) -> str | None:
        """Where the bucket has the file that is at `path` now; None if it has none, but that of
        a file whose deletion or rename it has not followed."""
        place = whereabouts.place(self._changes, of_file(path))
        return None if place is None else place.path

    def archived_at(self, path: str) -> str | None:
        """The same of documents and saves alike."""
        return whereabouts.archived_at(self._changes, path)

    def now_at(self, path: str) -> str | None:
        """Where the file or directory is that the bucket has at `path`; None if it was deleted,
        or has gone on under another name already."""
        return whereabouts.now_at(self._changes, path)

    def went(self, document: Document, since: datetime) -> Document | None:
        """What the document of a moment, a time with a time zone, is called now, as far as the
        bucket has not followed that; None if it was deleted."""
        spot = whereabouts.went(self._changes, of_document(document), since.timestamp())
        return None if spot is None else spot.document

    def replaced(self, spot: Spot) -> Part | None:
        """The deleted or renamed version that is still current at a spot, as far as is known, and
        that what is written there now takes the place of."""
        return whereabouts.replaced(self._changes, spot)

    def renamed_from(self, entry: DocumentState) -> str | None:
        """Under which path the bucket has the version that a document builds on, if it has not
        gone on under the document's own."""
        spot = of_document(entry.document)
        places = whereabouts.places(self._changes, spot)
        taken = whereabouts.is_taken(self._changes, spot)
        if not places or taken or not entry.facts.version_id:
            return None
        old, version_id = places[-1]
        if old.path == spot.path or version_id not in ("", entry.facts.version_id):
            return None
        return old.path

    async def wrote(self, spot: Spot, entry: DocumentState | None = None, seq: int = 0) -> None:
        """Something has been written at a spot, of updates up to `seq` if it is a document."""
        for change in self._changes:
            if change.displaced is entry is not None or not change.touches(spot.path):
                continue
            if change.displaced is not None or not self._is_due(change):
                await self._spare(change, spot, entry, seq)

    async def _spare(
        self, change: PathChange, spot: Spot, entry: DocumentState | None, seq: int
    ) -> None:
        if entry in change.doomed and seq <= change.until:
            # It is what the deletion is of.
            part = (change.parts or {}).get(spot)
            if part is not None and entry is not None:
                part.version_id, part.etag = entry.facts.version_id, entry.facts.etag
        elif spot not in change.taken:
            change.taken.add(spot)
        else:
            return
        await self._keep(change)

    # -- what happens to files -----------------------------------------------------------------

    def recover(self) -> None:
        """Take up what an earlier process left in the buffer."""
        cp = self._checkpointer
        for left in cp.buffer.moves():
            change = PathChange(left.id, left.source, left.target, at=left.at, inherited=True)
            change.learn(left.state)
            if change.target is None:
                change.until = cp.buffer.last
                held = [*cp.entries.values(), *self.displaced]
                change.doomed = [entry for entry in held if entry.id in left.documents]
                for entry in change.doomed:
                    entry.deleted = True
            self._changes.append(change)
        doomed = {entry.id for change in self._changes for entry in change.doomed}
        self._changes = [
            change
            for change in self._changes
            if change.displaced is None or change.displaced.id not in doomed
        ]

    def displace(self, entry: DocumentState) -> None:
        """Another document has taken this one's name: what it holds goes to the bucket first."""
        self._checkpointer.scheduler.disarm(entry)
        self._changes.append(PathChange(0, entry.document.path, displaced=entry))

    async def rename(self, source: str, target: str) -> None:
        """Follow the rename of a file or directory."""
        # Everything here is at its new place before anybody else runs.
        cp = self._checkpointer
        if self.saves is not None:
            self.saves.forget_refused(source)
        if not self._can_be_archived(source):
            return
        noted = asyncio.Event()
        change = PathChange(0, source, target, waits_for=[noted])
        entries = []
        for entry in list(cp.entries.values()):
            path = moved(entry.document.path, source, target)
            if path is not None and not entry.deleted:
                try:
                    new = Document(path, entry.document.type)
                    cp.archive.key(new)
                except InvalidPath as error:
                    self._following.stays(entry.document, error)
                    continue
                if entry.putting is not None:
                    change.waits_for.append(entry.putting)
                del cp.entries[entry.document]
                entry.document = new
                entry.renames += 1
                cp.moved(entry)
                entries.append(entry)
        for entry in entries:
            former = cp.entries.get(entry.document)
            if former is not None and not former.deleted:
                self.displace(former)
                former.deleted = former.users > 0  # its file went by other means
            cp.entries[entry.document] = entry
        if self.saves is not None:
            change.saves, putting = self.saves.rename(source, target)
            change.waits_for += putting
        self._changes.append(change)
        try:
            for entry in entries:
                await cp.buffer.set_document(entry.id, entry.document)
            change.id = await cp.buffer.add_move(source, target)
        finally:
            noted.set()
        self.retry()

    async def delete(self, path: str) -> None:
        """Follow the deletion of a file or directory, with delete markers; every version stays,
        the last state of each document among them."""
        cp = self._checkpointer
        if self.saves is not None:
            self.saves.forget_refused(path)
        if not self._can_be_archived(path):
            return
        noted = asyncio.Event()
        change = PathChange(0, path, waits_for=[noted], until=cp.buffer.last)
        for entry in cp.entries.values():
            if moved(entry.document.path, path, "") is not None:
                entry.deleted = True
                cp.moved(entry)
                change.doomed.append(entry)
                if entry.putting is not None:
                    change.waits_for.append(entry.putting)
        if self.saves is not None:
            change.saves, putting = self.saves.take(path)
            change.waits_for += putting
        self._changes.append(change)
        try:
            ids = [entry.id for entry in change.doomed]
            change.id = await cp.buffer.add_move(path, None, ids)
        finally:
            noted.set()
        self.retry()

    def _can_be_archived(self, path: str) -> bool:
        try:
            check_path(path)
        except InvalidPath:
            return False  # then the bucket has nothing of it
        return True

    # -- following -----------------------------------------------------------------------------

    async def follow(self, path: str) -> None:
        """Bring the bucket to where the files are, as far as what is at `path` has to wait for
        it. Raises a `BookstoreError` if it cannot; what was set aside is no reason."""
        while (change := self._next(path)) is not None:
            async with change.lock:
                if change not in self._changes or not self._is_due(change):
                    continue
                left = change.retry_at - _now()
                # A bucket that was away may be back; nothing else says so sooner than asking.
                if left <= 0 or change.error is None or not change.failures:
                    with contextlib.suppress(BookstoreError):
                        await self._try(change)
                    left = change.retry_at - _now()
                if not self._is_due(change) or change not in self._changes:
                    continue
                # While the bucket works it is soon done, or set aside.
                if change.error is not None and (not change.failures or left > PATIENCE):
                    raise change.error
            await asyncio.sleep(left)
        for change in self._changes:
            unknown = change.parts is None and change.target and not self._is_due(change)
            if unknown and moved(path, change.source, "") is not None:
                # Nothing that is there can be told from what was renamed.
                raise BucketError(self._why(change))

    async def follow_all(self) -> None:
        """Bring the bucket to where all files are, but for what was set aside. Raises the first
        `BookstoreError` that keeps it from that."""
        for change in list(self._changes):
            await self.follow(change.source)

    def retry(self, now: bool = False) -> None:
        """Follow what is waiting, in the background, for as long as it takes; `now`, without
        waiting any longer after a failure."""
        for change in self._changes:
            if change.task is None or change.task.done():
                change.task = self._checkpointer.spawn(self._pursue(change))
            elif now and not change.set_aside:
                change.retry_at = 0.0
                change.wake.set()

    @property
    def due(self) -> bool:
        """Whether anything waits for a change, so that it is worth waiting for."""
        return any(map(self._is_due, self._changes))

    async def until_none_is_due(self) -> None:
        """Wait until all is followed, or set aside."""
        while self.due:
            self._progress.clear()
            await self._progress.wait()

    async def _pursue(self, change: PathChange) -> None:
        while change in self._changes:
            left = change.retry_at - _now()
            if left > 0 or not self._is_its_turn(change):
                # asyncio.wait_for of Python 3.11 loses a cancellation that comes with the wake.
                with move_on_after(left if left > 0 else _ORDERED):
                    await change.wake.wait()
                change.wake.clear()
                continue
            async with self._slots, change.lock:
                if change in self._changes and self._is_its_turn(change):
                    with contextlib.suppress(BookstoreError):  # it is kept, and shown
                        await self._try(change)

    def _is_its_turn(self, change: PathChange) -> bool:
        return self._blocked_by(change) is None and not any(
            change.depends_on(earlier) and self._is_due(earlier) for earlier in self._before(change)
        )

    async def _try(self, change: PathChange) -> None:
        """Follow a change, whose lock is held. Raises a `BookstoreError`."""
        change.running = True
        try:
            for event in [*change.waits_for, *self._puts_under_way(change)]:
                await event.wait()
            await self._do(change)
        except NotFound as error:
            # Who follows for some document's sake must not take it for that document's answer.
            where = self._checkpointer.archive.bucket.where
            changed = BucketError(
                f"The {where} changed while it followed {change}; it is tried again. {error}"
            )
            await self._failed(change, changed)
            raise changed from error
        except BookstoreError as error:
            await self._failed(change, error)
            raise
        except Exception as error:
            unexpected = BookstoreError(
                f"Following {change} failed unexpectedly ({error!r}); it is tried again. Please "
                "report it."
            )
            if change.reason != str(unexpected):
                self._checkpointer.log.exception("An error that should not be:")
            await self._failed(change, unexpected)
            raise unexpected from error
        finally:
            change.running = False
            self._progress.set()
        await self._finish(change)

    def _puts_under_way(self, change: PathChange) -> list[asyncio.Event]:
        """Those to the keys of a change that nobody has waited for so far."""
        if not change.tried:
            return []
        entries = self._checkpointer.entries.values()
        found = [e.putting for e in entries if e.putting and change.touches(e.document.path)]
        return found + (self.saves.putting(change.touches) if self.saves is not None else [])

    async def _do(self, change: PathChange) -> None:
        cp = self._checkpointer
        if change.displaced is not None:
            entry = change.displaced
            below = entry.deleted or entry.users or change.taken
            if await (self._settle_below(entry) if below else self._settle(entry)):
                await cp.buffer.evict(entry.id, keep=entry.users > 0)
            return
        if self.saves is not None:
            await self.saves.write_held(change.saves)
        await self._following.spare_new(change)
        for entry in change.doomed:
            below = cp.sync.is_replaced(entry)
            await (self._settle_below(entry) if below else self._settle(entry))
        await self._following.follow(change)
        for entry in change.doomed:
            if of_document(entry.document) in change.taken and not cp.sync.is_replaced(entry):
                continue  # it was edited since, which has brought it back
            # Whoever still has it open starts a new run of versions with the next edit, though
            # what it is made of may be in the last one of the old alone.
            entry.facts.etag = ""
            entry.facts.deleted = True
            await cp.set_facts(entry)
            cp.spawn(cp.drop(entry))  # its own checkpoint may hold it, and wait for this

    async def _finish(self, change: PathChange) -> None:
        if change in self._changes:
            self._changes.remove(change)
            self._wake(change)
            if change.displaced is None:
                await self._checkpointer.buffer.remove_move(change.id)
            self._progress.set()
            self._checkpointer.release()
            self._checkpointer.changed()

    def _wake(self, change: PathChange) -> None:
        """Those that may have waited for a change."""
        for each in self._changes:
            if each is not change and each.depends_on(change):
                each.wake.set()

    async def _failed(self, change: PathChange, error: BookstoreError) -> None:
        cp = self._checkpointer
        works = await self._works(error)
        change.failed(error, works=works)
        refused = not isinstance(error, BucketUnavailable)
        if works and change.failures >= (TRIES if refused else TRIES_UNANSWERED):
            if not change.set_aside:
                change.set_aside = True
                cp.log.error(
                    "The bucket has not followed %s; nothing else waits for it, and it is tried "
                    "again now and then. `jupyter bookstore moves` lists what was set aside, to "
                    "be tried at once or dropped. %s",
                    change,
                    error,
                )
                self._wake(change)
            change.retry_at = _now() + SET_ASIDE_PAUSE / 2 + pause(10, SET_ASIDE_PAUSE)
        else:
            change.retry_at = _now() + pause(change.attempts - 1)
        await self._keep(change)
        cp.changed()

    async def _works(self, error: BookstoreError) -> bool:
        """Whether the bucket can be used, so that the error is about the change alone."""
        health = self._checkpointer.health
        metrics.S3_ERRORS.labels(type(error).__name__).inc()
        if isinstance(error, BUCKET_WIDE) and not isinstance(error, BucketUnavailable):
            health.note(error)
            return False
        try:
            await self._checkpointer.archive.check()
        except BookstoreError as reason:
            health.note(error if isinstance(reason, AccessDenied) else reason)
            return False
        return True

    async def _keep(self, change: PathChange) -> None:
        if change.displaced is None and change.id:
            await self._checkpointer.buffer.set_move_state(change.id, change.to_json())

    async def _settle(self, entry: DocumentState) -> bool:
        """Have the last state of a document as a version; False if it can never be one."""
        try:
            await self._checkpointer.write(entry)
        except SnapshotError as error:
            self._checkpointer.log.error(  # noqa: TRY400 - the sentence is what counts
                "The last edits of the former %s cannot be archived. %s", entry.document, error
            )
            return False
        return True

    async def _settle_below(self, entry: DocumentState) -> bool:
        """Like `_settle`, for a deleted document whose name another one has taken: that one's
        version is to be the current one afterwards."""
        cp = self._checkpointer
        if not entry.pending:
            return True
        living = await cp.archive.snapshots.current(entry.document)
        settled = await self._settle(entry)
        if living is None and settled:
            await cp.archive.delete(entry.document)  # or the file there would seem to be of it
        apart = living is not None and living.facts.lineage != entry.facts.lineage
        if living is not None and apart and settled:
            again = await cp.archive.snapshots.put_back(entry.document, living)
            taker = cp.entries.get(entry.document)
            if taker is not None and taker.facts.version_id == living.version_id:
                taker.facts.version_id, taker.facts.etag = again.version_id, again.etag
                await cp.set_facts(taker)
        return settled

    async def _taken_over(self, document: Document, copied: Copied) -> None:
        """A document's version goes on under its new name."""
        entry = self._checkpointer.entries.get(document)
        # If another writer had the last word under the old name, the next checkpoint is to meet
        # its version, and merge with it.
        if entry is not None and copied.source_version_id == entry.facts.version_id:
            entry.facts.version_id, entry.facts.etag = copied.version_id, copied.etag
            await self._checkpointer.set_facts(entry)

    # -- what a person decides -----------------------------------------------------------------

    def _why(self, change: PathChange) -> str:
        blocked_by = self._blocked_by(change)
        if blocked_by is not None:
            return f"The bucket has not followed {change}, which waits for {blocked_by}."
        return f"The bucket has not followed {change}. {change.reason}"

    def _of(self, number: int) -> PathChange:
        for change in self._changes:
            if change.id == number and change.displaced is None:
                return change
        raise NoSuchChange(
            f"There is no path change {number} that waits; list those that do with `jupyter "
            "bookstore moves`."
        )

    async def try_again(self, number: int | None = None) -> list[dict[str, Any]]:
        """Try one change, or all of them, at once. Returns those that are left, like `listed`.

        Raises `NoSuchChange`; what keeps a change from being followed is in what is returned.
        """
        chosen = list(self._changes) if number is None else [self._of(number)]
        for change in chosen:
            async with change.lock:
                if change in self._changes and self._is_its_turn(change):
                    with contextlib.suppress(BookstoreError):
                        await self._try(change)
        return self.listed()

    async def drop(self, number: int) -> dict[str, Any]:
        """Give up on a change: the bucket keeps what it has under the old names. Returns it.

        Raises `NoSuchChange`, and `ChangeNeeded` if a document builds on what the bucket has
        under its former name alone.
        """
        change = self._of(number)
        cp = self._checkpointer
        async with change.lock:
            if change not in self._changes:
                raise NoSuchChange(f"The bucket has followed {change} by now.")
            for entry in cp.entries.values():
                renamed = change.target and moved(entry.document.path, change.target, "")
                if renamed is not None and self.renamed_from(entry) and entry.pending:
                    held = await cp.buffer.read(entry.id)
                    if held.base is None and not entry.live:
                        raise ChangeNeeded(
                            f"{entry.document} has edits that build on what the bucket has under "
                            f"its former name, so {change} cannot be dropped; open the document, "
                            "so that all of it is archived under its new name, and drop it then."
                        )
            dropped = change.to_dict(self._blocked_by(change))
            await self._finish(change)
        for entry in change.doomed:
            cp.spawn(cp.drop(entry))
        cp.log.warning("Dropped %s: the bucket keeps what it has.", change)
        self.retry()
        return dropped

    async def withdraw(self, path: str) -> None:
        """A deleted file is back: no deletion that was set aside concerns it any more."""
        for change in list(self._changes):
            if change.target is not None or change.displaced is not None:
                continue
            if change.source == path:
                async with change.lock:
                    await self._finish(change)
            elif moved(path, change.source, "") is not None:
                spots = [spot for spot in change.parts or () if spot.path == path]
                change.taken.update([of_file(path), *spots])
                await self._keep(change)


def _blocks(earlier: PathChange, later: PathChange) -> bool:
    """Whether a change that was set aside keeps a later one from being followed.

    One that knows of which versions it is takes nothing else along, whatever happens to their
    names; but what has not gone on under a new name cannot be moved on from there.
    """
    if earlier.parts is None:
        return earlier.displaced is None
    if earlier.target is None:
        return False
    for spot, part in earlier.parts.items():
        new = moved(spot.path, earlier.source, earlier.target)
        if not part.copied and new is not None and later.touches(new):
            return True
    return False


def _now() -> float:
    return asyncio.get_running_loop().time()
