"""Moves: renames and deletions of files, which the bucket follows as soon as it can.

They are followed in the order in which they happened, and before anything is read or written
under a key that they concern: a document would otherwise be found missing under its new name, or
a file that was made after a deletion be taken for the deleted one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .entry import Entry
from .errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    InvalidPath,
    NotFound,
    SnapshotError,
)
from .health import pause
from .keys import Document, check_path
from .saves import File, Saves
from .saves import moved as _moved

if TYPE_CHECKING:
    from .checkpointer import Checkpointer


SKEW = 60.0
"""Seconds by which the clocks of a server and the bucket may differ."""


@dataclass(eq=False)
class _Move:
    """A rename of a file or directory; without `target`, a deletion."""

    id: int
    source: str
    target: str | None
    waits_for: list[asyncio.Event] = field(default_factory=list)
    """PUTs to the old keys that were under way, and the note of it in the buffer."""
    doomed: list[Entry] = field(default_factory=list)
    """The documents that a deletion is of; each keeps its last state as a version."""
    saves: list[File] = field(default_factory=list)
    """Files whose name is gone or taken; each has its last save as a version first."""
    noted_at: float = 0.0
    """When an earlier process noted it, in seconds since the epoch; 0 if it was this one."""

    def __str__(self) -> str:
        if self.target is None:
            return f"the deletion of {self.source}"
        return f"the rename of {self.source} to {self.target}"


class Moves:
    """The renames and deletions of one checkpointer."""

    def __init__(self, checkpointer: Checkpointer) -> None:
        self.saves: Saves | None = None
        """Where saved files wait for the bucket, if they are archived."""
        self._checkpointer = checkpointer
        self._moves: list[_Move] = []
        self._displaced: list[Entry] = []
        self._following = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is something that the bucket has not followed."""
        return bool(self._moves or self._displaced)

    @property
    def displaced(self) -> list[Entry]:
        """Documents whose name another has taken, on their way to the bucket."""
        return self._displaced

    def dooms(self, entry: Entry) -> bool:
        """Whether the deletion of a document has not been followed, which settles it."""
        return any(entry in move.doomed for move in self._moves)

    def names(self) -> list[str]:
        """What the bucket has not followed, in words."""
        return [str(move) for move in self._moves]

    def former(self, path: str) -> str | None:
        """Where the bucket has the file that is at `path` now; None if it has none, but that of
        a file whose deletion it has not followed."""
        for move in reversed(self._moves):
            if move.target is None:
                if _moved(path, move.source, "") is not None:
                    return None
            else:
                path = _moved(path, move.target, move.source) or path
        return path

    def now_at(self, path: str) -> str | None:
        """Where the file is that the bucket has at `path`; None if it was deleted."""
        for move in self._moves:
            if move.target is None:
                if _moved(path, move.source, "") is not None:
                    return None
            else:
                path = _moved(path, move.source, move.target) or path
        return path

    def recover(self) -> None:
        """Take up what an earlier process left in the buffer."""
        cp = self._checkpointer
        for left in cp.buffer.moves():
            move = _Move(left.id, left.source, left.target, noted_at=left.at)
            if move.target is None:
                held = [*cp.entries.values(), *self._displaced]
                move.doomed = [entry for entry in held if entry.id in left.documents]
                for entry in move.doomed:
                    entry.deleted = True
            self._moves.append(move)
        doomed = {entry.id for move in self._moves for entry in move.doomed}
        self._displaced = [entry for entry in self._displaced if entry.id not in doomed]

    def displace(self, entry: Entry) -> None:
        """Another document has taken this one's name: what it holds goes to the bucket first."""
        self._checkpointer.disarm(entry)
        self._displaced.append(entry)

    def retry(self) -> asyncio.Task[None] | None:
        """Follow what is waiting, in the background, for as long as it takes."""
        if self.waiting and (self._retrying is None or self._retrying.done()):
            self._retrying = self._checkpointer.spawn(self._retry())
        return self._retrying if self.waiting else None

    async def rename(self, source: str, target: str) -> None:
        """Follow the rename of a file or directory."""
        # Everything here is at its new place before anybody else runs.
        cp = self._checkpointer
        if not self._can_be_archived(source):
            return
        noted = asyncio.Event()
        move = _Move(0, source, target, [noted])
        moved = []
        for entry in list(cp.entries.values()):
            path = _moved(entry.document.path, source, target)
            if path is not None and not entry.deleted:
                try:
                    new = Document(path, entry.document.type)
                    cp.archive.key(new)
                except InvalidPath as error:
                    self._stays(entry.document, error)
                    continue
                if entry.putting is not None:
                    move.waits_for.append(entry.putting)
                del cp.entries[entry.document]
                entry.document = new
                entry.renames += 1
                cp.moved(entry)
                moved.append(entry)
        for entry in moved:
            former = cp.entries.get(entry.document)
            if former is not None and not former.deleted:
                self.displace(former)
                former.deleted = former.users > 0  # its file went by other means
            cp.entries[entry.document] = entry
        if self.saves is not None:
            move.saves, putting = self.saves.rename(source, target)
            move.waits_for += putting
        self._moves.append(move)
        try:
            for entry in moved:
                await cp.buffer.set_document(entry.id, entry.document)
            move.id = await cp.buffer.add_move(source, target)
        finally:
            noted.set()
        self.retry()

    async def delete(self, path: str) -> None:
        """Follow the deletion of a file or directory, with delete markers; every version stays,
        the last state of each document among them."""
        cp = self._checkpointer
        if not self._can_be_archived(path):
            return
        noted = asyncio.Event()
        move = _Move(0, path, None, [noted])
        for entry in cp.entries.values():
            if _moved(entry.document.path, path, "") is not None:
                entry.deleted = True
                cp.moved(entry)
                move.doomed.append(entry)
                if entry.putting is not None:
                    move.waits_for.append(entry.putting)
        if self.saves is not None:
            move.saves, putting = self.saves.take(path)
            move.waits_for += putting
        self._moves.append(move)
        try:
            move.id = await cp.buffer.add_move(path, None, [entry.id for entry in move.doomed])
        finally:
            noted.set()
        self.retry()

    def _can_be_archived(self, path: str) -> bool:
        try:
            check_path(path)
        except InvalidPath:
            return False  # then the bucket has nothing of it
        return True

    def _stays(self, document: Document | str, error: InvalidPath) -> None:
        self._checkpointer.log.warning(
            "The archive keeps %s under its old name. %s", document, error
        )

    async def follow(self) -> None:
        """Bring the bucket to where the files are. Raises a `BookstoreError` if it cannot."""
        if not self.waiting:
            return
        try:
            await self._follow_all()
        except NotFound as error:
            # Who follows for some document's sake must not take it for that document's answer.
            where = self._checkpointer.archive.bucket.where
            raise BucketError(
                f"The {where} has changed while moves in it were followed; it is tried again. "
                f"{error}"
            ) from error

    async def _follow_all(self) -> None:
        cp = self._checkpointer
        async with self._following:
            while self._displaced:
                entry = self._displaced[0]
                below = entry.deleted or entry.users
                if await (self._settle_below(entry) if below else self._settle(entry)):
                    await cp.buffer.evict(entry.id, keep=entry.users > 0)
                self._displaced.pop(0)
            while self._moves:
                move = self._moves[0]
                for event in move.waits_for:
                    await event.wait()
                if self.saves is not None:
                    await self.saves.write_held(move.saves)
                if move.target is None:
                    await self._follow_deletion(move)
                else:
                    await self._follow_rename(move.source, move.target)
                self._moves.pop(0)
                await cp.buffer.remove_move(move.id)

    async def _settle(self, entry: Entry) -> bool:
        """Have the last state of a document as a version; False if it can never be one."""
        try:
            await self._checkpointer.write(entry)
        except SnapshotError as error:
            self._checkpointer.log.error(  # noqa: TRY400 - the sentence is what counts
                "The last edits of the former %s cannot be archived. %s", entry.document, error
            )
            return False
        return True

    async def _settle_below(self, entry: Entry) -> bool:
        """Like `_settle`, for a deleted document whose name another one has taken: that one's
        version is to be the current one afterwards."""
        cp = self._checkpointer
        if not entry.pending:
            return True
        living = await cp.archive.current(entry.document)
        settled = await self._settle(entry)
        if living is None and settled:
            await cp.archive.delete(entry.document)  # or the file there would seem to be of it
        apart = living is not None and living.facts.lineage != entry.facts.lineage
        if living is not None and apart and settled:
            again = await cp.archive.put_back(entry.document, living)
            taker = cp.entries.get(entry.document)
            if taker is not None and taker.facts.version_id == living.version_id:
                taker.facts.version_id, taker.facts.etag = again.version_id, again.etag
                await cp.set_facts(taker)
        return settled

    async def _follow_rename(self, source: str, target: str) -> None:
        cp = self._checkpointer
        for old in await self._documents_under(source):
            try:
                new = Document(_moved(old.path, source, target) or target, old.type)
                copied = await cp.archive.rename(old, new)
            except InvalidPath as error:
                self._stays(old, error)
                continue
            entry = cp.entries.get(new)
            if copied is None or entry is None:
                continue
            # If another writer had the last word under the old name, the next checkpoint is to
            # meet its version, and merge with it.
            if copied.source_version_id == entry.facts.version_id:
                entry.facts.version_id, entry.facts.etag = copied.version_id, copied.etag
                await cp.set_facts(entry)
        for path in await self._saved_under(source):
            try:
                await cp.archive.rename_file(path, _moved(path, source, target) or target)
            except InvalidPath as error:
                self._stays(path, error)

    async def _follow_deletion(self, move: _Move) -> None:
        cp = self._checkpointer
        for entry in move.doomed:
            await self._settle(entry)
        for document in await self._documents_under(move.source):
            current = await cp.archive.current(document) if move.noted_at else None
            if current is not None and current.last_modified.timestamp() > move.noted_at + SKEW:
                continue  # a new file of that name, made after an earlier process had noted this
            await cp.archive.delete(document)
        for path in await self._saved_under(move.source):
            if not (move.noted_at and await self._saved_since(path, move.noted_at + SKEW)):
                await cp.archive.delete_file(path)
        for entry in move.doomed:
            # Whoever still has it open starts a new run of versions with the next edit, though
            # what it is made of may be in the last one of the old alone.
            entry.facts.etag = ""
            entry.facts.deleted = True
            await cp.set_facts(entry)
            cp.spawn(cp.drop(entry))  # its own checkpoint may hold it, and wait for this

    async def _documents_under(self, path: str) -> list[Document]:
        try:
            return await self._checkpointer.archive.documents_under(path)
        except InvalidPath:
            return []  # no key is as long as this path

    async def _saved_under(self, path: str) -> list[str]:
        try:
            return await self._checkpointer.archive.files_under(path)
        except InvalidPath:
            return []

    async def _saved_since(self, path: str, time: float) -> bool:
        page = await self._checkpointer.archive.history(path, limit=1, kinds=("save",))
        return any(version.last_modified.timestamp() > time for version in page.versions)

    async def _retry(self) -> None:
        attempts = 0
        said = ""
        while self.waiting:
            try:
                await self.follow()
            except BookstoreError as error:
                self._checkpointer.health.note(error)
                if isinstance(error, AccessDenied) and str(error) != said:
                    said = str(error)
                    waiting = ", ".join(self.names())
                    self._checkpointer.log.error(  # noqa: TRY400 - the sentence is what counts
                        "The bucket has not followed %s: %s", waiting, error
                    )
                attempts += 1
                await asyncio.sleep(pause(attempts))
