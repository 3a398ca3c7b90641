"""Following: brings the bucket to where a rename or a deletion has left the files, key by key.

What one key refuses does not keep the change from being followed at the others, and a change that
is tried again goes on with what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ..archive.archive import Archive
from ..errors import BookstoreError, InvalidPath
from ..keys import Document
from ..s3.objects import Copied, ObjectVersion
from .health import BUCKET_WIDE
from .path_change import (
    Part,
    PathChange,
    Spot,
    moved,
    of_document,
    of_file,
)

SKEW = 60.0
"""Seconds by which the clocks of a server and the bucket may differ."""

MAX_REFUSALS = 8
"""Keys that may fail in one try before the rest waits for the next."""


class Following:
    """Follows changes in one archive's bucket."""

    def __init__(
        self,
        archive: Archive,
        note: Callable[[PathChange], Awaitable[None]],
        is_gone: Callable[[Spot, str, PathChange], bool],
        taken_over: Callable[[Document, Copied], Awaitable[None]],
        log: Callable[[], logging.Logger | logging.LoggerAdapter[Any]],
    ) -> None:
        """`note` keeps what a change has learned. `is_gone` says whether an earlier change is of
        a version, too. `taken_over` hears of a document's version under its new name."""
        self._archive = archive
        self._note = note
        self._is_gone = is_gone
        self._taken_over = taken_over
        self._log = log

    async def follow(self, change: PathChange) -> None:
        """Do what is left to do of a change. Raises the first of what kept it from being done,
        a `BookstoreError`, when the rest is done; what the bucket as a whole refuses, at once."""
        first_time = change.parts is None
        if change.parts is None:
            change.parts = await self._plan(change)
        failures: list[BookstoreError] = []
        for spot in list(change.parts):
            part = change.parts[spot]
            try:
                if change.target is None:
                    await self._delete(change, spot, part, sure=first_time and not change.tried)
                else:
                    await self._rename(change, change.target, spot, part)
            except InvalidPath as error:
                self.stays(spot.path, error)
            except BUCKET_WIDE:
                # Those that have not been tried come first the next time.
                change.parts[spot] = change.parts.pop(spot)
                raise
            except BookstoreError as error:
                change.parts[spot] = change.parts.pop(spot)
                failures.append(error)
                if len(failures) == MAX_REFUSALS:
                    break
                continue
            del change.parts[spot]
        if failures:
            raise failures[0]

    def stays(self, path: Document | str, error: InvalidPath) -> None:
        """A file has a new name that cannot be a key."""
        self._log().warning("The archive keeps %s under its old name. %s", path, error)

    # -- what there is to do -------------------------------------------------------------------

    async def _plan(self, change: PathChange) -> dict[Spot, Part]:
        found: list[tuple[Spot, ObjectVersion]] = []
        try:
            for document, version in await self._archive.snapshots.under(change.source):
                found.append((of_document(document), version))
            for path, version in await self._archive.saves.under(change.source):
                found.append((of_file(path), version))
        except InvalidPath:
            pass  # no key is as long as this path
        return {
            spot: Part(version.version_id, version.etag)
            for spot, version in found
            if not self._is_spared(change, spot, version)
        }

    def _is_spared(self, change: PathChange, spot: Spot, version: ObjectVersion) -> bool:
        """Whether what is there now is none of what the change is of."""
        if self._is_gone(spot, version.version_id, change):
            return True  # it was deleted or renamed before
        if change.target is not None:
            return False
        if spot in change.taken:
            return True
        if not change.inherited or version.last_modified.timestamp() <= change.at + SKEW:
            return False
        # It is new, or the last state of what was deleted, which has come late.
        return not any(
            of_document(entry.document) == spot and entry.facts.version_id == version.version_id
            for entry in change.doomed
        )

    async def spare_new(self, change: PathChange) -> None:
        """Have a deletion spare what others have written under its names by now. Afterwards the
        last states of its documents go there, which cannot be told from that by their age."""
        if not change.inherited or change.parts is not None:
            return
        for entry in change.doomed:
            spot = of_document(entry.document)
            current = await self._archive.renaming.current(self.key(spot))
            if current is not None and self._is_spared(change, spot, current):
                change.taken.add(spot)

    def key(self, spot: Spot) -> str:
        """The key of a spot. Raises `InvalidPath`."""
        if spot.kind == "snapshot":
            return self._archive.key(spot.document)
        return self._archive.file_key(spot.path)

    # -- doing it ------------------------------------------------------------------------------

    async def _delete(self, change: PathChange, spot: Spot, part: Part, *, sure: bool) -> None:
        key = self.key(spot)
        if not sure:
            if spot in change.taken:
                return
            current = await self._archive.renaming.current(key)
            if current is None or current.version_id != part.version_id:
                return  # it is deleted, or another has its name
        await self._archive.bucket.delete(key)

    async def _rename(self, change: PathChange, target: str, spot: Spot, part: Part) -> None:
        new = spot.at(moved(spot.path, change.source, target) or target)
        self.key(new)
        if part.copied:
            current = await self._archive.renaming.current(self.key(spot))
            if current is None:
                return
            if current.version_id == part.version_id:
                await self._archive.bucket.delete(self.key(spot))
                return
            if spot.kind == "save" or spot in change.taken:
                return  # it is another file's by now
            # Another server may have written to the document under its old name meanwhile.
        stays = await self._take_over(change, spot, new, part)
        if stays is None:
            return
        part.copied = True
        if not stays and spot not in change.taken:
            await self._archive.bucket.delete(self.key(spot))

    async def _take_over(
        self, change: PathChange, spot: Spot, new: Spot, part: Part
    ) -> bool | None:
        """Have what is under the old name go on under the new one. Returns whether the old one
        has something else by now; None if it has nothing."""
        own = new in change.taken or part.copied
        if spot.kind == "save":

            async def keep(version_id: str) -> str:
                part.kept = version_id or part.kept
                await self._note(change)
                return part.kept

            taken = await self._archive.renaming.file(
                spot.path, new.path, part.version_id, own=own, keep=keep
            )
            return None if taken is None else taken.stays
        taken = await self._archive.renaming.document(
            spot.document, new.document, part.version_id, own=own
        )
        if taken is None:
            return None
        part.version_id = taken.version_id
        if taken.copied is not None:
            await self._taken_over(new.document, taken.copied)
        return taken.stays
