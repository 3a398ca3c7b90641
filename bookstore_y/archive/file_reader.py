"""Reading a file of the archive as bytes that can be written to a disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..errors import (
    DocumentNotFound,
    DocumentTooLarge,
    SnapshotError,
    UnsupportedDocument,
)
from ..keys import SNAPSHOT_SUFFIX
from ..s3.bucket import Bucket
from ..settings import BookstoreSettings
from .current_files import CurrentBody, CurrentFile
from .file_content import of_update
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .snapshot_writer import SnapshotWriter
from .version import Version, version_of


@dataclass(frozen=True)
class FileBody:
    """A file's bytes, and the version that they are from.

    `reason` says why it is not the newest version: that one cannot be read.
    """

    version: Version
    body: bytes
    reason: str = ""


class FileReader:
    """Reads files of the archive: the bytes of a save as they are, and what a room's snapshot says
    as Jupyter would write it."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._snapshots = SnapshotReader(bucket, settings)
        self._saves = Files(bucket, settings, SnapshotWriter(bucket, settings, self._snapshots))

    async def read(self, file: CurrentFile) -> FileBody:
        """The newest object of a file that can be read.

        Raises `DocumentNotFound` when all were deleted by now, a `BucketError` when the bucket
        cannot be asked, and what is wrong with the newest when none can be read.
        """
        wrong: Exception | None = None
        gone: DocumentNotFound | None = None
        for body in file.bodies:
            try:
                return await self._read(file.path, body, str(wrong) if wrong else "")
            except DocumentNotFound as error:
                gone = error
            except (DocumentTooLarge, SnapshotError, UnsupportedDocument) as error:
                wrong = wrong or error
        raise wrong or gone or DocumentNotFound(f"The archive holds nothing of {file.path}.")

    async def read_version(self, version: Version) -> bytes:
        """The bytes of the file at a version. Raises a `BookstoreError` when it cannot be read."""
        if not version.key.endswith(SNAPSHOT_SUFFIX):
            return (await self._saves.read(version.key, version.version_id)).body
        snapshot = await self._snapshots.read(version.key, version.version_id)
        return await asyncio.to_thread(_file_of, version, snapshot.update)

    async def _read(self, path: str, body: CurrentBody, reason: str) -> FileBody:
        if body.is_snapshot:
            snapshot = await self._snapshots.read(body.key)
            version = Version(
                version_id=snapshot.version_id,
                key=body.key,
                last_modified=snapshot.last_modified,
                size=body.size,
                is_latest=True,
                path=path,
                type=body.type,
            )
            raw = await asyncio.to_thread(_file_of, version, snapshot.update)
            return FileBody(version, raw, reason)
        stored = await self._saves.read(body.key)
        version = version_of(stored, path, kind="save", is_latest=True)
        return FileBody(version, stored.body, reason)


def _file_of(version: Version, update: bytes) -> bytes:
    return of_update(version, update).raw()
