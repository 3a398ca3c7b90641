"""The documents as the bucket has them, and which version last had an edit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from ..archive.archive import Archive
from ..errors import BookstoreError, DocumentNotFound
from ..keys import Document
from ..settings import BookstoreSettings
from .copies import content_of_update, marks_in
from .judge import Copy
from .result import Failure

_TYPE = "notebook"
_SEARCHED = 20
"""Failures whose last version is looked for: each may have to read all versions."""


async def load(
    settings: BookstoreSettings, documents: Sequence[str], keep_in: Path
) -> tuple[list[Copy], list[str]]:
    """The current version of each document, and sentences on those that cannot be had."""
    copies: list[Copy] = []
    missing: list[str] = []
    async with Archive(settings) as archive:
        for path in documents:
            try:
                update = await archive.load(Document(path, _TYPE))
            except BookstoreError as error:
                missing.append(f"{path} cannot be loaded from the bucket: {error}")
                continue
            (keep_in / f"{quote(path, safe='')}.bucket.y").write_bytes(update)
            copies.append(Copy("bucket", path, content_of_update(update)))
    return copies, missing


async def trace(settings: BookstoreSettings, failures: Sequence[Failure]) -> list[Failure]:
    """The failures, the first of them with the id of the last version that had the edit once."""
    traced: list[Failure] = []
    seen: dict[str, dict[str, set[str]]] = {}
    async with Archive(settings) as archive:
        for failure in failures:
            if failure.mark and len(traced) < _SEARCHED:
                if failure.document not in seen:
                    seen[failure.document] = await _marks_by_version(archive, failure.document)
                had = (
                    version
                    for version, made in seen[failure.document].items()
                    if failure.mark in made
                )
                traced.append(replace(failure, last_version=next(had, None)))
            else:
                traced.append(failure)
    return traced


async def _marks_by_version(archive: Archive, path: str) -> dict[str, set[str]]:
    """The marks that each version has exactly once, newest version first."""
    document = Document(path, _TYPE)
    try:
        versions = await archive.versions(document)
    except DocumentNotFound:
        return {}
    found: dict[str, set[str]] = {}
    for version in versions:
        update = await archive.load(document, version.version_id)
        counts = marks_in(await asyncio.to_thread(content_of_update, update))
        found[version.version_id] = {mark for mark, count in counts.items() if count == 1}
    return found
