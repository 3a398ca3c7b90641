"""Reading snapshots from the bucket, and detecting damage in transit."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..aio import run_in_thread_if_large
from ..errors import BucketUnavailable, DocumentNotFound, SnapshotError, VersionNotFound
from ..s3.bucket import Bucket
from ..s3.objects import StoredObject
from ..settings import BookstoreSettings
from ..ydoc.frame import opened, size_of
from ..ydoc.summary import lineage_of
from ..ydoc.updates import EMPTY_STATE
from .version import Snapshot, VersionMetadata

log = logging.getLogger("bookstore_y.reading")

READINGS = 5
"""Times that a version is read before the way to the bucket is taken to be broken."""


class SnapshotReader:
    """Reads the snapshots of one bucket."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._bucket = bucket
        self._settings = settings

    async def read(
        self, key: str, version_id: str | None = None, *, max_growth: int | None = None
    ) -> Snapshot:
        """Read a version. One that cannot be used is read again, since a bit may have flipped on
        the way: only what arrives twice as the same bytes is what the bucket holds.

        `max_growth` is how many times its stored size the document may have, for one that anybody
        may have written. Raises what `snapshot.opened` and `Bucket.get` raise.
        """
        limit = self._settings.max_document_size
        arrived: list[bytes] = []
        while True:
            stored = await self._bucket.get(key, version_id, max_size=limit)
            try:
                return await run_in_thread_if_large(
                    size_of(stored.body), _open, stored, limit, max_growth
                )
            except SnapshotError:
                if stored.body in arrived:
                    raise
                arrived.append(stored.body)
                if len(arrived) > READINGS:
                    raise BucketUnavailable(
                        f"{key!r} in {self._bucket.where} arrives damaged, and different each "
                        "time; check the network and any proxies."
                    ) from None

    async def look(self, key: str, version_id: str | None = None) -> Snapshot | None:
        """A version, for merging: with an empty update if it cannot be read. None if there is
        none."""
        try:
            try:
                return await self.read(key, version_id)
            except SnapshotError as error:
                stored = await self._bucket.head(key, version_id)
                log.warning("Version %s of %r is unusable: %s", stored.version_id, key, error)
        except (DocumentNotFound, VersionNotFound):
            return None
        facts = VersionMetadata.from_metadata(stored.metadata)
        return _snapshot(b"", EMPTY_STATE, stored, facts)


def _open(stored: StoredObject, max_size: int, max_growth: int | None) -> Snapshot:
    update, state = opened(stored.body, max_size, max_growth)
    facts = VersionMetadata.from_metadata(stored.metadata)
    if not facts.lineage:
        facts = replace(facts, lineage=lineage_of(update))
    return _snapshot(update, state, stored, facts)


def _snapshot(
    update: bytes, state: bytes, stored: StoredObject, facts: VersionMetadata
) -> Snapshot:
    at = stored.last_modified
    return Snapshot(update, state, stored.version_id, stored.etag, at, facts)
