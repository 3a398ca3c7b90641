"""The current files of the workspace, without their versions.

S3 lists current objects apart from versions, deleted ones left out: a request a thousand, however
long their histories are (Amazon S3 API Reference, "ListObjectsV2"). That takes s3:ListBucket. Where
it is denied, the listing of versions says the same, with a request for each thousand versions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime

from ..errors import AccessDenied
from ..keys import check_path
from ..s3.bucket import Bucket
from ..s3.objects import CurrentObject, ObjectPage
from ..settings import BookstoreSettings
from .version_keys import Place
from .workspace import Workspace


@dataclass(frozen=True, slots=True)
class CurrentBody:
    """One object that holds a file as it is: what was saved, or the snapshot of a room."""

    key: str
    last_modified: datetime
    size: int
    """In bytes, as stored."""
    type: str | None
    """The document type of a snapshot; None of a saved file."""

    @property
    def is_snapshot(self) -> bool:
        """Whether it holds a Yjs update, not the file's own bytes."""
        return self.type is not None


@dataclass(frozen=True, slots=True)
class CurrentFile:
    """One file that the archive holds, with each object that holds it; newest first."""

    path: str
    bodies: tuple[CurrentBody, ...]

    @property
    def newest(self) -> CurrentBody:
        """The object that was written last."""
        return self.bodies[0]


@dataclass(frozen=True)
class Level:
    """One directory of the archive, without what its directories hold. Both are by name."""

    files: dict[str, CurrentFile]
    directories: frozenset[str]


class CurrentFiles:
    """The files under the workspace prefix, as they are now.

    Paths are the keys', whatever program wrote them: check them before they become files'.
    Every method raises a `BucketError` when the bucket cannot be listed.
    """

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._bucket = bucket
        self._workspace = Workspace(bucket, settings)

    async def all(self, directory: str = "") -> list[CurrentFile]:
        """All files, or those below a directory, in no order."""
        prefix = f"{directory}/" if directory else ""
        found = [each async for each in self._objects(prefix)]
        return list(_files(found).values())

    async def level(self, directory: str, stem: str = "") -> Level:
        """The files and directories in a directory whose names begin with `stem`."""
        above = f"{directory}/" if directory else ""
        found: list[tuple[Place, CurrentObject]] = []
        directories: set[str] = set()
        after: str | None = None
        while True:
            prefix = f"{self._workspace.prefix}{above}{stem}"
            page = await self._page(prefix, after=after, delimiter="/")
            found += self._placed(page.objects)
            for each in page.prefixes:
                if self._workspace.place_of(f"{each}x") is not None:  # not one reserved
                    directories.add(each.rstrip("/").rpartition("/")[2])
            after = page.next
            if after is None:
                break
        files = {path.rpartition("/")[2]: file for path, file in _files(found).items()}
        return Level(files, frozenset(directories))

    async def at(self, path: str) -> tuple[CurrentFile | None, bool]:
        """The file at a path, if there is one, and whether there is a directory at it. Raises
        `InvalidPath`.

        One request, unless very many names in the same directory begin with this one.
        """
        check_path(path)
        directory, _, name = path.rpartition("/")
        level = await self.level(directory, name)
        is_directory = name in level.directories
        if is_directory:  # moto 5.2 names the directories of deleted files, too
            page = await self._page(f"{self._workspace.prefix}{path}/", limit=1)
            is_directory = bool(page.objects)
        return level.files.get(name), is_directory

    async def _objects(self, path: str) -> AsyncIterator[tuple[Place, CurrentObject]]:
        after: str | None = None
        while True:
            page = await self._page(self._workspace.prefix + path, after=after)
            for each in self._placed(page.objects):
                yield each
            after = page.next
            if after is None:
                return

    async def _page(
        self, prefix: str, *, after: str | None = None, limit: int = 1000, delimiter: str = ""
    ) -> ObjectPage:
        """See `Listing.object_page`. Where that is denied, all that there is, on one page."""
        try:
            return await self._bucket.listing.object_page(
                prefix, after=after, limit=limit, delimiter=delimiter
            )
        except AccessDenied:
            return await self._page_of_versions(prefix, delimiter)

    async def _page_of_versions(self, prefix: str, delimiter: str) -> ObjectPage:
        objects: list[CurrentObject] = []
        prefixes: list[str] = []
        after: tuple[str, str] | None = None
        while True:
            page = await self._bucket.listing.page(prefix, after=after, delimiter=delimiter)
            objects += [
                CurrentObject(entry.key, entry.last_modified, entry.size)
                for entry in page.entries
                if entry.is_latest and not entry.is_delete_marker
            ]
            # Unlike the listing of objects, this one names prefixes that hold nothing any more.
            prefixes += [each for each in page.prefixes if await self._holds_any(each)]
            after = page.next
            if after is None:
                return ObjectPage(objects, prefixes, None)

    async def _holds_any(self, prefix: str) -> bool:
        async for entry in self._bucket.listing.under(prefix):
            if entry.is_latest and not entry.is_delete_marker:
                return True
        return False

    def _placed(self, objects: Iterable[CurrentObject]) -> list[tuple[Place, CurrentObject]]:
        placed = [(self._workspace.place_of(each.key), each) for each in objects]
        # A document without a type is some other program's, and no file of Jupyter's.
        return [
            (place, each)
            for place, each in placed
            if place is not None and (place.kind == "save" or place.type is not None)
        ]


def _files(found: Iterable[tuple[Place, CurrentObject]]) -> dict[str, CurrentFile]:
    bodies: dict[str, list[CurrentBody]] = {}
    for place, each in found:
        body = CurrentBody(each.key, each.last_modified, each.size, place.type)
        bodies.setdefault(place.path, []).append(body)
    return {
        path: CurrentFile(path, tuple(sorted(of_path, key=_written, reverse=True)))
        for path, of_path in bodies.items()
    }


def _written(body: CurrentBody) -> tuple[datetime, bool]:
    # Within one second, a room's snapshot is what its save was made from, or newer.
    return body.last_modified, body.is_snapshot
