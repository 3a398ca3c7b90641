"""Finding the current version of a document, also while the bucket has not followed its renames."""

from __future__ import annotations

from collections.abc import Sequence

from ..archive.archive import Archive
from ..archive.version import Snapshot
from ..errors import DocumentNotFound, VersionNotFound
from .path_change import Whereabouts


async def is_current(archive: Archive, places: Sequence[Whereabouts], version_id: str) -> bool:
    """Whether a version is the current one. Raises `DocumentNotFound` when there is none."""
    for place in places:
        if place.version_id:
            return place.version_id == version_id
        if not place.gone:
            try:
                return await archive.snapshots.is_current(place.document, version_id)
            except DocumentNotFound:
                continue
        current = await archive.renaming.current(archive.key(place.document))
        if current is not None and current.version_id not in place.gone:
            return current.version_id == version_id
    raise _nowhere(places)


async def load(archive: Archive, places: Sequence[Whereabouts]) -> Snapshot:
    """The current version. Raises like `Archive.load_snapshot`."""
    missing: DocumentNotFound | None = None
    for place in places:
        try:
            if place.version_id:
                return await archive.load_snapshot(place.document, place.version_id)
            if not place.gone:
                return await archive.load_snapshot(place.document)
            current = await archive.renaming.current(archive.key(place.document))
            if current is not None and current.version_id not in place.gone:
                return await archive.load_snapshot(place.document, current.version_id)
        except VersionNotFound:  # it was removed for good
            continue
        except DocumentNotFound as error:
            missing = error
    raise missing or _nowhere(places)


def _nowhere(places: Sequence[Whereabouts]) -> DocumentNotFound:
    names = ", ".join(str(place.document) for place in places[:1]) or "The document"
    return DocumentNotFound(f"{names} was deleted, and nothing has been archived there since.")
