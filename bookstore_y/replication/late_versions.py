"""Versions of what people typed into cells that a reset to the file had deleted meanwhile.

The document goes on without it, since the file was changed by other means and wins. What it was
before, with what was typed into that, becomes a version beside: current for the moment between two
writes, and of a lineage of its own, so that nobody merges it with the document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..aio import to_its_end
from ..archive.version import Snapshot, VersionMetadata, WriteResult, late_for, replaced_by_reset
from ..errors import BookstoreError, DocumentNotFound, SnapshotError, VersionNotFound
from ..ydoc.summary import Ranges, lineage_of, with_late
from .document import DocumentState

if TYPE_CHECKING:
    from .checkpointer import Checkpointer

_LOOKED_AT = 100
"""Versions, the newest first, among which resets are looked for."""

_RESETS = 5
"""Resets that are tried, the newest first."""

_ATTEMPTS = 6
"""Over 15 seconds in all. Should that not do, the next checkpoint makes the document current."""


@dataclass(frozen=True)
class Late:
    """A version of late edits."""

    version_id: str
    replaced: str
    """The id of the version that they were made to."""


async def keep(
    checkpointer: Checkpointer, entry: DocumentState, updates: Sequence[bytes], dropped: Ranges
) -> Late | None:
    """Make a version of the newest state before a reset that takes what the document `dropped`.

    `updates` are Yjs v1 updates as the clients have sent them, oldest first. None where no reset
    is to blame, or where nothing is said by them. Raises a `BookstoreError` when the bucket
    cannot be used.
    """
    await checkpointer.checkpoint(entry)  # what was replaced, and what came of it
    async with entry.lock:
        for version_id in await _replaced(checkpointer, entry):
            try:
                base = await checkpointer.archive.load_snapshot(entry.document, version_id)
                found = await asyncio.to_thread(
                    _late, entry.document.type, base.update, updates, dropped
                )
            except (VersionNotFound, DocumentNotFound, SnapshotError):
                continue  # it has expired, or is damaged
            if found is not None:
                putting = _put_beside(checkpointer, entry, found, version_id)
                return await to_its_end(putting)
    return None


async def _replaced(checkpointer: Checkpointer, entry: DocumentState) -> list[str]:
    """The ids of versions that were replaced by the file, newest first."""
    page = await checkpointer.archive.history(
        entry.document, kinds=("snapshot",), limit=_LOOKED_AT, details=True
    )
    ids = [replaced_by_reset(each.origin) for each in page.versions]
    return list(dict.fromkeys(each for each in ids if each is not None))[:_RESETS]


def _late(type: str | None, base: bytes, updates: Sequence[bytes], dropped: Ranges) -> bytes | None:
    from ..ydoc import content  # jupyter_ydoc is slow to import

    found = with_late(base, updates, dropped)
    if found is None:
        return None
    before, after = (content.hash_of(content.of_update(type, each)) for each in (base, found))
    return None if before == after else found


async def _put_beside(
    checkpointer: Checkpointer, entry: DocumentState, update: bytes, replaced: str
) -> Late | None:
    archive, document, facts = checkpointer.archive, entry.document, entry.facts
    async with entry.writing:
        current = await archive.snapshots.current(document)
        if current is None:
            return None  # deleted meanwhile
        late = await archive.save(
            document,
            update,
            VersionMetadata(
                lineage=lineage_of(update),
                parent=current.version_id,
                authors=tuple(sorted(checkpointer.authors_of(entry))),
                origin=late_for(replaced),
            ),
            parent_etag=current.etag,
        )
        again = await _put_again(checkpointer, entry, current, late)
        if facts.version_id == current.version_id:
            facts.version_id, facts.etag = again.version_id, again.etag
            await checkpointer.set_facts(entry)
    return Late(late.version_id, replaced)


async def _put_again(
    checkpointer: Checkpointer, entry: DocumentState, current: Snapshot, late: WriteResult
) -> WriteResult:
    """Make the document current again, with what others may have written meanwhile."""
    known = replace(
        current.facts, parent=late.version_id, authors=(), updates=0, origin="checkpoint"
    )
    attempt = 0
    while True:
        try:
            again = await checkpointer.archive.save(
                entry.document, current.update, known.renewed(), parent_etag=late.etag
            )
        except BookstoreError:
            attempt += 1
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(2**attempt / 4)
        else:
            checkpointer.sync.take_merged(entry, again.merged)
            return again
