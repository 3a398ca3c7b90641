"""Pulling: writing files of the archive to a directory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..aio import Budget, each
from ..archive.file_content import FileReader
from ..archive.version import Version
from ..archive.workspace import ArchivedFile
from ..errors import BookstoreError, BucketUnavailable
from ..keys import SNAPSHOT_SUFFIX
from .directory import Directory, DirectoryUnusable, Refused

if TYPE_CHECKING:
    from ..archive.archive import Archive

MEMORY = 256 * 1024 * 1024
"""Bytes that the files under way take together, about; one alone may take more."""

SNAPSHOT_GROWTH = 10
"""About how many times its stored size a snapshot takes while it is decoded."""

OUTAGE = 20
"""Files in a row that an unavailable bucket may cost before the others are not tried."""


@dataclass(frozen=True)
class Pulled:
    """What became of one file: `written`, `replaced`, `same` (it was there already), `refused`
    (it is not written here) or `failed` (it could not be read). `size` is in bytes, of the file.

    A file may be `written` and have a `reason`: its newest version could not be read, and
    `version` is an older one, of another kind.
    """

    path: str
    outcome: str
    version: Version
    size: int = 0
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the file is there now, as its newest version has it."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "path": self.path,
            "outcome": self.outcome,
            "size": self.size,
            "version": self.version.to_dict(),
            "reason": self.reason or None,
        }


class Pulling:
    """Writes files of `archive` into `directory`, some at a time.

    What is there already and says the same is left alone. Other files are left alone as well,
    and the files from the archive `refused`, unless `overwrite` is set. With `dry_run` nothing
    is written, and the outcomes are those that it would have.
    """

    def __init__(
        self,
        archive: Archive,
        directory: Directory,
        *,
        overwrite: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._limit = archive.settings.max_threads
        self._directory = directory
        self._overwrite = overwrite
        self._dry_run = dry_run
        self._reader = FileReader(archive.bucket, archive.settings)
        self._budget = Budget(MEMORY)
        self._outages = 0

    async def run(self, files: AsyncIterator[ArchivedFile]) -> AsyncIterator[Pulled]:
        """Pull the files, and tell of each as it is done, in no order.

        One that cannot be read or written does not stop the others. Raises `DirectoryUnusable`
        when none can be written, and the bucket's error when it cannot be listed or stays away.
        """
        if not self._dry_run:
            await asyncio.to_thread(self._directory.prepare)
        async for pulled in each(files, self._pull, self._limit):
            yield pulled

    async def _pull(self, file: ArchivedFile) -> Pulled:
        try:
            self._directory.claim(file.path)
        except Refused as error:
            return Pulled(file.path, "refused", file.newest, reason=str(error))
        reasons: list[str] = []
        for version in file.versions:
            if self._is_there(version):
                return Pulled(file.path, "same", version, version.size, _first(reasons))
            try:
                return await self._pull_version(version, reasons)
            except BucketUnavailable as error:
                self._outages += 1
                if self._outages >= OUTAGE:
                    raise
                reasons.append(str(error))
                break  # it may have this version yet
            except (Refused, DirectoryUnusable):
                raise
            except BookstoreError as error:
                self._outages = 0  # the bucket has answered
                reasons.append(str(error))
        return Pulled(file.path, "failed", file.newest, reason=_first(reasons))

    def _is_there(self, version: Version) -> bool:
        size = None if _is_snapshot(version) else version.size
        return self._directory.holds(version.path, time_of(version), size)

    async def _pull_version(self, version: Version, reasons: list[str]) -> Pulled:
        growth = SNAPSHOT_GROWTH if _is_snapshot(version) else 1
        async with self._budget.spending(version.size * growth):
            body = await self._reader.read_version(version)
            self._outages = 0
            outcome, size, reason = await asyncio.to_thread(self._write, version, body)
        return Pulled(version.path, outcome, version, size, reason or _first(reasons, version))

    def _write(self, version: Version, body: bytes) -> tuple[str, int, str]:
        path, time = version.path, time_of(version)
        if self._directory.says(path, body):
            return "same", len(body), ""
        there = self._directory.has(path)
        if there and not self._overwrite:
            where = self._directory.root / path
            reason = f"{where} exists with different content; add --overwrite to replace it."
            return "refused", len(body), reason
        if not self._dry_run:
            try:
                self._directory.write(path, body, time, overwrite=self._overwrite)
            except Refused as error:
                return "refused", len(body), str(error)
        return ("replaced" if there else "written"), len(body), ""


def time_of(version: Version) -> int:
    """The time of modification that a file of this version gets, in nanoseconds.

    S3's times are in seconds, so the fraction is free to tell which version it is: a file that
    was pulled and not touched since is known by it.
    """
    digest = hashlib.sha256(f"{version.key}\0{version.version_id}".encode()).digest()
    fraction = int.from_bytes(digest[:4], "big") % 10_000_000 * 100
    return int(version.last_modified.timestamp()) * 1_000_000_000 + fraction


def _is_snapshot(version: Version) -> bool:
    return version.key.endswith(SNAPSHOT_SUFFIX)


def _first(reasons: list[str], instead: Version | None = None) -> str:
    if not reasons or instead is None:
        return reasons[0] if reasons else ""
    kind = "snapshot" if _is_snapshot(instead) else "save"
    when = instead.last_modified.isoformat()
    return f"{reasons[0]} The {kind} from {when} is written instead."
