"""The workspace: every file under a prefix in the bucket, now or at an earlier time.

S3 lists versions by key, so one pass over a listing tells all of it: a request a thousand versions,
however many files there are.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..keys import RESERVED, SNAPSHOT_SUFFIX
from ..s3.bucket import Bucket
from ..s3.objects import ObjectVersion
from ..settings import BookstoreSettings
from .history import version_at
from .version import Version
from .version_keys import Place, room_types

_PROBE = re.compile(r"(?:.*/)?\.bookstore_y-probe-[0-9a-f]{32}", re.DOTALL)
"""Keys at which a server tries out what the bucket can do; see `s3/probing.py`."""


@dataclass(frozen=True)
class ArchivedFile:
    """One file, with its version of each kind and room that was current; newest first.

    The path is the key's, whatever program wrote it: check it before it becomes a file's.
    """

    path: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The version that was written last."""
        return self.versions[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {"path": self.path, "versions": [v.to_dict() for v in self.versions]}


class Workspace:
    """The files under one of the bucket's two prefixes: what is worked on, or what was published.

    Where one prefix lies within the other, each has its own files alone.
    """

    def __init__(
        self, bucket: Bucket, settings: BookstoreSettings, *, published: bool = False
    ) -> None:
        self._bucket = bucket
        prefixes = (settings.workspace_prefix, settings.published_prefix)
        self.prefix, other = prefixes[::-1] if published else prefixes
        self._published = published
        within = other.startswith(self.prefix) and other != self.prefix
        self._not_ours = other if within else None

    def place_of(self, key: str) -> Place | None:
        """Where a key stands; None if it is no file's."""
        if not key.startswith(self.prefix) or key.endswith("/") or _PROBE.fullmatch(key):
            return None
        if self._not_ours is not None and key.startswith(self._not_ours):
            return None
        path = key[len(self.prefix) :]
        if path.startswith(RESERVED):
            return None
        is_snapshot = path.endswith(SNAPSHOT_SUFFIX)
        kind = "published" if self._published else "snapshot" if is_snapshot else "save"
        path = path.removesuffix(SNAPSHOT_SUFFIX)
        stem, _, last = path.rpartition(".")
        # `notes.txt.y.zst` may be an untyped document's: only known types count.
        if is_snapshot and stem and not stem.endswith("/") and last in room_types():
            return Place(kind, stem, last)
        return Place(kind, path) if path and not path.endswith("/") else None

    async def entries(self, path: str = "") -> AsyncIterator[tuple[Place, ObjectVersion]]:
        """All versions and delete markers of the file at `path`, and of those in the directory
        at `path`, by key and newest first; of all files if it is empty."""
        async for entry in self._bucket.listing.under(self.prefix + path):
            place = self.place_of(entry.key)
            if place is not None and is_within(place.path, path):
                yield place, entry

    async def files(
        self, path: str = "", *, at: datetime | None = None
    ) -> AsyncIterator[ArchivedFile]:
        """The file at `path`, and those in the directory at `path`, without the deleted ones.

        `at` is a time with a time zone: the files are then those of that moment. A file is
        deleted when all of its keys are.
        """
        waiting: dict[str, list[tuple[Place, ObjectVersion]]] = {}
        decided = ""
        async for place, entry in self.entries(path):
            # The keys of `a` are `a` and others that begin with `a.`, and `/` comes after `.`.
            for over in [p for p in waiting if entry.key >= f"{self.prefix}{p}/"]:
                for file in _alive(over, waiting.pop(over)):
                    yield file
            if entry.key != decided and (at is None or entry.last_modified <= at):
                decided = entry.key
                waiting.setdefault(place.path, []).append((place, entry))
        for over, current in waiting.items():
            for file in _alive(over, current):
                yield file


def is_within(path: str, directory: str) -> bool:
    """Whether `path` is `directory`, or below it; all paths are within the empty one."""
    directory = directory.rstrip("/")
    return not directory or path == directory or path.startswith(f"{directory}/")


def _alive(path: str, current: list[tuple[Place, ObjectVersion]]) -> Iterator[ArchivedFile]:
    """The file whose keys have these as their current entries, unless it is deleted."""
    alive = [(place, entry) for place, entry in current if not entry.is_delete_marker]
    versions = [version_at(place, entry) for place, entry in alive]
    if versions:
        yield ArchivedFile(path, tuple(sorted(versions, key=_written, reverse=True)))


def _written(version: Version) -> tuple[datetime, bool]:
    # Within one second, a room's snapshot is what its save was made from, or newer.
    return version.last_modified, version.key.endswith(SNAPSHOT_SUFFIX)
