"""Which versions of a file are its checkpoints, and what their ids are."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from .. import keys
from ..archive.archive import Archive
from ..archive.file_content import FileContent
from ..archive.version import Version, former_path
from ..errors import DocumentNotFound, VersionNotFound

Checkpoint = dict[str, Any]
"""What the contents API says of a checkpoint: its `id`, and when it was `last_modified`."""

_WRAPPED = "version-"
_PLAIN = re.compile(rf"(?!{_WRAPPED})[A-Za-z0-9_-]+")


async def saved_versions(archive: Archive, path: str, limit: int) -> list[Version]:
    """Up to `limit` saved versions of the file that is at `path` now, newest first, with their
    details.

    Those of a file that was deleted before are another's. A copy that was made by following a
    rename, or by taking a deletion back, is the version that it is of.
    """
    prefix = archive.settings.workspace_prefix
    listed: list[Version] = []
    after: str | None = None
    while True:
        try:
            page = await archive.history(
                path, kinds=("save",), limit=limit + 2, after=after, details=True
            )
        except DocumentNotFound:
            return []
        listed += page.versions
        after = page.next
        found, ended = _of_one_file(prefix, path, listed)
        if len(found) >= limit or ended or after is None:
            return found[:limit]


def _of_one_file(prefix: str, path: str, listed: list[Version]) -> tuple[list[Version], bool]:
    """Of what the history of `path` has been listed so far, the versions of the file that is
    there now; and whether its beginning is among them.

    Versions of one key are in order; those of two keys may not be, within one second.
    """
    left: dict[str, list[Version]] = {}
    for version in reversed(listed):
        left.setdefault(version.key, []).append(version)
    found: list[Version] = []
    key = keys.file_key(prefix, path)
    if not left.get(key):
        return [], bool(listed)
    if not left[key][-1].is_latest:
        return [], True  # it was deleted
    while left.get(key):
        version = left[key].pop()
        former = former_path(version.origin)
        if former is not None:
            key = keys.file_key(prefix, former)
            here = left.get(key, [])
            ids = [each.version_id for each in here]
            if version.parent in ids:
                del here[ids.index(version.parent) + 1 :]  # what that name was used for later
            else:  # it was removed for good
                while here and here[-1].last_modified > version.last_modified:
                    here.pop()
        elif not _is_copy(version):
            found.append(version)
        if not version.parent and version.origin:
            return found, True  # before it, another file had this name
    return found, False


async def current_save(archive: Archive, path: str) -> Version:
    """The version that is current, or that the current one is a copy of."""
    page = await archive.history(path, kinds=("save",), limit=1, details=True)
    version = page.versions[0]
    while _is_copy(version):
        try:
            version = await archive.find(path, version.parent)
        except VersionNotFound:  # it was removed for good
            break
    return version


async def find_save(archive: Archive, path: str, version_id: str) -> Version:
    """A saved version. Raises `VersionNotFound`, also for any other kind of version."""
    version = await archive.find(path, version_id)
    if version.kind != "save":
        raise VersionNotFound(f"{path} has no checkpoint {version_id!r}; list its checkpoints.")
    return version


async def read_save(archive: Archive, path: str, version_id: str) -> FileContent:
    """What a saved version holds. Raises like `find_save`, and like `Archive.content`."""
    return await archive.content(await find_save(archive, path, version_id))


def _is_copy(version: Version) -> bool:
    return version.origin.partition(":")[0] in ("renamed-from", "undelete")


def checkpoint_of(version: Version) -> Checkpoint:
    """The checkpoint that a saved version is."""
    # A listing may tell fractions of a second, a HEAD never does.
    time = version.last_modified.replace(microsecond=0)
    return {"id": checkpoint_id_of(version.version_id), "last_modified": time}


def checkpoint_id_of(version_id: str) -> str:
    """The version id, wrapped if it has characters that jupyter_server's route does not take."""
    if _PLAIN.fullmatch(version_id):
        return version_id
    return _WRAPPED + urlsafe_b64encode(version_id.encode()).decode().rstrip("=")


def version_id_of(checkpoint_id: str) -> str:
    """The id of the version that a checkpoint is."""
    if not checkpoint_id.startswith(_WRAPPED):
        return checkpoint_id
    packed = checkpoint_id[len(_WRAPPED) :]
    try:
        return urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except ValueError:
        return checkpoint_id  # no version has that id, and the bucket says so
