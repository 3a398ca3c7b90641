"""A cache of versions' metadata and tags: origin, authors, parent and label."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from ..errors import (
    AccessDenied,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    VersionInColdStorage,
    VersionNotFound,
)
from ..s3.bucket import Bucket
from . import labels
from .version import Version, VersionMetadata

REMEMBERED = 10_000
"""Versions whose metadata is kept in memory: it never changes, unlike tags."""


class MetadataCache:
    """The details of one bucket's versions."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._facts: OrderedDict[tuple[str, str], VersionMetadata] = OrderedDict()

    async def facts(self, key: str, version_id: str) -> VersionMetadata:
        """A version's metadata. Raises `VersionNotFound`."""
        known = self._facts.get((key, version_id))
        if known is not None:
            return known
        stored = await self._bucket.head(key, version_id)
        return self._remember(key, version_id, stored.metadata)

    async def complete(self, version: Version) -> Version:
        """The version with its details. Raises `VersionNotFound`."""
        key, version_id = version.key, version.version_id
        facts = self._facts.get((key, version_id))
        tagged = True
        if facts is None:
            stored = await self._bucket.details(key, version_id)
            facts = self._remember(key, version_id, stored.metadata)
            tagged = stored.tag_count > 0
            version = replace(version, cold=stored.is_cold)
        elif version.cold:  # or S3 has brought it back, which no listing tells
            version = replace(version, cold=(await self._bucket.head(key, version_id)).is_cold)
        label = await self._label(key, version_id) if tagged else None
        return replace(
            version,
            authors=facts.authors,
            parent=facts.parent,
            origin=facts.origin,
            label=label,
        )

    async def labelled(self, version: Version) -> Version:
        """The version with its label."""
        return replace(version, label=await self._label(version.key, version.version_id))

    async def complete_all(
        self, versions: Sequence[Version], *, required: bool = False
    ) -> list[Version]:
        """The versions with their details, fetched at once, without those that were removed
        since they were listed.

        A version whose details the bucket refuses gets the reason in place of them, unless they
        are `required`: raises `AccessDenied` or `BucketError` then. Raises `BucketUnavailable`.
        """

        async def complete(version: Version) -> Version | None:
            try:
                return await self.complete(version)
            except VersionNotFound:
                return None
            except (BucketUnavailable, BucketNotFound):
                raise
            except BucketError as error:
                if required:
                    raise
                return replace(version, details_error=str(error))

        completed = await asyncio.gather(*map(complete, versions))
        return [version for version in completed if version is not None]

    async def _label(self, key: str, version_id: str) -> str | None:
        try:
            return labels.from_tags(await self._bucket.tags(key, version_id))
        except AccessDenied:
            # As AWS has it: who may not read tags is told that there are none.
            return None
        except VersionInColdStorage:  # moto 5.2, where AWS answers
            return None

    def _remember(self, key: str, version_id: str, metadata: dict[str, str]) -> VersionMetadata:
        facts = VersionMetadata.from_metadata(metadata)
        if version_id != "null":  # the id of every write to a bucket that keeps no versions
            self._facts[key, version_id] = facts
        if len(self._facts) > REMEMBERED:
            self._facts.popitem(last=False)
        return facts
