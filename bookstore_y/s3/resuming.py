"""Resuming the listing of one key, even on servers that can't."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..errors import VersionNotFound
from .bucket import Bucket
from .objects import ObjectVersion

_AT_ONCE = timedelta(seconds=1)
"""By how much the times of one key's versions may be out of order, where several writers put at
the same time."""


async def beginning(
    bucket: Bucket, key: str, version_id: str, than: datetime, limit: int
) -> tuple[list[ObjectVersion], bool]:
    """Some `limit` versions and delete markers of one key, beginning with one of them, and
    whether there may be more. If that one is gone, those not later than a moment."""
    found: list[ObjectVersion] = []
    instead: list[ObjectVersion] = []
    async for entry in bucket.listing.versions(key, first_page=limit):
        if found or entry.version_id == version_id:
            found.append(entry)
            if len(found) == limit:
                return found, True
        elif entry.last_modified <= than and len(instead) < limit:
            instead.append(entry)
    return found or instead, len(instead) == limit and not found


async def older(
    bucket: Bucket,
    key: str,
    given: Sequence[str],
    than: datetime,
    limit: int,
    cursor: tuple[str, str] | None = None,
) -> tuple[list[ObjectVersion], tuple[str, str] | None, bool]:
    """Some `limit` versions and delete markers of one key that are older than the last of
    those `given`; where S3 says that the rest begins; and whether there may be more.

    Given are the ids of those of the moment `than` that are known already; `cursor` is what
    the page before was given. One request, and more if the server does not go on there.
    """
    page = await bucket.listing.page(key, after=cursor or (key, given[-1]), limit=limit)
    entries = [entry for entry in page.entries if entry.key == key]
    if entries and not entries[0].is_latest and entries[0].last_modified <= than + _AT_ONCE:
        following = page.next if len(entries) == len(page.entries) else None
        # Within one moment, markers come apart from versions, so some may come again.
        new = [entry for entry in entries if entry.version_id not in given]
        return new, following, following is not None
    if page.entries and not entries and await _is_there(bucket, key, given[-1]):
        return [], None, False
    # LocalStack 4.8 begins at the start when the key has a space in it, and says that there is
    # nothing when it has a plus; other servers answer as they like to an id that is gone.
    found: list[ObjectVersion] = []
    instead: list[ObjectVersion] = []
    passed = False
    async for entry in bucket.listing.versions(key):
        if passed:
            found.append(entry)
            if len(found) > limit:
                return found[:limit], None, True
        elif entry.version_id == given[-1]:
            passed = True
        elif entry.last_modified <= than and entry.version_id not in given:
            instead.append(entry)
    if not passed:  # it is gone: by time, then
        found = instead
    return found[:limit], None, len(found) > limit


async def _is_there(bucket: Bucket, key: str, version_id: str) -> bool:
    """Whether a key has a version or delete marker of that id."""
    try:
        await bucket.head(key, version_id)
    except VersionNotFound:
        async for entry in bucket.listing.versions(key):
            if entry.version_id == version_id:
                return True
        return False
    return True
