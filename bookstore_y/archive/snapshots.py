"""The snapshots of documents in the bucket: which are there, and which is current."""

from __future__ import annotations

from dataclasses import replace

from .. import keys
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import Copied, ObjectVersion
from ..settings import BookstoreSettings
from .snapshot_reader import SnapshotReader
from .version import Snapshot, Version, VersionMetadata, version_of
from .version_keys import VersionKeys


class Snapshots:
    """The snapshots of one bucket, by their documents. Raises like `Archive`."""

    def __init__(
        self,
        bucket: Bucket,
        settings: BookstoreSettings,
        reading: SnapshotReader,
        places: VersionKeys,
    ) -> None:
        self._bucket = bucket
        self._settings = settings
        self._reading = reading
        self._places = places

    def _key(self, document: Document) -> str:
        return keys.snapshot_key(self._settings.workspace_prefix, document)

    async def is_current(self, document: Document, version_id: str) -> bool:
        """Whether a version is the current one. Raises `DocumentNotFound` when there is none."""
        return (await self._bucket.head(self._key(document))).version_id == version_id

    async def lineage(self, document: Document, version_id: str | None = None) -> str:
        """The lineage of a version, or of the current one, by its metadata alone; empty if that
        does not say. Raises `DocumentNotFound` and `VersionNotFound`."""
        stored = await self._bucket.head(self._key(document), version_id)
        return VersionMetadata.from_metadata(stored.metadata).lineage

    async def current(self, document: Document) -> Snapshot | None:
        """The current version, with an empty update if it cannot be read; None if there is none."""
        return await self._reading.look(self._key(document))

    async def put_back(self, document: Document, snapshot: Snapshot) -> Copied:
        """Make a version the current one again, as it is."""
        facts = replace(snapshot.facts, parent=snapshot.version_id, authors=(), updates=0)
        key = self._key(document)
        return await self._bucket.copy(key, snapshot.version_id, key, facts.renewed().to_metadata())

    async def version(self, document: Document, version_id: str) -> Version:
        """What the bucket knows of the version just written. Raises `VersionNotFound`."""
        stored = await self._bucket.head(self._key(document), version_id)
        return version_of(stored, document.path, document.type, is_latest=True)

    async def newest(self, path: str) -> dict[Document, ObjectVersion]:
        """The documents of a file, and the newest version or delete marker of each."""
        found = await self._places.of(path, ("snapshot",), 2)
        return {Document(path, each.place.type): each.entries[0] for each in found}

    async def under(self, path: str) -> list[tuple[Document, ObjectVersion]]:
        """The documents of the file at `path`, or of the files in the directory at `path`, that the
        bucket holds now, each with its current version."""
        keys.check_path(path)
        found = [
            (document, version)
            for document, version in (await self.newest(path)).items()
            if not version.is_delete_marker
        ]
        prefix = self._settings.workspace_prefix
        async for version in self._bucket.listing.under(f"{prefix}{path}/"):
            if version.is_latest and not version.is_delete_marker:
                document = keys.document_of(prefix, version.key)
                if document is not None:
                    found.append((document, version))
        return found

    async def documents_under(self, path: str) -> list[Document]:
        """The same, without the versions."""
        return [document for document, _ in await self.under(path)]
