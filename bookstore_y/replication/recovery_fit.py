"""Fitting: whether a recovery file that is not known to be of this bucket belongs to it.

After a fail-over the bucket is at another endpoint, and may have another name. What was pending is
then in a file that is named after the former one. The documents in it tell whether this bucket goes
on with theirs: S3's replication keeps version ids, and every copy keeps the lineages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from ..archive.archive import Archive
from ..buffer.records import DocumentRecord
from ..buffer.recovery import Recovery, Stranger
from ..buffer.salvage import documents_of
from ..errors import BookstoreError, NotFound, UpdateBufferError
from ..keys import Document

PATIENCE = 5.0
"""Seconds that a starting server takes at most to ask the bucket."""


class Fit(Enum):
    """What the bucket says of the documents of a file: the first of these that it says of any."""

    APART = "it has other histories under their names"
    SAME = "it has the very versions that they build on"
    ALIKE = "it has their histories"
    ABSENT = "it does not have what they build on"
    NEW = "it has none of them, and they build on nothing"
    UNKNOWN = "it cannot tell"


async def choose(archive: Archive, recovery: Recovery) -> None:
    """Decide which of `recovery.strangers` are taken up. Never raises for the bucket's sake."""
    strangers = await asyncio.to_thread(recovery.strangers)
    if not strangers:
        return
    fits: dict[Path, Fit] = {}
    unread: set[Stranger] = set()

    async def ask() -> None:
        for stranger in strangers:
            try:
                documents = await asyncio.to_thread(documents_of, stranger.path)
            except (UpdateBufferError, OSError):
                unread.add(stranger)  # another process lives on it, say, or has archived it
                continue
            fits[stranger.path] = await fit_of(archive, documents)

    with contextlib.suppress(asyncio.TimeoutError, BookstoreError):
        await asyncio.wait_for(ask(), PATIENCE)
    for stranger in set(strangers) - unread:
        fit = fits.get(stranger.path, Fit.UNKNOWN)
        recovery.decide(stranger, belongs=_belongs(stranger, fit), final=fit is Fit.APART)


def _belongs(stranger: Stranger, fit: Fit) -> bool:
    if stranger.same_place:  # a bucket of this name and prefix, elsewhere
        return fit not in (Fit.APART, Fit.ABSENT)  # a replica may be behind
    if stranger.same_name:
        return fit in (Fit.SAME, Fit.ALIKE)
    return fit is Fit.SAME


async def fit_of(archive: Archive, documents: Sequence[tuple[Document, DocumentRecord]]) -> Fit:
    """What the bucket says of a recovery file's documents. Raises a `BookstoreError` when it
    cannot be asked."""
    fits = {await fit_of_one(archive, document, facts) for document, facts in documents}
    return next((fit for fit in Fit if fit in fits), Fit.NEW)


async def fit_of_one(archive: Archive, document: Document, facts: DocumentRecord) -> Fit:
    """What the bucket says of one document. Raises like `fit_of`."""
    with contextlib.suppress(NotFound):
        if facts.version_id:
            theirs = await archive.snapshots.lineage(document, facts.version_id)
            if theirs == facts.lineage:
                return Fit.SAME
    try:
        current = await archive.snapshots.lineage(document)
    except NotFound:
        return Fit.ABSENT if facts.version_id else Fit.NEW
    if not (current and facts.lineage):  # another program wrote it, or it was never archived
        return Fit.UNKNOWN
    return Fit.ALIKE if current == facts.lineage else Fit.APART
