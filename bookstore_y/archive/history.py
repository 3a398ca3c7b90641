"""The history of a file: its versions of all kinds in one list, newest first, page by page.

A listing of S3 is of one key, so the lists of a file's keys are merged by time. Each page goes on
where the one before ended, with one request for each key that has more. Where a run of versions
began with a rename, the history goes on at the former key.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import (
    AccessDenied,
    DocumentNotFound,
    InvalidPath,
    InvalidToken,
    VersionNotFound,
)
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import COLD, ObjectVersion
from ..s3.resuming import beginning, older
from .metadata_cache import MetadataCache
from .version import Version, former_path, version_of
from .version_keys import KINDS, Place, VersionKeys

SCANNED = 1000
"""Versions that one page looks at, at most, when a filter lets few of them through."""

_STREAMS = 100
"""Keys that one history is read from, at most: a file is not renamed as often as that."""

_GIVEN = 50

_ID = re.compile(r"[!-~]{1,1024}")
_MICROSECOND = timedelta(microseconds=1)
STEP = 64
"""Versions whose details a filter asks for at once, at least."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Page:
    """Some versions of a file, newest first. `next` is what to go on with; None if that was
    all. A page may be short, or empty, and have a next one, when few versions pass a filter."""

    versions: tuple[Version, ...]
    next: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {"versions": [v.to_dict() for v in self.versions], "next": self.next}


@dataclass(frozen=True)
class Filter:
    """Which versions of a file are meant: of these kinds, not before `since` nor after `until`,
    by this author, labelled. Times have a time zone."""

    kinds: tuple[str, ...] = ("snapshot", "save")
    since: datetime | None = None
    until: datetime | None = None
    author: str | None = None
    labelled: bool = False

    @property
    def needs_details(self) -> bool:
        """Whether a listing alone does not tell which versions pass."""
        return self.author is not None or self.labelled

    def passes(self, version: Version) -> bool:
        """Whether a version with its details has the author and label that are asked for."""
        by = self.author is None or self.author in version.authors
        return by and (version.label is not None or not self.labelled)


@dataclass
class _Stream:
    """The list of one key, as far as it was read; what is in `entries` is not yet taken.

    `than` is the time of the last that was, and `given` are the ids of those of that time.
    `first` is the version that the list begins with, if not with the newest. `cursor` is where S3
    said that the rest begins.
    """

    place: Place
    first: str = ""
    given: list[str] = field(default_factory=list)
    than: datetime = _EPOCH
    cursor: tuple[str, str] | None = None
    entries: deque[ObjectVersion] = field(default_factory=deque)
    more: bool = True
    marked: set[datetime] = field(default_factory=set)

    @property
    def over(self) -> bool:
        return not self.entries and not self.more


class History:
    """The histories of one bucket's files."""

    def __init__(self, bucket: Bucket, places: VersionKeys, details: MetadataCache) -> None:
        self._bucket = bucket
        self._places = places
        self._details = details

    async def page(
        self,
        path: str | Document,
        which: Filter,
        *,
        limit: int,
        after: str | None = None,
        details: bool = False,
    ) -> Page:
        """Up to `limit` versions, from the newest, or where the page ended that gave `after`.

        Raises `DocumentNotFound` when the file never had a version of these kinds, and
        `InvalidToken` when `after` is not what a page of this file gave.
        """
        limit = max(1, min(limit, SCANNED - 1))
        details = details or which.needs_details
        asked = _asked(path, which.kinds)
        # What a filter keeps back is looked at in large steps.
        step = max(limit, STEP) if which.needs_details else limit
        ahead = SCANNED if which.needs_details or which.until is not None else limit + 1
        if after is None:
            streams = await self._begin(path, which.kinds, ahead)
            newest = max(entry.last_modified for s in streams for entry in s.entries)
        else:
            streams, newest = self._resume(after, asked)
        found: list[Version] = []
        taken: list[Version] = []
        tokens: dict[tuple[str, str], str] = {}
        scanned = 0
        ever = after is not None
        following: str | None = None
        async for stream, entry in self._walk(streams, ahead):
            ever = ever or not entry.is_delete_marker
            if which.since is not None and entry.last_modified < which.since:
                ever = True
                break
            late = which.until is not None and entry.last_modified > which.until
            # What was written since the first page, to a key that was not read then, is no part.
            if entry.is_delete_marker or late or entry.last_modified > newest:
                continue
            taken.append(version_at(stream.place, entry))
            scanned += 1
            over = all(stream.over for stream in streams)
            if details or len(taken) == step or scanned == SCANNED:
                following = None if over else _token(streams, newest, asked)
                tokens[entry.key, entry.version_id] = following or ""
            if len(taken) == step or scanned == SCANNED or over:
                found += await self._pass(taken, which, details)
                taken = []
                if len(found) > limit:
                    found = found[:limit]
                    following = tokens[found[-1].key, found[-1].version_id]
                if len(found) == limit or scanned == SCANNED:
                    return Page(tuple(found), following or None)
        if not ever:
            raise self._never(path)
        found += await self._pass(taken, which, details)
        if len(found) > limit:
            found = found[:limit]
            return Page(tuple(found), tokens[found[-1].key, found[-1].version_id] or None)
        return Page(tuple(found), None)

    def _resume(self, token: str, asked: list[Any]) -> tuple[list[_Stream], datetime]:
        try:
            streams, newest = _read(token, asked)
            for stream in streams:
                self._places.key(stream.place)
                own = stream.first or stream.place.path == asked[0]
                if not own or stream.place.kind not in asked[-1]:
                    raise _invalid()
        except InvalidPath:
            raise _invalid() from None
        return streams, newest

    async def _pass(self, taken: list[Version], which: Filter, details: bool) -> list[Version]:
        if not details:
            return taken
        required = which.needs_details  # or a version that is meant would be left out unnoticed
        completed = await self._details.complete_all(taken, required=required)
        return list(filter(which.passes, completed))

    async def at(
        self, path: str | Document, when: datetime | None, kinds: tuple[str, ...]
    ) -> Version:
        """The version that was current at a moment, or is now: the newest of those that stood at
        the file's keys. Raises `DocumentNotFound` when there was none, or all were deleted."""
        streams = await self._begin(path, kinds, 2 if when is None else SCANNED)
        deleted: set[str] = set()
        async for stream, entry in self._walk(streams, SCANNED):
            if entry.key in deleted or (when is not None and entry.last_modified > when):
                continue
            if not entry.is_delete_marker:
                return version_at(stream.place, entry)
            deleted.add(entry.key)
            if deleted >= {self._places.key(stream.place) for stream in streams}:
                break
        was = "was not there" if when is None or deleted else "did not exist yet"
        then = "" if when is None else f" at {when.isoformat()}"
        raise DocumentNotFound(
            f"{path} {was}{then}, according to the {self._bucket.where}; list its versions and "
            "choose one."
        )

    async def find(self, path: str | Document, version_id: str) -> Version:
        """A version with its details, by its id alone. Raises `VersionNotFound`."""
        if isinstance(path, Document):
            usual = [Place("snapshot", path.path, path.type)]
        else:
            usual = self._places.usual(path)
        here = {self._places.key(place) for place in usual}
        for version in await asyncio.gather(*(self._version(p, version_id) for p in usual)):
            if version is not None:
                return version
        if not isinstance(path, Document):
            rooms = [found.place for found in await self._places.of(path, KINDS, 1)]
            for place in rooms:
                key = self._places.key(place)
                version = await self._version(place, version_id) if key not in here else None
                if version is not None:
                    return version
            here.update(map(self._places.key, rooms))
        # It may be from before the file was renamed.
        with contextlib.suppress(DocumentNotFound):
            streams = await self._begin(path, KINDS, SCANNED)
            async for stream, entry in self._walk(streams, SCANNED):
                if entry.version_id == version_id and entry.key not in here:
                    return await self._details.complete(version_at(stream.place, entry))
        raise VersionNotFound(
            f"{path} has no version {version_id[:80]!r}; list its versions and choose one."
        )

    async def _version(self, place: Place, version_id: str) -> Version | None:
        key = self._places.key(place)
        try:
            stored = await self._bucket.details(key, version_id)
        except VersionNotFound:
            return None
        try:
            is_latest = (await self._bucket.head(key)).version_id == stored.version_id
        except DocumentNotFound:
            is_latest = False
        version = version_of(stored, place.path, place.type, kind=place.kind, is_latest=is_latest)
        return await self._details.labelled(version) if stored.tag_count else version

    async def _begin(self, path: str | Document, kinds: Sequence[str], limit: int) -> list[_Stream]:
        if isinstance(path, Document):
            place = Place("snapshot", path.path, path.type)
            found = [await self._places.listed(place, limit)]
        else:
            found = await self._places.of(path, tuple(kinds), limit)
        streams = [
            _Stream(
                each.place,
                cursor=each.next,
                entries=deque(each.entries),
                more=each.next is not None,
            )
            for each in found
        ]
        await self._fill(streams, limit)
        if not any(stream.entries for stream in streams):
            raise self._never(path)
        return streams

    def _never(self, path: str | Document) -> DocumentNotFound:
        return DocumentNotFound(
            f"The {self._bucket.where} holds no version of {path}; check the path and the "
            "workspace prefix."
        )

    async def _fill(self, streams: list[_Stream], limit: int) -> None:
        await asyncio.gather(*(self._more(s, limit) for s in streams if s.more and not s.entries))

    async def _more(self, stream: _Stream, limit: int) -> None:
        key = self._places.key(stream.place)
        while stream.more and not stream.entries:
            if stream.given:
                entries, stream.cursor, stream.more = await older(
                    self._bucket, key, stream.given, stream.than, limit, stream.cursor
                )
            elif stream.first:
                entries, stream.more = await beginning(
                    self._bucket, key, stream.first, stream.than, limit
                )
            else:
                found = await self._places.listed(stream.place, limit)
                entries, stream.cursor = found.entries, found.next
                stream.more = stream.cursor is not None
            stream.entries.extend(entries)

    async def _walk(
        self, streams: list[_Stream], limit: int
    ) -> AsyncIterator[tuple[_Stream, ObjectVersion]]:
        """Versions and delete markers of all streams, newest first. At each step the streams
        stand after what was given; streams of former keys join them."""
        while True:
            await self._fill(streams, limit)
            left = [stream for stream in streams if stream.entries]
            if not left:
                return
            stream = max(left, key=lambda s: s.entries[0].last_modified)
            entry = stream.entries.popleft()
            same = stream.given if stream.than == entry.last_modified else []
            stream.given, stream.than = [*same, entry.version_id], entry.last_modified
            if not stream.entries and stream.more:
                await self._more(stream, limit)
            if entry.is_delete_marker:
                stream.marked.add(entry.last_modified)
            elif self._begins_run(stream, entry):
                former = await self._former(stream.place, entry, streams)
                if former is not None:
                    await self._more(former, limit)
                    streams.append(former)
            yield stream, entry

    def _begins_run(self, stream: _Stream, entry: ObjectVersion) -> bool:
        """Whether a version may be the first after a deletion, or of all.

        Within one second, S3's answer leaves open which of a version and a marker is older.
        """
        older = stream.entries[0] if stream.entries else None
        if older is None or older.is_delete_marker or entry.last_modified in stream.marked:
            return True
        moments = (entry.last_modified, older.last_modified)
        return any(e.is_delete_marker and e.last_modified in moments for e in stream.entries)

    async def _former(
        self, place: Place, entry: ObjectVersion, streams: list[_Stream]
    ) -> _Stream | None:
        """The list of the key that a rename left, from its last version on."""
        try:
            facts = await self._details.facts(entry.key, entry.version_id)
        except (VersionNotFound, AccessDenied):
            # Removed since it was listed; or all that may be done is to list.
            return None
        path = former_path(facts.origin)
        if path is None or not facts.parent:
            return None
        former = Place(place.kind, path, place.type)
        try:
            self._places.key(former)
        except InvalidPath:  # not written by us
            return None
        if len(streams) == _STREAMS or any(stream.place == former for stream in streams):
            return None  # it was renamed to and fro, and its list is being read from further up
        return _Stream(former, facts.parent, than=entry.last_modified)


def version_at(place: Place, entry: ObjectVersion) -> Version:
    """The version that a line of a listing stands for."""
    return Version(
        version_id=entry.version_id,
        key=entry.key,
        last_modified=entry.last_modified,
        size=entry.size,
        is_latest=entry.is_latest,
        kind=place.kind,
        path=place.path,
        type=place.type,
        cold=entry.storage_class in COLD,
    )


def _asked(path: str | Document, kinds: tuple[str, ...]) -> list[Any]:
    """What a token is good for."""
    if isinstance(path, Document):
        return [path.path, path.type, list(kinds)]
    return [path, list(kinds)]


def _token(streams: list[_Stream], newest: datetime, asked: list[Any]) -> str:
    """Where the streams stand, in ASCII, and the time of the first page. A stream that is over is
    told of, too, since it says which keys have been read."""
    state = [
        [
            stream.place.kind,
            stream.place.path,
            stream.place.type,
            stream.first,
            stream.given[-_GIVEN:],
            (stream.than - _EPOCH) // _MICROSECOND,
            not stream.over,
        ]
        for stream in streams
    ]
    text = json.dumps([asked, (newest - _EPOCH) // _MICROSECOND, state], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(token: str, asked: list[Any]) -> tuple[list[_Stream], datetime]:
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        about, newest, state = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if about == asked and 0 < len(state) <= _STREAMS:
            return [_stream(*line) for line in state], _EPOCH + newest * _MICROSECOND
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass
    raise _invalid()


def _invalid() -> InvalidToken:
    return InvalidToken(
        "This is not the `next` of a page of this file's versions; list from the beginning."
    )


def _stream(
    kind: str,
    path: str,
    type: str | None,
    first: str,
    given: list[str],
    than: int,
    more: bool,
) -> _Stream:
    Document(path, type)  # raises for what is none
    if kind not in KINDS or not all(map(_ID.fullmatch, [*given, *([first] if first else [])])):
        raise ValueError(kind)
    time = _EPOCH + timedelta(microseconds=than)
    return _Stream(Place(kind, path, type), first, given, time, more=bool(more))
