"""S3's answers about objects that were read, listed or written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read: one version's body (`size` bytes; empty from a HEAD) and user
    metadata. `tag_count` is the number of its tags, which S3 tells only with a body. `is_cold` says
    that the body can be read only after S3 was asked to bring it back from cold storage."""

    key: str
    body: bytes
    version_id: str
    etag: str
    last_modified: datetime
    size: int
    metadata: dict[str, str]
    tag_count: int = 0
    content_type: str = ""
    is_cold: bool = False


COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which nothing is read at once (S3 User Guide, "Storage classes")."""


def is_cold(storage_class: str | None, restore: str | None) -> bool:
    """What the headers of an answer say: the storage class, and `x-amz-restore`, which has
    `ongoing-request="false"` once S3 has brought a copy back (API Reference, "HeadObject")."""
    return storage_class in COLD and 'ongoing-request="false"' not in (restore or "")


@dataclass(frozen=True)
class ObjectVersion:
    """One line of a version listing. `size` is in bytes, and 0 for a delete marker."""

    key: str
    version_id: str
    etag: str
    last_modified: datetime
    size: int
    is_latest: bool
    is_delete_marker: bool = False
    storage_class: str = ""


@dataclass(frozen=True)
class ListPage:
    """The answer to one request for a version listing: versions and delete markers by key and
    newest first, and the prefixes that a delimiter made of keys."""

    entries: list[ObjectVersion]
    prefixes: list[str]
    next: tuple[str, str] | None
    """The key and version id after which the next page begins; None if this was the last."""


@dataclass(frozen=True, slots=True)
class CurrentObject:
    """One line of a listing of current objects, in which deleted ones are not. `size` is in
    bytes."""

    key: str
    last_modified: datetime
    size: int


@dataclass(frozen=True)
class ObjectPage:
    """The answer to one request for current objects, in the order of their keys."""

    objects: list[CurrentObject]
    prefixes: list[str]
    next: str | None
    """The token with which to ask for the next page; None if this was the last."""


@dataclass(frozen=True)
class Written:
    """What a PUT was answered with."""

    version_id: str
    etag: str


@dataclass(frozen=True)
class Copied(Written):
    """What a copy was answered with, and the version that it is of; empty if it is of several."""

    source_version_id: str


def listed(entry: Any, is_delete_marker: bool) -> ObjectVersion:
    """An entry of `Versions` or `DeleteMarkers` of S3's answer."""
    return ObjectVersion(
        key=entry["Key"],
        version_id=entry.get("VersionId") or "null",
        etag=entry.get("ETag", ""),
        last_modified=entry["LastModified"].astimezone(timezone.utc),
        size=entry.get("Size", 0),
        is_latest=entry["IsLatest"],
        is_delete_marker=is_delete_marker,
        storage_class=entry.get("StorageClass") or "",
    )


def in_order(
    versions: list[ObjectVersion], markers: list[ObjectVersion]
) -> Iterator[ObjectVersion]:
    """Put delete markers back between the versions that S3 lists apart from them.

    Each list is in the bucket's own order, by key and newest first, which is kept: clocks are
    too coarse to sort versions by.
    """
    versions, markers = versions[::-1], markers[::-1]
    while versions and markers:
        version, marker = versions[-1], markers[-1]
        if version.key != marker.key:
            marker_first = marker.key < version.key
        else:
            marker_first = marker.is_latest or (
                not version.is_latest and marker.last_modified > version.last_modified
            )
        yield (markers if marker_first else versions).pop()
    yield from reversed(versions or markers)
