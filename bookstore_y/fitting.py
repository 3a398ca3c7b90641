"""Fitting: whether a recovery file that is not known to be of this bucket belongs to it.

After a fail-over the bucket is at another endpoint, and may have another name. What was pending is
then in a file that is named after the former one. The documents in it tell whether this bucket goes
on with theirs: S3's replication keeps version ids, and every copy keeps the lineages.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from enum import Enum
from pathlib import Path

from . import buffer_file
from .archive import Archive
from .buffer import Facts
from .errors import BookstoreError, InvalidPath, NotFound, UpdateBufferError
from .keys import Document
from .recovery import Recovery, Stranger

PATIENCE = 5.0
"""Seconds that a starting server takes at most to ask the bucket."""


class Fit(Enum):
    """What the bucket says of the documents of a file."""

    SAME = "it has the very versions that they build on"
    ALIKE = "it has their histories"
    APART = "it has other histories under their names"
    UNKNOWN = "it has none of them, or cannot be asked"


async def choose(archive: Archive, recovery: Recovery) -> None:
    """Decide which of `recovery.strangers` are taken up. Never raises for the bucket's sake."""
    strangers = await asyncio.to_thread(recovery.strangers)
    if not strangers:
        return
    fits: dict[Path, Fit] = {}

    async def ask() -> None:
        for stranger in strangers:
            fits[stranger.path] = await fit_of(archive, stranger.path)

    with contextlib.suppress(asyncio.TimeoutError, BookstoreError):
        await asyncio.wait_for(ask(), PATIENCE)
    for stranger in strangers:
        fit = fits.get(stranger.path, Fit.UNKNOWN)
        recovery.decide(stranger, belongs=_belongs(stranger, fit), final=fit is Fit.APART)


def _belongs(stranger: Stranger, fit: Fit) -> bool:
    if stranger.same_place:  # a bucket of this name and prefix, elsewhere
        return fit is not Fit.APART
    if stranger.same_name:
        return fit in (Fit.SAME, Fit.ALIKE)
    return fit is Fit.SAME


async def fit_of(archive: Archive, path: Path) -> Fit:
    """What the bucket says of a recovery file's documents. Raises a `BookstoreError` when it
    cannot be asked."""
    fits = set()
    for document, facts in await asyncio.to_thread(_documents_of, path):
        fits.add(await _fit_of(archive, document, facts))
    for fit in (Fit.APART, Fit.SAME, Fit.ALIKE):
        if fit in fits:
            return fit
    return Fit.UNKNOWN


async def _fit_of(archive: Archive, document: Document, facts: Facts) -> Fit:
    if not facts.lineage:
        return Fit.UNKNOWN
    with contextlib.suppress(NotFound):
        if facts.version_id and await archive.lineage(document, facts.version_id) == facts.lineage:
            return Fit.SAME
    try:
        current = await archive.lineage(document)
    except NotFound:
        return Fit.UNKNOWN
    if not current:
        return Fit.UNKNOWN
    return Fit.ALIKE if current == facts.lineage else Fit.APART


def _documents_of(path: Path) -> list[tuple[Document, Facts]]:
    """The documents with something pending; none for a file that is in use or unreadable."""
    try:
        db = buffer_file.connect(str(path), make=False)
    except UpdateBufferError:
        return []
    try:
        rows = db.execute(
            "SELECT DISTINCT path, type, facts FROM documents JOIN updates "
            "ON documents.id = document WHERE seq > persisted"
        ).fetchall()
        return [(Document(name, kind), Facts.from_json(text)) for name, kind, text in rows]
    except (sqlite3.Error, InvalidPath, UnicodeDecodeError):
        return []
    finally:
        db.close()
