"""Listings of a bucket: versions and delete markers, and current objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timezone
from typing import Any

from .objects import CurrentObject, ListPage, ObjectPage, ObjectVersion, in_order, listed
from .requests import Requests


class Listing:
    """Lists what is in a bucket. Raises like `Bucket`."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def versions(self, key: str, *, first_page: int = 1000) -> AsyncIterator[ObjectVersion]:
        """The versions and delete markers of one key, newest first.

        A request a thousand; the first asks for `first_page`, for those who may stop there.
        """
        async for version in self._list(key, first_page):
            if version.key == key:
                yield version
            elif version.key > key:  # keys come in order, so the rest are others' too
                return

    async def under(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """The versions and delete markers of all keys under a prefix, by key, newest first."""
        async for version in self._list(prefix):
            yield version

    async def _list(self, prefix: str, first_page: int = 1000) -> AsyncIterator[ObjectVersion]:
        page = await self.page(prefix, limit=first_page)
        given = 0
        while True:
            for version in page.entries:
                yield version
            given += len(page.entries)
            if page.next is None:
                return
            after, page = page.next, await self.page(prefix, after=page.next)
            if page.next == after:
                raise self._requests.not_s3(f"list the versions of {prefix!r} in")
            if not page.entries and first_page < 1000:
                # LocalStack 4.8 does not find the place again when the key has a plus in it.
                page = await self.page(prefix)
                page = replace(page, entries=page.entries[given:])

    async def page(
        self,
        prefix: str,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 1000,
        delimiter: str = "",
    ) -> ListPage:
        """One request for versions and delete markers under a prefix: `limit` entries at most,
        which S3 holds to 1,000, beginning after a key and version id. Keys that go on with a
        `delimiter` are cut there, and listed once, as prefixes."""
        chosen: dict[str, Any] = {"MaxKeys": limit} if limit < 1000 else {}
        if delimiter:
            chosen["Delimiter"] = delimiter
        if after is not None:
            chosen["KeyMarker"] = after[0]
            if after[1]:
                chosen["VersionIdMarker"] = after[1]
        what = f"list the versions of {prefix!r} in"
        answer = await self._requests.call(
            what,
            lambda s3: s3.list_object_versions(Bucket=self._requests.name, Prefix=prefix, **chosen),
        )
        entries = list(
            in_order(
                [listed(entry, False) for entry in answer.get("Versions", [])],
                [listed(entry, True) for entry in answer.get("DeleteMarkers", [])],
            )
        )
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        following = None
        if self._requests.field(answer, "IsTruncated"):
            # The next marker is the last key. Ceph does not encode it as it does the keys, so
            # botocore decodes it wrongly.
            last = max([entry.key for entry in entries[-1:]] + prefixes[-1:], default="")
            last = last or self._requests.field(answer, "NextKeyMarker")
            following = (last, answer.get("NextVersionIdMarker") or "")
        return ListPage(entries, prefixes, following)

    async def object_page(
        self, prefix: str, *, after: str | None = None, limit: int = 1000, delimiter: str = ""
    ) -> ObjectPage:
        """One request for `limit` of the current objects under a prefix at most. However many
        versions there are, it costs nothing; what is deleted is left out.

        `after` is the `next` of the page before. Keys that go on with a `delimiter` are cut
        there, and listed once, as prefixes.
        """
        chosen: dict[str, Any] = {"MaxKeys": limit} if limit < 1000 else {}
        if delimiter:
            chosen["Delimiter"] = delimiter
        if after is not None:
            chosen["ContinuationToken"] = after
        what = f"list {prefix!r} in"
        answer = await self._requests.call(
            what, lambda s3: s3.list_objects_v2(Bucket=self._requests.name, Prefix=prefix, **chosen)
        )
        objects = [
            CurrentObject(
                entry["Key"], entry["LastModified"].astimezone(timezone.utc), entry.get("Size", 0)
            )
            for entry in answer.get("Contents", [])
        ]
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        following = None
        if self._requests.field(answer, "IsTruncated"):
            following = self._requests.field(answer, "NextContinuationToken")
            if following == after:
                raise self._requests.not_s3(what)
        return ObjectPage(objects, prefixes, following)
