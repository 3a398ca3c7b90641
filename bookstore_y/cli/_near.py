"""Suggestions for a mistyped path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..keys import RESERVED, SNAPSHOT_SUFFIX
from ..near import nearest

if TYPE_CHECKING:
    from ..archive.archive import Archive


async def path_like(archive: Archive, path: str) -> str | None:
    """The path of a file in the bucket that is most like `path`, name by name from the top; None
    if there is none, or if it is `path` itself. One request a name, which sees the first
    thousand names of a directory. Raises a `BookstoreError` when the bucket cannot be listed."""
    found: list[str] = []
    names = path.strip("/").split("/")
    for name in names:
        is_file = len(found) == len(names) - 1
        there = await _names(archive, "/".join([*found, ""]), files=is_file)
        near = name if name in there else nearest(name, there)
        if near is None:
            return None
        found.append(near)
    like = "/".join(found)
    return None if like == path else like


async def _names(archive: Archive, directory: str, *, files: bool) -> set[str]:
    """The names of the files in a directory, or those of the directories in it."""
    prefix = archive.settings.workspace_prefix + directory
    page = await archive.bucket.listing.object_page(prefix, delimiter="/")
    if not files:
        return {each[len(prefix) :].rstrip("/") for each in page.prefixes} - {RESERVED.rstrip("/")}
    return {_file(each.key[len(prefix) :]) for each in page.objects} - {""}


def _file(name: str) -> str:
    """The name of a file: of a snapshot that of the file it is of, without document type."""
    if not name.endswith(SNAPSHOT_SUFFIX):
        return name
    return name[: -len(SNAPSHOT_SUFFIX)].rpartition(".")[0]
