"""Publishing what is finished, and fetching what is to be cloned."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from .. import keys
from ..errors import (
    BucketNotAllowed,
    BucketNotFound,
    ConfigurationError,
    DocumentNotFound,
)
from ..keys import Document
from ..s3.bucket import Bucket
from ..settings import BookstoreSettings
from . import file_content
from .file_content import FileContent
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .version import Version, VersionMetadata, version_of
from .version_keys import VersionKeys

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""Names of buckets, those of before 2018 among them (S3 User Guide, "Bucket naming rules")."""


MAX_GROWTH = 100
"""How many times its stored size a document to clone may have, once it is large. Text takes five to
twenty times less when it is compressed; a few kB that anybody put there must not cost a GB here."""


class Publishing:
    """The published side of one bucket."""

    def __init__(
        self, bucket: Bucket, settings: BookstoreSettings, files: Files, reading: SnapshotReader
    ) -> None:
        self._bucket = bucket
        self._settings = settings
        self._files = files
        self._reading = reading
        self._snapshots = VersionKeys(bucket, settings, published=True)

    async def publish(self, content: FileContent, path: str) -> Version:
        """Publish what a version says under a path: the file, and with a snapshot its snapshot,
        too."""
        self._require_prefix()
        version = content.version
        origin = f"publish:{version.version_id}"
        room = version.type if version.kind == "snapshot" else None
        if room is not None:
            await self._copy(version, path, origin)
        await self._retract(path, room)
        raw = await asyncio.to_thread(content.raw)
        return await self._file(path, raw, content.mimetype, origin, version.authors)

    async def file(
        self,
        path: str,
        raw: bytes,
        *,
        authors: Iterable[str] = (),
        content_type: str = "application/x-ipynb+json",
    ) -> Version:
        """Publish a file. Returns the version that is published already, if it is the same."""
        keys.check_path(path)
        self._require_prefix()
        await self._retract(path)
        return await self._file(path, raw, content_type, "publish", authors)

    async def _file(
        self, path: str, raw: bytes, content_type: str, origin: str, authors: Iterable[str]
    ) -> Version:
        key = keys.file_key(self._settings.published_prefix, path)
        facts = VersionMetadata(origin=origin, authors=tuple(authors))
        written = await self._files.put(key, path, raw, facts, content_type, kind="published")
        if written is not None:
            return written
        return version_of(await self._bucket.head(key), path, kind="published", is_latest=True)

    def _require_prefix(self) -> None:
        """Raise `ConfigurationError` if what is published would stand among what is worked on."""
        if self._settings.published_prefix in ("", self._settings.workspace_prefix):
            raise ConfigurationError(
                "Nothing can be published under an empty prefix, or under that of the workspace; "
                "give c.BookstoreSettings.published_prefix another."
            )

    async def _retract(self, path: str, keep: str | None = None) -> None:
        """Delete the published snapshots that do not say what the file is going to."""
        for found in await self._snapshots.of(path, ("snapshot",), 1):
            if found.place.type != keep and not found.entries[0].is_delete_marker:
                await self._bucket.delete(self._snapshots.key(found.place))

    async def _copy(self, version: Version, path: str, origin: str) -> None:
        document = Document(path, version.type)
        target = keys.snapshot_key(self._settings.published_prefix, document)
        snapshot = await self._bucket.head(version.key, version.version_id)
        facts = VersionMetadata.from_metadata(snapshot.metadata)
        try:
            published = VersionMetadata.from_metadata((await self._bucket.head(target)).metadata)
            if published.origin == origin:
                return
        except DocumentNotFound:
            pass
        metadata = VersionMetadata(
            lineage=facts.lineage, parent=version.version_id, origin=origin, authors=facts.authors
        ).to_metadata()
        await self._bucket.copy(version.key, version.version_id, target, metadata)

    async def fetch(
        self, key: str, bucket: str | None = None, version_id: str | None = None
    ) -> FileContent:
        """The content of any object of a bucket that may be cloned from; of a snapshot's key the
        file that it is of. Raises `BucketNotAllowed`, `DocumentNotFound`, `VersionNotFound`, and
        `DocumentTooLarge`, also for a small object that holds a huge document."""
        name = bucket or self._settings.require_bucket()
        if not key or not _is_text(key) or len(key.encode()) > keys.MAX_KEY_BYTES:
            raise DocumentNotFound(f"No object can have the key {key[:80]!r}; give another.")
        if not _BUCKET.fullmatch(name):
            raise BucketNotFound(f"No bucket can have the name {name[:80]!r}; give another.")
        if not self._settings.may_clone_from(name):
            raise BucketNotAllowed(
                f"Objects of the bucket {name!r} may not be cloned here; whoever runs this "
                "server can add it to c.BookstoreSettings.clone_buckets."
            )
        if name == self._settings.s3_bucket:
            return await self._fetch(self._bucket, self._files, self._reading, key, version_id)
        settings = self._settings.for_bucket(name)
        async with Bucket(settings) as other:
            files = Files(other, settings, self._files.saving)
            return await self._fetch(other, files, SnapshotReader(other, settings), key, version_id)

    async def _fetch(
        self,
        bucket: Bucket,
        files: Files,
        reading: SnapshotReader,
        key: str,
        version_id: str | None,
    ) -> FileContent:
        document = keys.document_of("", key)
        if document is not None:
            snapshot = await reading.read(key, version_id, max_growth=MAX_GROWTH)
            facts = snapshot.facts
            version = Version(
                version_id=snapshot.version_id,
                key=key,
                last_modified=snapshot.last_modified,
                size=len(snapshot.update),
                is_latest=version_id is None,
                authors=facts.authors,
                origin=facts.origin,
                path=document.path,
                type=document.type,
            )
            return await asyncio.to_thread(file_content.of_update, version, snapshot.update)
        stored = await files.read(key, version_id)
        version = version_of(stored, key, kind="save", is_latest=version_id is None)
        return await asyncio.to_thread(file_content.of_file, version, stored.body)


def _is_text(text: str) -> bool:
    return text.encode(errors="ignore").decode() == text
