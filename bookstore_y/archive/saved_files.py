"""Saved files: the bytes of each save, as a version under the file's own path."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import replace

from .. import keys
from ..errors import BucketUnavailable, DocumentNotFound
from ..s3.bucket import Bucket
from ..s3.objects import ObjectVersion, StoredObject
from ..settings import BookstoreSettings
from .snapshot_writer import SnapshotWriter
from .version import Version, VersionMetadata, version_of

READINGS = 3
"""Times that a file is read before the way to the bucket is taken to be broken."""


class Files:
    """The saved files of one bucket."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings, saving: SnapshotWriter) -> None:
        self._bucket = bucket
        self._settings = settings
        self.saving = saving

    def key(self, path: str) -> str:
        """The key of the file's saves. Raises `InvalidPath`."""
        return keys.file_key(self._settings.workspace_prefix, path)

    async def save(
        self,
        path: str,
        body: bytes,
        *,
        authors: Iterable[str] = (),
        origin: str = "save",
        content_type: str = "application/octet-stream",
        anew: bool = False,
    ) -> Version | None:
        """Write a file as its new version; None if that is what the current version says.

        `anew` says that the current version is another file's, whose deletion the bucket has not
        followed. Of two servers that save one file at once the later is current, and both stay.
        """
        facts = VersionMetadata(origin=origin, authors=tuple(authors))
        return await self.put(self.key(path), path, body, facts, content_type, anew=anew)

    async def put(
        self,
        key: str,
        path: str,
        body: bytes,
        facts: VersionMetadata,
        content_type: str,
        *,
        kind: str = "save",
        anew: bool = False,
    ) -> Version | None:
        """Write a version of `key`, unless it is what the current one says. With `anew` it
        begins a history."""
        await self.saving.ensure_checked()
        digest = await asyncio.to_thread(_sha256, body)
        parent = ""
        with contextlib.suppress(DocumentNotFound):
            current = None if anew else await self._bucket.head(key)
            if current is not None and await asyncio.to_thread(_says, current, body, digest):
                return None
            parent = "" if current is None else current.version_id
        facts = replace(facts, parent=parent, digest=digest)
        metadata = facts.to_metadata()
        written = await self._bucket.put(key, body, metadata, content_type=content_type)
        if written.version_id == "null":
            self.saving.checked = False  # versioning was suspended
        stored = await self._bucket.head(key, written.version_id)
        return version_of(stored, path, kind=kind, is_latest=True)

    async def read(self, key: str, version_id: str | None = None) -> StoredObject:
        """Read a version. One that is not what was written is read again, as a bit may have
        flipped on the way. Raises `DocumentNotFound`, `VersionNotFound`, `DocumentTooLarge`."""
        arrived: list[bytes] = []
        while True:
            limit = self._settings.max_document_size
            stored = await self._bucket.get(key, version_id, max_size=limit)
            digest = VersionMetadata.from_metadata(stored.metadata).digest
            # Another program may have written other bytes with our metadata: so be it, if they
            # arrive twice alike.
            if digest in ("", await asyncio.to_thread(_sha256, stored.body)):
                return stored
            if stored.body in arrived:
                return stored
            arrived.append(stored.body)
            if len(arrived) > READINGS:
                raise BucketUnavailable(
                    f"{key!r} in {self._bucket.where} arrives damaged, and different each time; "
                    "check the network and any proxy on the way."
                )

    async def _exists(self, key: str) -> bool:
        try:
            await self._bucket.head(key)
        except DocumentNotFound:
            return False
        return True

    async def delete(self, path: str) -> None:
        """Put a delete marker on the file, if it is there. All of its versions stay."""
        if await self._exists(self.key(path)):
            await self._bucket.delete(self.key(path))

    async def under(self, path: str) -> list[tuple[str, ObjectVersion]]:
        """The file at `path`, or the files in the directory at `path`, that the bucket holds now,
        each with its current version."""
        prefix = self._settings.workspace_prefix
        key = self.key(path)
        page = await self._bucket.listing.page(key, limit=1)
        here = [(path, entry) for entry in page.entries if _is_there(entry) and entry.key == key]
        below = [
            (entry.key[len(prefix) :], entry)
            async for entry in self._bucket.listing.under(f"{key}/")
            if _is_there(entry) and not entry.key.endswith(keys.SNAPSHOT_SUFFIX)
        ]
        return here + below


def _is_there(entry: ObjectVersion) -> bool:
    return entry.is_latest and not entry.is_delete_marker


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _says(current: StoredObject, body: bytes, digest: str) -> bool:
    known = VersionMetadata.from_metadata(current.metadata).digest
    if known:
        return known == digest
    # Written by another program, nteract's bookstore say: the ETag of a plain PUT is the MD5.
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return current.size == len(body) and current.etag.strip('"') == md5
