"""Whether the current snapshots can be read."""

from __future__ import annotations

from ...archive.snapshot_reader import SnapshotReader
from ...archive.version import Version
from ...archive.workspace import Workspace
from ...errors import BookstoreError, NotFound, SnapshotError
from ...s3.bucket import Bucket
from ...settings import BookstoreSettings
from .findings import Finding, failed

READ, LISTED, READ_BYTES = 25, 1000, 64 * 1024 * 1024
"""Current snapshots that are read, files that they are chosen from, and bytes of them together."""


async def check_documents(bucket: Bucket, settings: BookstoreSettings) -> list[Finding]:
    """Whether the current snapshots can be read: the newest `READ` among the first `LISTED` files,
    and of no more than `READ_BYTES` in all. A damaged one is found here before somebody opens it.
    """
    found: list[Version] = []
    listed = 0
    try:
        async for file in Workspace(bucket, settings).files():
            found += [version for version in file.versions if version.kind == "snapshot"]
            listed += 1
            if listed == LISTED:
                break
    except BookstoreError as error:
        return [failed("documents", error)]
    found.sort(key=lambda version: version.last_modified, reverse=True)
    reading = SnapshotReader(bucket, settings)
    damaged: list[Finding] = []
    read = size = 0
    for version in found[:READ]:
        if read and size + version.size > READ_BYTES:
            break
        read, size = read + 1, size + version.size
        try:
            await reading.read(version.key, version.version_id)
        except NotFound:
            pass  # gone since it was listed
        except SnapshotError as error:
            damaged.append(_damage(version, error))
        except BookstoreError as error:
            return [*damaged, failed("documents", error)]
    if damaged:
        return damaged
    if not read:
        return [Finding("documents", "ok", "There is no document to read yet.")]
    rest = "" if listed < LISTED and read == len(found) else f" among the first {listed} files"
    which = f"The {read} newest current snapshots{rest}" if read > 1 else "The current snapshot"
    return [Finding("documents", "ok", f"{which} can be read. Older versions were not checked.")]


def _damage(version: Version, error: SnapshotError) -> Finding:
    message = str(error).partition("; ")[0]
    return Finding(
        "documents",
        "failed",
        f"{version.path} does not open because its current snapshot {version.version_id!r} is "
        f"damaged: {message}.",
        f"List its versions with `jupyter bookstore versions {version.path}`, and restore one "
        f"with `jupyter bookstore restore {version.path} VERSION`.",
    )
