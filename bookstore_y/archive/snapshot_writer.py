"""Saving snapshots, so that two writers lose nothing of each other's.

Where the bucket honours conditional writes, a PUT carries the ETag of the version it builds on; a
refusal means that another came first, which is read, merged and built upon. Where it does not, the
writer looks after its PUT for what slipped in, merges that and writes again. Versions merge within
one lineage. Of two lineages the newer becomes current, both stay, and a warning names them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from ..aio import run_in_thread_if_large
from ..errors import PreconditionFailed, SnapshotError
from ..keys import Document, snapshot_key
from ..s3 import setup
from ..s3.bucket import Bucket, md5
from ..s3.objects import Written
from ..s3.preconditions import IfMatch, IfNew, Precondition
from ..s3.probing import honours_conditions, ignores_conditions
from ..settings import BookstoreSettings
from ..ydoc.frame import compress
from ..ydoc.squash import squash_buffered
from ..ydoc.updates import missing
from .snapshot_reader import SnapshotReader
from .version import Snapshot, VersionMetadata, WriteResult

log = logging.getLogger("bookstore_y.saving")

MAX_REFUSALS = 100
"""Conditional writes of one save that others may win before it gives up until the next try."""


SIBLINGS = 20
"""Versions between one and its parent that are looked at, the newest first."""


class SnapshotWriter:
    """Writes the snapshots of one bucket."""

    def __init__(
        self, bucket: Bucket, settings: BookstoreSettings, reading: SnapshotReader
    ) -> None:
        self._bucket = bucket
        self._settings = settings
        self._reading = reading
        self.checked = False
        """Whether the bucket is known to keep versions."""

    async def check(self) -> None:
        """See that the bucket can be archived into. Raises like `setup.check`."""
        await setup.check(self._bucket)
        await honours_conditions(self._bucket)
        self.checked = True

    async def ensure_checked(self) -> None:
        """See that the bucket can be archived into, unless that is known."""
        if not self.checked:
            await self.check()

    async def save(
        self,
        document: Document,
        update: bytes,
        facts: VersionMetadata,
        *,
        parent_etag: str = "",
        instead_of: str = "",
    ) -> WriteResult:
        """Write `update` as the document's new version, and lose nothing of other writers'.

        `facts.parent` and `parent_etag` name the version that `update` builds on, empty for
        none. `instead_of` names one that it takes the place of without building on it, a deleted
        document's, and `parent_etag` is that one's then. What others of the same lineage wrote
        since is merged in; a version of another lineage stays a version, the new one becomes
        current, and a warning names both.
        Raises `VersioningNotEnabled` among the other bucket errors.
        """
        await self.ensure_checked()
        if await honours_conditions(self._bucket):
            return await self._save_conditionally(document, update, facts, parent_etag)
        return await self._save_and_look(document, update, facts, instead_of)

    async def _save_conditionally(
        self, document: Document, update: bytes, facts: VersionMetadata, parent_etag: str
    ) -> WriteResult:
        key = snapshot_key(self._settings.workspace_prefix, document)
        merged: list[bytes] = []
        apart = ""
        refusals = 0
        precondition: Precondition = IfMatch(parent_etag) if parent_etag else IfNew()
        while True:
            try:
                written = await self._put(key, update, facts, precondition)
            except PreconditionFailed:
                refusals += 1
                if refusals == MAX_REFUSALS:
                    raise
                current = await self._reading.look(key)
                if current is None:  # a delete marker came first
                    precondition = IfNew()
                    continue
                if current.facts.write_id == facts.write_id:  # it was us; the answer got lost
                    return WriteResult(current.version_id, current.etag, update, tuple(merged))
                joined = await self._join(current, update, facts.lineage)
                if joined is None:
                    apart = current.version_id
                else:
                    update, their_update, ours_is_new = joined
                    merged.append(their_update)
                    if not ours_is_new:
                        return WriteResult(
                            current.version_id, current.etag, update, tuple(merged), written=False
                        )
                facts = replace(facts, parent=current.version_id)
                precondition = IfMatch(current.etag)
                continue
            if apart:
                self._warn_apart(document, written.version_id, apart)
            return WriteResult(written.version_id, written.etag, update, tuple(merged))

    async def _save_and_look(
        self, document: Document, update: bytes, facts: VersionMetadata, instead_of: str
    ) -> WriteResult:
        """Without conditional writes: write, see what slipped in since the parent, merge, and
        write again until nothing did."""
        key = snapshot_key(self._settings.workspace_prefix, document)
        merged: list[bytes] = []
        done = {facts.parent}
        while True:
            written = await self._put(key, update, facts)
            done.add(written.version_id)
            slipped_in = []
            seen = False
            async for version in self._bucket.listing.versions(key, first_page=20):
                end = version.version_id in (facts.parent, instead_of)
                if end or (seen and version.is_delete_marker):
                    break  # what was deleted before ours was not slipped in
                seen = seen or version.version_id == written.version_id
                if version.version_id not in done and not version.is_delete_marker:
                    slipped_in.append(version.version_id)
            again = False
            for version_id in slipped_in:
                done.add(version_id)
                other = await self._reading.look(key, version_id)
                if other is None or other.facts.write_id == facts.write_id:
                    continue  # the same write, landed twice because its first answer got lost
                joined = await self._join(other, update, facts.lineage)
                if joined is None:
                    self._warn_apart(document, written.version_id, version_id)
                    continue
                before = update
                update, their_update, _ = joined
                if await asyncio.to_thread(_adds, before, their_update):
                    merged.append(their_update)
                    again = True
            if not again:
                return WriteResult(written.version_id, written.etag, update, tuple(merged))
            facts = replace(facts, parent=written.version_id).renewed()

    async def unmerged(self, document: Document, snapshot: Snapshot) -> list[bytes]:
        """What other versions have that a current one lacks, though they came before it.

        Without conditional writes whoever wrote it may have been cut off before looking. What its
        parent lacked was found by whoever opened that, so those since its parent are looked at,
        `SIBLINGS` at most. Raises a `BucketError`.
        """
        if not ignores_conditions(self._bucket.settings):
            return []
        key = snapshot_key(self._settings.workspace_prefix, document)
        found: list[bytes] = []
        looked = 0
        async for version in self._bucket.listing.versions(key, first_page=SIBLINGS):
            if version.version_id == snapshot.facts.parent or version.is_delete_marker:
                break
            if version.version_id == snapshot.version_id:
                continue
            other = await self._reading.look(key, version.version_id)
            if other is not None and other.update and other.facts.lineage == snapshot.facts.lineage:
                found += await asyncio.to_thread(_lacking, snapshot, other)
            looked += 1
            if looked == SIBLINGS:
                break
        return found

    async def _join(
        self, theirs: Snapshot, update: bytes, lineage: str
    ) -> tuple[bytes, bytes, bool] | None:
        """Merge another writer's version and ours: the whole, theirs, and whether ours adds to
        theirs. None when theirs is of another lineage, or cannot be read."""
        if not theirs.update or theirs.facts.lineage != lineage:
            return None
        try:
            squashed = await asyncio.to_thread(squash_buffered, theirs.update, [], [update])
        except SnapshotError as error:
            log.warning("Version %s cannot be merged: %s", theirs.version_id, error)
            return None
        return squashed.update, theirs.update, squashed.changed

    def _warn_apart(self, document: Document, ours: str, theirs: str) -> None:
        log.warning(
            "Two histories of %s met in %s and cannot be merged: version %s is current now, and "
            "version %s stays a version; compare them and restore what is missing.",
            document,
            self._bucket.where,
            ours,
            theirs,
        )

    async def _put(
        self,
        key: str,
        update: bytes,
        facts: VersionMetadata,
        precondition: Precondition | None = None,
    ) -> Written:
        level = self._settings.compression_level
        frame, digest = await run_in_thread_if_large(len(update), _framed, update, level)
        written = await self._bucket.put(
            key, frame, facts.to_metadata(), precondition=precondition, digest=digest
        )
        if written.version_id == "null":
            self.checked = False  # versioning was suspended: the next save is to find out
        return written


def _framed(update: bytes, level: int) -> tuple[bytes, str]:
    frame = compress(update, level)
    return frame, md5(frame)


def _lacking(snapshot: Snapshot, other: Snapshot) -> list[bytes]:
    """What another snapshot has beyond one, if anything."""
    try:
        if _adds(snapshot.update, other.update):
            return [missing(other.update, snapshot.state)]
    except SnapshotError as error:
        log.warning("Version %s cannot be merged: %s", other.version_id, error)
    return []


def _adds(ours: bytes, theirs: bytes) -> bool:
    return squash_buffered(ours, [], [theirs]).changed
