"""VersionKeys: the keys at which one file has versions, and how they are found."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from .. import keys
from ..errors import InvalidPath
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import ObjectVersion
from ..settings import BookstoreSettings
from ..ydoc.kinds import usual_type

KINDS = ("snapshot", "save", "published")
"""The kinds of versions."""


@dataclass(frozen=True)
class Place:
    """Where versions of one kind stand. `type` is the document type of snapshots."""

    kind: str
    path: str
    type: str | None = None


@dataclass
class Found:
    """A place with the newest entries of its listing, and where the older ones begin; None if
    there are none."""

    place: Place
    entries: list[ObjectVersion]
    next: tuple[str, str] | None


class VersionKeys:
    """The places of one bucket's files."""

    def __init__(
        self, bucket: Bucket, settings: BookstoreSettings, *, published: bool = False
    ) -> None:
        """`published` means the snapshots that were published."""
        self._bucket = bucket
        self._workspace = settings.published_prefix if published else settings.workspace_prefix
        self._published = settings.published_prefix

    def key(self, place: Place) -> str:
        """The key of the place. Raises `InvalidPath`."""
        if place.kind == "snapshot":
            return keys.snapshot_key(self._workspace, Document(place.path, place.type))
        return keys.file_key(
            self._workspace if place.kind == "save" else self._published, place.path
        )

    def usual(self, path: str) -> list[Place]:
        """Where such a file usually has versions: its room, its saves, what was published."""
        room = Place("snapshot", path, usual_type(path))
        places = [room, Place("save", path), Place("published", path)]
        return places if self._fits(room) else places[1:]

    def _fits(self, place: Place) -> bool:
        try:
            self.key(place)
        except InvalidPath:  # too long for a snapshot's, while the saved file's is not
            return False
        return True

    async def of(self, path: str, kinds: tuple[str, ...], limit: int) -> list[Found]:
        """The places of one file that the bucket holds, or held, anything at, each with up to
        `limit` entries.

        One request each for what was saved, published, and the room that such a file usually
        has, all at once; more if there are rooms of other types, or very many versions.
        """
        self.key(Place("save", path))
        plain = [kind for kind in kinds if kind == "published"]
        if "snapshot" not in kinds:
            plain += [kind for kind in kinds if kind == "save"]
        listing = [self.listed(Place(kind, path), limit) for kind in plain]
        if "snapshot" in kinds:
            usual = Place("snapshot", path, usual_type(path))
            listing += [self.listed(usual, limit)] if self._fits(usual) else []
            (saved, rooms), found = await asyncio.gather(
                self._saved(path, limit), asyncio.gather(*listing)
            )
            others = [self.listed(room, limit) for room in rooms if room != usual]
            found += await asyncio.gather(*others)
            found += [saved] if "save" in kinds else []
        else:
            found = await asyncio.gather(*listing)
        return [place for place in found if place.entries]

    async def listed(self, place: Place, limit: int) -> Found:
        """Up to `limit` of the newest entries of a place."""
        key = self.key(place)
        page = await self._bucket.listing.page(key, limit=limit)
        entries = [entry for entry in page.entries if entry.key == key]
        return Found(place, entries, page.next if len(entries) == len(page.entries) else None)

    async def _saved(self, path: str, limit: int) -> tuple[Found, list[Place]]:
        """What was saved of a file, and the rooms that it has snapshots of.

        A delimiter makes one entry of all versions of a room.
        """
        key = self.key(Place("save", path))
        page = await self._bucket.listing.page(key, limit=limit, delimiter=keys.SNAPSHOT_SUFFIX)
        entries = [entry for entry in page.entries if entry.key == key]
        only = len(entries) == len(page.entries) and not page.prefixes
        here = Found(Place("save", path), entries, page.next if only else None)
        prefixes = page.prefixes
        if page.next is not None and page.next[0] < f"{key}.\U0010ffff":
            prefixes = []
            after: tuple[str, str] | None = None
            while True:
                page = await self._bucket.listing.page(
                    f"{key}.", after=after, delimiter=keys.SNAPSHOT_SUFFIX
                )
                untyped = {entry.key for entry in page.entries} & {key + keys.SNAPSHOT_SUFFIX}
                prefixes += [*page.prefixes, *untyped]
                after = page.next
                if after is None:
                    break
        matches = map(_snapshots_of(key).fullmatch, prefixes)
        return here, [Place("snapshot", path, match[1]) for match in matches if match]


def _snapshots_of(key: str) -> re.Pattern[str]:
    # `notes.txt.y.zst` may be the untyped document of another file: only known types count.
    types = "|".join(map(re.escape, sorted(room_types())))
    return re.compile(rf"{re.escape(key)}(?:\.({types}))?{re.escape(keys.SNAPSHOT_SUFFIX)}")


@cache
def room_types() -> frozenset[str]:
    """The document types that installed packages register with jupyter_ydoc."""
    return frozenset(found.name for found in entry_points(group="jupyter_ydoc"))
