"""Recovering one buffer file by hand: its content and its path changes."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..archive.archive import Archive
from ..buffer.database import Buffer
from ..buffer.recovery import BufferOptions, Recovery
from ..buffer.salvage import HeldDocument, Salvaged
from ..errors import BookstoreError, BucketError
from ..replication.checkpointer import Checkpointer
from ..replication.path_change import PathChange
from ..replication.path_changes import NoSuchChange
from ..replication.recovery_fit import Fit, fit_of, fit_of_one
from ..settings import BookstoreSettings

PATIENCE = 120.0
"""Seconds that the bucket is tried for."""


class OtherBucket(BookstoreError):
    """A recovery file holds what was to be archived elsewhere."""


@dataclass(frozen=True)
class RecoveredDocument:
    """A document of the file, and what became of it.

    `outcome` is `pending` (nothing was written yet), `written` (it is in the version
    `version_id`), `same` (the bucket had all of it) or `failed`, with the `reason`. `updates` and
    `size`, in bytes, are those that no version was known to hold; `first` and `last` are when the
    first and the last of them were made.
    """

    path: str
    type: str | None
    updates: int
    size: int
    first: datetime
    last: datetime
    outcome: str = "pending"
    version_id: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; times in ISO 8601."""
        return {
            **vars(self),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "version_id": self.version_id or None,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class Recovered:
    """A recovery file: what it holds, and what became of that."""

    file: Path
    documents: tuple[RecoveredDocument, ...]
    moves: tuple[str, ...]
    """Renames and deletions for the bucket to follow, in words; afterwards, those left."""
    lost: tuple[str, ...]
    """What cannot be read of it, in words."""
    fit: Fit
    removed: bool = False
    """Whether the file is gone, as all of it is in the bucket."""

    @property
    def is_well(self) -> bool:
        """Whether all that it held is in the bucket."""
        failed = any(each.outcome in ("pending", "failed") for each in self.documents)
        return not (failed or self.moves or self.lost)


async def look(archive: Archive, path: Path) -> Recovered:
    """What a recovery file holds, and whether the bucket fits. Nothing is changed. Raises like
    `Salvaged`."""
    salvaged = await asyncio.to_thread(Salvaged, path)
    try:
        return await _seen(archive, salvaged)
    finally:
        salvaged.close()


async def recover(
    archive: Archive,
    path: Path,
    *,
    recovery_dir: str = "",
    other_bucket: bool = False,
    keep: bool = False,
) -> Recovered:
    """Archive what a recovery file holds. It is removed when all of it is in the bucket, unless
    `keep`; done twice, or while a server does the same, it doubles nothing.

    `recovery_dir` is where servers have such files; empty means below Jupyter's data directory.
    Raises like `Salvaged`, a `BucketError` when the bucket cannot be used, and `OtherBucket` for a
    file of another bucket, unless `other_bucket` says that it is to go into this one.
    """
    await archive.check()
    salvaged = await asyncio.to_thread(Salvaged, path)
    done = False
    try:
        seen = await _seen(archive, salvaged)
        if not (other_bucket or _is_of(archive, path, recovery_dir, seen.fit)):
            raise OtherBucket(
                f"{path} was not left by a server that uses {archive.bucket.where} and prefix "
                f"{archive.settings.workspace_prefix!r}. About its documents, the bucket says: "
                f"{seen.fit.value}. Nothing was archived; add --other-bucket to archive it here."
            )
        result = await _archived(archive, salvaged, seen)
        done = result.is_well and not keep
    finally:
        salvaged.close(remove=done)
    return replace(result, removed=done)


def _is_of(archive: Archive, path: Path, recovery_dir: str, fit: Fit) -> bool:
    if fit is Fit.SAME:
        return True
    recovery = Recovery(archive.settings, BufferOptions(recovery_dir=recovery_dir))
    if recovery.is_own(path.absolute()):
        return True
    return fit is Fit.ALIKE and not recovery.is_named(path.absolute())


async def _seen(archive: Archive, salvaged: Salvaged) -> Recovered:
    held = salvaged.documents()
    try:
        fit = await fit_of(archive, [(each.document, each.facts) for each in held])
    except BucketError:
        fit = Fit.UNKNOWN
    documents = tuple(_document(each) for each in held)
    return Recovered(salvaged.path, documents, tuple(salvaged.moves()), tuple(salvaged.lost), fit)


async def _archived(archive: Archive, salvaged: Salvaged, seen: Recovered) -> Recovered:
    """Archive a copy, as a server does with the file it finds."""
    documents = []
    for held in salvaged.documents():
        fit = await fit_of_one(archive, held.document, held.facts)
        if fit in (Fit.ABSENT, Fit.APART) and held.facts.version_id and not held.is_whole:
            salvaged.leave_out(held)
            reason = (
                f"the edits build on version {held.facts.version_id}, which is neither in the "
                "file nor in the bucket; archive them in the bucket that has it"
            )
            documents.append(_document(held, "failed", reason=reason))
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "copy", "recovery-copy.db")
        await asyncio.to_thread(salvaged.write_to, copy)
        checkpointer = Checkpointer(archive.settings, BufferOptions(str(copy), directory))
        async with checkpointer:
            entries = {entry.id: entry for entry in checkpointer.entries.values()}
            entries |= {entry.id: entry for entry in checkpointer.path_changes.displaced}
            late = await checkpointer.flush(PATIENCE)
            for held in salvaged.documents():
                entry = entries.get(held.id)
                if entry is None or entry.pending:
                    reason = late.get(str(held.document), "it was not archived")
                    documents.append(_document(held, "failed", reason=reason))
                    continue
                version_id = entry.facts.version_id
                outcome = "same" if version_id == held.facts.version_id else "written"
                documents.append(_document(held, outcome, version_id))
            moves = tuple(checkpointer.path_changes.names())
    return Recovered(seen.file, tuple(documents), moves, seen.lost, seen.fit)


def _document(
    held: HeldDocument, outcome: str = "pending", version_id: str = "", reason: str = ""
) -> RecoveredDocument:
    first, last = (datetime.fromtimestamp(at, timezone.utc) for at in (held.first, held.last))
    document = held.document
    return RecoveredDocument(
        document.path,
        document.type,
        held.updates,
        held.size,
        first,
        last,
        outcome,
        version_id,
        reason,
    )


def buffer_files(settings: BookstoreSettings, options: BufferOptions) -> list[Path]:
    """The buffer files of these settings that there are, in use or not."""
    found = Recovery(settings, options).left_behind()
    own = Path(options.path)
    return [*found, own] if own.is_file() and own not in found else found


def path_changes_in(path: Path) -> list[dict[str, Any]]:
    """What the bucket has not followed, like `PathChanges.listed`.

    Raises `BufferInUse` while a server has the file open, and an `UpdateBufferError` when it cannot
    be read.
    """
    buffer = Buffer(str(path), make=False)
    try:
        return [change.to_dict() for change in _changes(buffer)]
    finally:
        buffer.close()


async def retry_path_changes(
    settings: BookstoreSettings, path: Path, recovery_dir: str
) -> list[dict[str, Any]]:
    """Archive what the file holds, as the next start of a server would, and return the changes
    that are left. Raises like `path_changes_in`."""
    Buffer(str(path), make=False).close()  # raises where a checkpointer would take another file
    async with Checkpointer(settings, BufferOptions(str(path), recovery_dir)) as checkpointer:
        await checkpointer.flush(settings.shutdown_timeout)
        return await checkpointer.path_changes.try_again()


async def drop_path_change(path: Path, number: int) -> dict[str, Any]:
    """Give up on a change; returns it. Raises like `path_changes_in`, and `NoSuchChange`."""
    buffer = Buffer(str(path), make=False)
    try:
        for change in _changes(buffer):
            if change.id == number:
                await buffer.remove_move(number)
                return change.to_dict()
        raise NoSuchChange(f"{path} has no path change {number}.")
    finally:
        buffer.close()


def _changes(buffer: Buffer) -> list[PathChange]:
    found = []
    for left in buffer.moves():
        change = PathChange(left.id, left.source, left.target, at=left.at, inherited=True)
        change.learn(left.state)
        found.append(change)
    return found
