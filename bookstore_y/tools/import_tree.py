"""Importing the files of a directory as saved files."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..aio import Budget, each
from ..archive.snapshot_reader import SnapshotReader
from ..archive.version import VersionMetadata
from ..archive.version_keys import Place
from ..archive.workspace import Workspace
from ..errors import BookstoreError, InvalidPath, SnapshotError
from ..keys import check_path
from ..s3.objects import ObjectVersion
from ..ydoc import content
from ..ydoc.kinds import kind_of
from .importing import Imported, Importing

if TYPE_CHECKING:
    from ..archive.archive import Archive

MEMORY = 256 * 1024 * 1024
"""Bytes that the files under way take together, about; one alone may take more."""


@dataclass(frozen=True)
class _Source:
    file: Path
    path: str
    size: int
    modified: datetime


class TreeImport(Importing):
    """Imports the files of a directory, or one file, as saved files below `to` in the workspace.

    Hidden files are left out unless `hidden` is set, `.ipynb_checkpoints` and symbolic links
    always; files over `max_size` bytes are skipped. A file that was changed later in the bucket
    than here is skipped unless `force` is set.
    """

    def __init__(
        self,
        archive: Archive,
        root: Path,
        *,
        to: str = "",
        hidden: bool = False,
        max_size: int = 100 * 1024 * 1024,
        force: bool = False,
        dry_run: bool = False,
    ) -> None:
        super().__init__(archive, force=force, dry_run=dry_run)
        self._root = root
        self._to = f"{to}/" if to else ""
        self._hidden = hidden
        self._max_size = max_size
        self._reading = SnapshotReader(archive.bucket, archive.settings)
        self._budget = Budget(MEMORY)
        self._known: dict[str, tuple[Place, ObjectVersion]] = {}

    async def run(self) -> AsyncIterator[Imported]:
        """Import the files, and tell of each as it is done, in no order.

        One that cannot be read or written does not stop the others.
        """
        workspace = Workspace(self._archive.bucket, self._archive.settings)
        async for place, entry in workspace.entries(self._to.rstrip("/")):
            known = self._known.get(place.path)
            if known is None or known[1].last_modified < entry.last_modified:
                self._known[place.path] = place, entry
        limit = self._archive.settings.max_threads
        async for imported in each(self._sources(), self._import, limit):
            yield imported

    async def _sources(self) -> AsyncIterator[_Source | Imported]:
        walk = self._walk()
        while (some := await asyncio.to_thread(_some, walk)) is not None:
            for source in some:
                yield source

    def _walk(self) -> Iterator[_Source | Imported]:
        if not self._root.is_dir():
            yield self._look(self._root, self._root.name)
            return
        waiting = [(self._root, "")]
        while waiting:
            directory, above = waiting.pop()
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError as error:
                yield Imported(
                    str(directory), above, "failed", reason=f"{directory}: {error.strerror}."
                )
                continue
            for entry in entries:
                path = f"{above}{entry.name}"
                if entry.name == ".ipynb_checkpoints":
                    yield Imported(entry.path, path, "left out", reason="checkpoints of Jupyter")
                elif entry.name.startswith(".") and not self._hidden:
                    yield Imported(entry.path, path, "left out", reason="hidden")
                elif entry.is_symlink():
                    yield Imported(entry.path, path, "left out", reason="a symbolic link")
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{path}/"))
                else:
                    yield self._look(Path(entry.path), path)

    def _look(self, file: Path, path: str) -> _Source | Imported:
        path = self._to + path
        try:
            found = file.stat()
            check_path(path)
        except OSError as error:
            return Imported(str(file), path, "failed", reason=f"{error.strerror}.")
        except InvalidPath as error:
            return Imported(str(file), path, "failed", reason=str(error))
        if not stat.S_ISREG(found.st_mode):
            return Imported(str(file), path, "left out", reason="neither a file nor a directory")
        modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
        return _Source(file, path, found.st_size, modified)

    async def _import(self, source: _Source | Imported) -> Imported:
        if isinstance(source, Imported):
            return source
        told, path, size = str(source.file), source.path, source.size
        if size > self._max_size:
            reason = f"It has {size} bytes, over the limit of {self._max_size}; raise --max-size."
            return Imported(told, path, "skipped", size, reason)
        try:
            async with self._budget.spending(size * 2):
                body = await asyncio.to_thread(source.file.read_bytes)
                outcome, reason = await self._save(source, body)
        except OSError as error:
            return Imported(told, path, "failed", size, f"{error.strerror or error}.")
        except BookstoreError as error:
            return Imported(told, path, "failed", size, self._note(error))
        self._outages = 0
        return Imported(told, path, outcome, size, reason)

    async def _save(self, source: _Source, body: bytes) -> tuple[str, str]:
        path = source.path
        known = self._known.get(path)
        if known is not None:
            place, entry = known
            if not entry.is_delete_marker and await self._says(place, entry, body):
                return "same", ""
            if not self._force and entry.last_modified > source.modified:
                when = entry.last_modified.isoformat()
                if entry.is_delete_marker:
                    return "skipped", (
                        f"It was deleted in the bucket, on {when}, after it was last changed here; "
                        "with --force it is there again."
                    )
                return "skipped", (
                    f"The bucket has a newer version, of {when}, that says something else; with "
                    "--force this one is put on top of it."
                )
        if self._dry_run:
            return "written", ""
        version = await self._archive.save_file(
            path,
            body,
            origin=f"import:{quote(self._root.name, errors='replace')[:200]}",
            content_type=_media_type(path),
        )
        return ("same" if version is None else "written"), ""

    async def _says(self, place: Place, entry: ObjectVersion, body: bytes) -> bool:
        """Whether a version says what a file does."""
        if place.kind == "save":
            if entry.size != len(body):
                return False
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            if entry.etag.strip('"') == md5:
                return True
            stored = await self._archive.bucket.head(entry.key, entry.version_id)
            digest = VersionMetadata.from_metadata(stored.metadata).digest
            return digest == hashlib.sha256(body).hexdigest()
        try:
            snapshot = await self._reading.read(entry.key, entry.version_id)
            return await asyncio.to_thread(_says_alike, place.type, snapshot.update, body, place)
        except (SnapshotError, BookstoreError):
            return False


def _says_alike(kind: str | None, update: bytes, body: bytes, place: Place) -> bool:
    ours = content.of_update(kind, update)
    try:
        theirs = kind_of(kind).content_of(body)
        return content.hash_of(ours) == content.hash_of_file(kind, theirs)
    except Exception:  # noqa: BLE001 - nbformat raises what it likes for what is no notebook
        return False


def _media_type(path: str) -> str:
    if path.endswith(".ipynb"):
        return "application/x-ipynb+json"
    guessed, encoding = mimetypes.guess_type(path)
    return "application/octet-stream" if guessed is None or encoding else guessed


def _some(walk: Iterator[_Source | Imported], count: int = 100) -> list[_Source | Imported] | None:
    return list(islice(walk, count)) or None
