"""Pruning: permanently removing versions that a retention policy doesn't keep.

What stays whatever the policy says is what something else is built on: current versions, labelled
ones, and both ends of a rename, over which a file's history goes on at its former key. Published
versions have a prefix of their own, which is not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..aio import each, listed
from ..archive import labels
from ..archive.version import VersionMetadata, former_path
from ..archive.version_keys import Place, VersionKeys
from ..archive.workspace import Workspace, is_within
from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketUnavailable,
    ConfigurationError,
    InvalidPath,
    VersionNotFound,
)
from ..s3.objects import ObjectVersion
from ..s3.refusals import NotImplementedByServer
from .retention import FOREVER, Policy, superfluous

if TYPE_CHECKING:
    from ..archive.archive import Archive

OUTAGE = 20
"""Versions in a row that an unavailable bucket may cost before the others are not tried."""


@dataclass(frozen=True)
class Key:
    """One key with superfluous versions. `going` are those; `stays` is how many others it has."""

    place: Place
    key: str
    policy: Policy
    going: tuple[ObjectVersion, ...]
    stays: int
    protected: frozenset[str]

    @property
    def size(self) -> int:
        """Bytes of what is superfluous."""
        return sum(entry.size for entry in self.going)


@dataclass(frozen=True)
class Plan:
    """What is superfluous at the moment `now`. `seen` counts all versions and delete markers."""

    now: datetime
    keys: tuple[Key, ...]
    seen: int

    @property
    def count(self) -> int:
        """How many versions and delete markers would be removed."""
        return sum(len(key.going) for key in self.keys)

    @property
    def size(self) -> int:
        """Bytes of them."""
        return sum(key.size for key in self.keys)

    def to_list(self) -> list[dict[str, Any]]:
        """Each version to be removed, in JSON types."""
        return [_to_dict(key, entry) for key in self.keys for entry in key.going]


@dataclass(frozen=True)
class Removed:
    """What became of one version: removed, or not, for this reason. A version that has been
    labelled or has become the current one since it was planned is `spared`."""

    key: Key
    entry: ObjectVersion
    reason: str = ""
    spared: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**_to_dict(self.key, self.entry), "reason": self.reason or None}


@dataclass
class _Listed:
    place: Place
    entries: list[ObjectVersion] = field(default_factory=list)


@dataclass
class _Ends:
    """What stays of one key for the sake of something else."""

    ids: set[str] = field(default_factory=set)
    was_renamed: bool = False
    """Whether its versions are the history of a file that has another name now."""


class Pruning:
    """Prunes the workspace of one archive."""

    def __init__(self, archive: Archive) -> None:
        settings = archive.settings
        if settings.workspace_prefix == settings.published_prefix:
            raise ConfigurationError(
                "The workspace and published prefixes are the same, so prune can't keep "
                "published versions; set c.BookstoreSettings.published_prefix to another "
                "prefix."
            )
        self._bucket = archive.bucket
        self._limit = settings.max_threads
        self._places = VersionKeys(archive.bucket, settings)
        self._workspace = Workspace(archive.bucket, settings)
        self._outages = 0

    async def plan(
        self,
        policy: Policy,
        path: str = "",
        *,
        now: datetime | None = None,
        looked: Callable[[int], None] = lambda count: None,
    ) -> Plan:
        """What is superfluous of the file at `path`, or of those in the directory at `path`.

        `looked` is told of requests that were made. Raises when anything cannot be found out
        that a version's fate hangs on, a `BucketError` or `ConfigurationError`.
        """
        now = now or datetime.now(timezone.utc)
        candidates: dict[str, _Listed] = {}
        beginnings: list[tuple[Place, ObjectVersion]] = []
        seen = 0

        def take(key: str, found: _Listed) -> None:
            beginnings.extend((found.place, entry) for entry in _beginnings(found.entries))
            if is_within(found.place.path, path) and superfluous(found.entries, policy, now):
                candidates[key] = found

        # All of the workspace: what was renamed into another directory is in it.
        current: tuple[str, _Listed] | None = None
        async for place, entry in self._workspace.entries():
            seen += is_within(place.path, path)
            if current is None or current[0] != entry.key:
                if current is not None:
                    take(*current)
                current = entry.key, _Listed(place)
            current[1].entries.append(entry)
        if current is not None:
            take(*current)
        if not candidates:
            return Plan(now, (), seen)

        links = await self._links(beginnings, looked)
        keys = [_plan(key, found, policy, now, links) for key, found in candidates.items()]
        async for key, version_id in self._labelled(keys, looked):
            links.setdefault(key, _Ends()).ids.add(version_id)
        keys = [_plan(key, found, policy, now, links) for key, found in candidates.items()]
        return Plan(now, tuple(key for key in keys if key.going), seen)

    async def _links(
        self, beginnings: list[tuple[Place, ObjectVersion]], looked: Callable[[int], None]
    ) -> dict[str, _Ends]:
        """The versions that a rename goes from or to, by key."""

        async def link(beginning: tuple[Place, ObjectVersion]) -> list[tuple[str, str]]:
            place, entry = beginning
            try:
                stored = await self._bucket.head(entry.key, entry.version_id)
            except VersionNotFound:  # removed since it was listed
                return []
            facts = VersionMetadata.from_metadata(stored.metadata)
            path = former_path(facts.origin)
            if path is None or not facts.parent:
                return []
            try:
                former = self._places.key(Place(place.kind, path, place.type))
            except InvalidPath:  # not written by us
                return []
            return [(entry.key, entry.version_id), (former, facts.parent)]

        ends: dict[str, _Ends] = {}
        async for pair in each(listed(beginnings), link, self._limit):
            looked(1)
            for key, version_id in pair:
                ends.setdefault(key, _Ends()).ids.add(version_id)
            for key, _ in pair[1:]:
                ends[key].was_renamed = True
        return ends

    async def _labelled(
        self, keys: list[Key], looked: Callable[[int], None]
    ) -> AsyncIterator[tuple[str, str]]:
        async def look(entry: ObjectVersion) -> tuple[str, str] | None:
            return (entry.key, entry.version_id) if await self._is_labelled(entry) else None

        going = [entry for key in keys for entry in key.going if not entry.is_delete_marker]
        async for found in each(listed(going), look, self._limit):
            looked(1)
            if found is not None:
                yield found

    async def _is_labelled(self, entry: ObjectVersion) -> bool:
        try:
            return labels.TAG in await self._bucket.tags(entry.key, entry.version_id)
        except (VersionNotFound, NotImplementedByServer):
            return False
        except AccessDenied as error:
            raise AccessDenied(
                f"Versions whose labels can't be read are not removed. {error} Reading labels "
                "needs s3:GetObjectVersionTagging."
            ) from error

    # -- removing ------------------------------------------------------------------------------

    async def remove(self, plan: Plan) -> AsyncIterator[Removed]:
        """Remove what is planned, and tell of each version as it is done, in no order.

        Each key is looked at again before: a version goes if the policy still does not keep it.
        One that cannot be removed does not stop the others. Raises `BucketUnavailable` when the
        bucket stays away.
        """
        queue: asyncio.Queue[Removed | None] = asyncio.Queue()
        slots = asyncio.Semaphore(self._limit)

        async def run() -> None:
            try:
                async for _ in each(listed(list(plan.keys)), prune, self._limit):
                    pass
            finally:
                queue.put_nowait(None)

        async def prune(key: Key) -> None:
            await self._prune(key, plan.now, slots, queue)

        running = asyncio.create_task(run())
        try:
            while (removed := await queue.get()) is not None:
                yield removed
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _prune(
        self, key: Key, now: datetime, slots: asyncio.Semaphore, done: asyncio.Queue[Removed | None]
    ) -> None:
        try:
            entries = [entry async for entry in self._bucket.listing.versions(key.key)]
        except BookstoreError as error:
            for entry in key.going:
                done.put_nowait(Removed(key, entry, str(error)))
            self._note(error)
            return
        ids = {entry.version_id for entry in superfluous(entries, key.policy, now, key.protected)}
        there = {entry.version_id for entry in entries}

        async def remove(entry: ObjectVersion) -> bool:
            if entry.version_id not in there:  # somebody else has removed it
                done.put_nowait(Removed(key, entry))
                return True
            if entry.version_id not in ids:
                done.put_nowait(Removed(key, entry, "The policy keeps it now.", spared=True))
                return False
            async with slots:
                removed = await self._remove(key, entry)
            done.put_nowait(removed)
            return not removed.reason

        # A delete marker hides what is older, so the newest goes when nothing else is left.
        top = [entry for entry in key.going if entries and entry == entries[0]]
        rest = [entry for entry in key.going if entry not in top]
        gone = all([done async for done in each(listed(rest), remove, self._limit)])
        for entry in top:
            if gone:
                await remove(entry)
            else:
                done.put_nowait(
                    Removed(key, entry, "It hides older versions that could not be removed.")
                )

    async def _remove(self, key: Key, entry: ObjectVersion) -> Removed:
        try:
            if not entry.is_delete_marker and await self._is_labelled(entry):
                return Removed(key, entry, "Somebody has labelled it since.", spared=True)
            await self._bucket.delete(entry.key, entry.version_id)
        except BookstoreError as error:
            self._note(error)
            return Removed(key, entry, str(error))
        self._outages = 0
        return Removed(key, entry)

    def _note(self, error: BookstoreError) -> None:
        if isinstance(error, BucketUnavailable):
            self._outages += 1
            if self._outages >= OUTAGE:
                raise error


def _plan(key: str, found: _Listed, policy: Policy, now: datetime, links: dict[str, _Ends]) -> Key:
    ends = links.get(key, _Ends())
    if ends.was_renamed:  # which leaves a delete marker, but is no deletion
        policy = replace(policy, deleted=FOREVER)
    going = superfluous(found.entries, policy, now, ends.ids)
    stays = len(found.entries) - len(going)
    return Key(found.place, key, policy, tuple(going), stays, frozenset(ends.ids))


def _beginnings(entries: list[ObjectVersion]) -> list[ObjectVersion]:
    """The versions of one key that may be the first after a deletion, or of all: a rename may have
    brought them. Within one second S3 leaves open which of a version and a marker is older."""
    marked = {entry.last_modified for entry in entries if entry.is_delete_marker}
    return [
        entry
        for entry, older in zip(entries, [*entries[1:], None], strict=True)
        if not entry.is_delete_marker
        and (older is None or older.is_delete_marker or entry.last_modified in marked)
    ]


def _to_dict(key: Key, entry: ObjectVersion) -> dict[str, Any]:
    return {
        "path": key.place.path,
        "kind": key.place.kind,
        "key": key.key,
        "version_id": entry.version_id,
        "last_modified": entry.last_modified.isoformat(),
        "size": entry.size,
        "delete_marker": entry.is_delete_marker,
    }
