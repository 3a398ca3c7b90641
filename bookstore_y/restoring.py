"""Having an old version back, and what was deleted. Both move forward: the old content is new
edits, or a new version, on top."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from .body import Content
from .bucket import Bucket
from .details import Details
from .errors import DocumentNotFound, UnsupportedDocument
from .files import Files
from .history import History
from .keys import Document
from .places import Place, Places
from .reading import Reading
from .saving import Saving
from .version import Facts, Snapshot, Version, version_of

SKEW = 60.0
"""Seconds within which the delete markers of one file are of one deletion."""


class Restoring:
    """Restores the files of one bucket."""

    def __init__(
        self,
        bucket: Bucket,
        places: Places,
        history: History,
        details: Details,
        reading: Reading,
        saving: Saving,
        files: Files,
    ) -> None:
        self._bucket = bucket
        self._places = places
        self._history = history
        self._details = details
        self._reading = reading
        self._saving = saving
        self._files = files

    async def restore(self, path: str | Document, old: Content) -> Version:
        """Make a file say what one of its versions says: each of its documents, and what was
        saved of it, as far as they are there; if it was deleted, as far as they were.

        Raises `UnsupportedDocument` for a document whose type jupyter_ydoc does not know.
        """
        if isinstance(path, Document):
            return await self._document(path, old)
        found = await self._places.of(path, ("snapshot", "save"), 2)
        newest = [(each.place, await self._places.newest(each)) for each in found]
        alive = [place for place, entry in newest if not entry.is_delete_marker]
        places = alive or [place for place, entry in newest]
        restored = None
        for place in places:
            if place.kind == "snapshot" and (len(places) == 1 or place.type is not None):
                restored = await self._document(Document(path, place.type), old)
        if Place("save", path) not in places and restored is not None:
            return restored
        raw = await asyncio.to_thread(old.raw)
        origin = f"restore:{old.version.version_id}"
        saved = await self._files.save(path, raw, origin=origin, content_type=old.mimetype)
        return restored or saved or await self._history.at(path, None, ("save",))

    async def _document(self, document: Document, old: Content) -> Version:
        from . import content  # jupyter_ydoc is slow to import

        if document.type is None:
            raise UnsupportedDocument(
                f"{document} has no document type, so its content cannot be told from its "
                "history; load the version and edit the document in your program."
            )
        key = self._places.key(Place("snapshot", document.path, document.type))
        try:
            current = await self._reading.read(key)
            parent_etag = current.etag
        except DocumentNotFound:  # it was deleted: the last state goes on
            current = await self._last(document)
            parent_etag = ""
        said = old.content if old.type == "notebook" or old.format == "text" else old.raw()
        update = await asyncio.to_thread(content.restored, document.type, current.update, said)
        facts = replace(
            current.facts,
            parent=current.version_id,
            origin=f"restore:{old.version.version_id}",
            authors=(),
            updates=1,
        )
        saved = await self._saving.save(document, update, facts.renewed(), parent_etag=parent_etag)
        stored = await self._bucket.head(key, saved.version_id)
        return version_of(stored, document.path, document.type, is_latest=True)

    async def _last(self, document: Document) -> Snapshot:
        """The last state of a deleted document."""
        key = self._places.key(Place("snapshot", document.path, document.type))
        async for entry in self._bucket.list_versions(key, first_page=20):
            if not entry.is_delete_marker:
                return await self._reading.read(key, entry.version_id)
        raise DocumentNotFound(
            f"The {self._bucket.where} holds no snapshot of {document}; check the path and the "
            "workspace prefix."
        )

    async def undelete(self, path: str) -> list[Version]:
        """Bring a deleted file back: the last version of each of its documents, and of what was
        saved of it, goes on top of the delete marker.

        Returns the new versions; none if the file is there. Raises `DocumentNotFound` if it
        never was.
        """
        found = await self._places.of(path, ("snapshot", "save"), 2)
        if not found:
            raise DocumentNotFound(
                f"The {self._bucket.where} holds no version of {path}; check the path and the "
                "workspace prefix."
            )
        newest = [(each.place, await self._places.newest(each)) for each in found]
        if any(not marker.is_delete_marker for _, marker in newest):
            return []
        last = max(marker.last_modified for _, marker in newest)
        return [
            await self._back(place)
            for place, marker in newest
            if (last - marker.last_modified).total_seconds() <= SKEW
        ]

    async def _back(self, place: Place) -> Version:
        key = self._places.key(place)
        async for entry in self._bucket.list_versions(key, first_page=20):
            if not entry.is_delete_marker:
                break
        stored = await self._bucket.head(key, entry.version_id)
        facts = replace(
            Facts.from_metadata(stored.metadata),
            parent=entry.version_id,
            origin=f"undelete:{entry.version_id}",
            authors=(),
            updates=0,
        ).renewed()
        await self._bucket.copy(
            key, entry.version_id, key, facts.to_metadata(), content_type=stored.content_type
        )
        latest = await self._bucket.head(key)
        return version_of(latest, place.path, place.type, kind=place.kind, is_latest=True)
