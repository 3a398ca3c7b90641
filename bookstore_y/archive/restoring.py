"""Restoring an old version, and undeleting.

Both move forward: the old content is new edits, or a new version, on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DocumentNotFound, SnapshotError, UnsupportedDocument, VersionNotFound
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import ObjectVersion
from ..ydoc.kinds import kind_of
from ..ydoc.summary import lineage_of
from ..ydoc.updates import EMPTY_UPDATE
from .file_content import FileContent, of_file
from .history import History
from .metadata_cache import MetadataCache
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .snapshot_writer import SnapshotWriter
from .version import Snapshot, Version, VersionMetadata, version_of
from .version_keys import Place, VersionKeys

log = logging.getLogger("bookstore_y.restoring")

SEARCHED = 20
"""Versions before a damaged one that are read to find one that is not, at most."""

SKEW = 60.0
"""Seconds within which the delete markers of one file are of one deletion."""


@dataclass(frozen=True)
class _Base:
    """What restored content goes on top of: a readable state of the document, and the id and ETag
    of the version that is current, which may be another. The ETag is empty if none is."""

    update: bytes
    facts: VersionMetadata
    parent: str
    etag: str


class Restoring:
    """Restores the files of one bucket."""

    def __init__(
        self,
        bucket: Bucket,
        places: VersionKeys,
        history: History,
        details: MetadataCache,
        reading: SnapshotReader,
        saving: SnapshotWriter,
        files: Files,
    ) -> None:
        self._bucket = bucket
        self._places = places
        self._history = history
        self._details = details
        self._reading = reading
        self._saving = saving
        self._files = files

    async def restore(self, path: str | Document, old: FileContent) -> Version:
        """Make a file say what one of its versions says: each of its documents, and what was
        saved of it, as far as they are there; if it was deleted, as far as they were.

        Raises `UnsupportedDocument` for a document whose type jupyter_ydoc does not know.
        """
        if isinstance(path, Document):
            said = await asyncio.to_thread(_said_in, path, old)
            return await self._document(path, said, old.version)
        found = await self._places.of(path, ("snapshot", "save"), 2)
        alive = [each.place for each in found if not each.entries[0].is_delete_marker]
        places = alive or [each.place for each in found if await self._last(each.place)]
        rooms = [Document(path, place.type) for place in places if place.kind == "snapshot"]
        # All is known to be possible before anything is written.
        said = [(room, await asyncio.to_thread(_said_in, room, old)) for room in rooms]
        restored = [await self._document(room, content, old.version) for room, content in said]
        if Place("save", path) in places or not restored:
            raw = await asyncio.to_thread(old.raw)
            origin = f"restore:{old.version.version_id}"
            saved = await self._files.save(path, raw, origin=origin, content_type=old.mimetype)
            restored.append(saved or await self._history.at(path, None, ("save",)))
        return restored[0]

    async def _document(self, document: Document, said: Any, old: Version) -> Version:
        from ..ydoc import content  # jupyter_ydoc is slow to import

        place = Place("snapshot", document.path, document.type)
        key = self._places.key(place)
        base = await self._base(place, old)
        update = await asyncio.to_thread(content.restored, document.type, base.update, said)
        facts = replace(
            base.facts,
            lineage=base.facts.lineage or lineage_of(update),
            parent=base.parent,
            origin=f"restore:{old.version_id}",
            authors=(),
            updates=1,
        )
        saved = await self._saving.save(document, update, facts.renewed(), parent_etag=base.etag)
        stored = await self._bucket.head(key, saved.version_id)
        return version_of(stored, document.path, document.type, is_latest=True)

    async def _base(self, place: Place, old: Version) -> _Base:
        """What the old content goes on top of. Raises `DocumentNotFound` if there never was any."""
        key = self._places.key(place)
        try:
            current = await self._reading.read(key)
        except DocumentNotFound:  # it was deleted: the last state goes on
            last = await self._last(place)
            if last is None:
                raise
            parent, etag = last.version_id, ""
        except SnapshotError as error:
            damaged = await self._bucket.head(key)
            parent, etag = damaged.version_id, damaged.etag
            log.warning("Version %s of %r is replaced, being damaged. %s", parent, key, error)
        else:
            return _Base(current.update, current.facts, current.version_id, current.etag)
        last_good = await self._readable(key, old)
        if last_good is None:
            return _Base(EMPTY_UPDATE, VersionMetadata(), parent, etag)
        return _Base(last_good.update, last_good.facts, parent, etag)

    async def _readable(self, key: str, old: Version) -> Snapshot | None:
        """The newest version of a document that can be read, of which those who have it open have
        the history; None if `SEARCHED` versions and the old one cannot."""
        searched = 0
        async for entry in self._bucket.listing.versions(key, first_page=SEARCHED):
            if entry.is_delete_marker:
                continue
            if searched == SEARCHED:
                break
            searched += 1
            with contextlib.suppress(SnapshotError, VersionNotFound):
                return await self._reading.read(key, entry.version_id)
        if old.key == key:
            with contextlib.suppress(SnapshotError, VersionNotFound):
                return await self._reading.read(key, old.version_id)
        return None

    async def _last(self, place: Place) -> ObjectVersion | None:
        """The last version of a place, before any deletion."""
        async for entry in self._bucket.listing.versions(self._places.key(place), first_page=20):
            if not entry.is_delete_marker:
                return entry
        return None

    async def undelete(self, path: str) -> list[Version]:
        """Bring a deleted file back: the last version of each of its documents, and of what was
        saved of it, goes on top of the delete marker.

        Returns the new versions; none if the file is there. Raises `DocumentNotFound` if it
        never was.
        """
        found = await self._places.of(path, ("snapshot", "save"), 2)
        if any(not each.entries[0].is_delete_marker for each in found):
            return []
        last = [(each.place, each.entries[0], await self._last(each.place)) for each in found]
        there = [(place, marker, version) for place, marker, version in last if version]
        if not there:
            raise DocumentNotFound(
                f"The {self._bucket.where} holds no version of {path}; check the path and the "
                "workspace prefix."
            )
        newest = max(marker.last_modified for _, marker, _ in there)
        return [
            await self._back(place, version)
            for place, marker, version in there
            if (newest - marker.last_modified).total_seconds() <= SKEW
        ]

    async def _back(self, place: Place, version: ObjectVersion) -> Version:
        key = self._places.key(place)
        stored = await self._bucket.head(key, version.version_id)
        facts = replace(
            VersionMetadata.from_metadata(stored.metadata),
            parent=version.version_id,
            origin=f"undelete:{version.version_id}",
            authors=(),
            updates=0,
        ).renewed()
        await self._bucket.copy(
            key, version.version_id, key, facts.to_metadata(), content_type=stored.content_type
        )
        latest = await self._bucket.head(key)
        return version_of(latest, place.path, place.type, kind=place.kind, is_latest=True)


def _said_in(document: Document, old: FileContent) -> Any:
    """The content of a version as a room of that type has it. Raises `UnsupportedDocument`."""
    from ..ydoc import content  # jupyter_ydoc is slow to import

    if document.type is None:
        raise UnsupportedDocument(
            f"{document} has no document type, so its content cannot be told from its "
            "history; load the version and edit the document in your program."
        )
    said = _converted(document, old)
    content.check(document.type, said)
    return said


def _converted(document: Document, old: FileContent) -> Any:
    if kind_of(document.type).is_notebook:
        said = old if old.type == "notebook" else of_file(old.version, old.raw())
        if said.type == "notebook":
            return said.content
    elif document.type == "blob":
        return old.raw()
    elif old.type == "notebook":
        return old.raw().decode()
    elif old.format == "text":
        return old.content
    raise UnsupportedDocument(
        f"{document} cannot say what version {old.version.version_id} says, which is no "
        f"{document.type}; clone the version to a file of another name."
    )
