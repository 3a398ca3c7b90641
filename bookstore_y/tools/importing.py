"""Importing: documents of another store, and trees of files, into the archive.

Nothing in the bucket that is newer, or of another history, is put aside by it unless that is asked
for. What has been imported is recognized, so that an import can be run again, and goes on where it
broke off.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pycrdt

from ..aio import Budget, each, listed
from ..archive.snapshot_reader import SnapshotReader
from ..archive.version import Snapshot, VersionMetadata
from ..archive.version_keys import Place, room_types
from ..archive.workspace import Workspace
from ..errors import BookstoreError, BucketUnavailable, DocumentNotFound, InvalidPath, SnapshotError
from ..keys import Document, check_path
from ..s3.objects import ObjectVersion
from ..ydoc import content
from ..ydoc.squash import squash, squash_buffered, unusable
from ..ydoc.summary import lineage_of
from ..ydoc.updates import EMPTY_UPDATE, missing, state_vector
from .ystore_db import StoredHistory, YStoreDatabase, has_brotli, room_of

if TYPE_CHECKING:
    from ..archive.archive import Archive

DOCUMENTS = 4
"""Histories that are squashed at a time: each takes memory, and a processor."""

MEMORY = 256 * 1024 * 1024
"""Bytes that the files under way take together, about; one alone may take more."""

OUTAGE = 20
"""Items in a row that an unavailable bucket may cost before the others are not tried."""


@dataclass(frozen=True)
class Imported:
    """What became of one document or file.

    `written`: it is a new version now. `beneath`: it is a version, and the newer one that the
    bucket had is still current. `same`: the bucket has it already. `left out`: as asked, or as
    usual. `skipped`: the bucket has something else, or it cannot be told what it is. `failed`:
    it cannot be read or written. Whatever has a `reason`, but for what was left out, is not all
    in the bucket as its newest version. `size` is in bytes, of the file or update.
    """

    source: str
    path: str
    outcome: str
    size: int = 0
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done about it."""
        return not self.reason or self.outcome == "left out"

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**vars(self), "reason": self.reason or None}


class _Importing:
    def __init__(self, archive: Archive, *, force: bool, dry_run: bool) -> None:
        self._archive = archive
        self._force = force
        self._dry_run = dry_run
        self._outages = 0

    def _note(self, error: BookstoreError) -> str:
        if isinstance(error, BucketUnavailable):
            self._outages += 1
            if self._outages >= OUTAGE:
                raise error
        else:
            self._outages = 0
        return str(error)


# -- stores --------------------------------------------------------------------------------------


class YStoreImport(_Importing):
    """Imports the documents of a YStore's database, each as one snapshot under its file's path.

    `paths` are the files' paths by their ids. A document that the bucket has in the same history
    takes in what it lacks; in another history it is skipped, or with `force` becomes a version
    of its own: the current one if it is newer than that of the bucket, else one beneath it.
    """

    def __init__(
        self,
        archive: Archive,
        database: YStoreDatabase,
        paths: Mapping[str, str],
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> None:
        super().__init__(archive, force=force, dry_run=dry_run)
        self._database = database
        self._paths = paths

    async def run(self, names: list[str]) -> AsyncIterator[Imported]:
        """Import these documents, and tell of each as it is done, in no order."""
        async for imported in each(listed(names), self._import, DOCUMENTS):
            yield imported

    async def _import(self, name: str) -> Imported:
        document = self._document(name)
        if isinstance(document, str):
            return Imported(name, "", "skipped", reason=document)
        path = document.path
        try:
            history = await asyncio.to_thread(self._database.history, name)
            found = await asyncio.to_thread(_squashed, history, document)
            if isinstance(found, str):
                outcome = "failed" if found else "left out"
                return Imported(name, path, outcome, reason=found or "empty")
            outcome, reason = await self._save(document, found)
        except BookstoreError as error:
            return Imported(name, path, "failed", reason=self._note(error))
        self._outages = 0
        reason = " ".join(filter(None, [reason, found.incomplete]))
        return Imported(name, path, outcome, len(found.update), reason)

    def _document(self, name: str) -> Document | str:
        """The document of that name; or why it is not known."""
        room = room_of(name)
        try:
            if room is None:
                return Document(name)
            kind, file_id = room
            path = self._paths.get(file_id)
            if path is None:
                return (
                    f"The file of id {file_id!r} is not known; name the server's "
                    "file_id_manager.db and its root directory, or map the id to a path."
                )
            if kind not in room_types():
                return f"No installed package knows documents of type {kind!r}; install it."
            return Document(path, kind)
        except InvalidPath as error:
            return str(error)

    async def _save(self, document: Document, found: _Found) -> tuple[str, str]:
        """Save what was found; the outcome and, unless it is well, the reason."""
        archive = self._archive
        current = await archive.current(document)
        facts = VersionMetadata(
            lineage=found.lineage,
            updates=found.count,
            origin=f"import:{quote(self._database.path.name)}@{found.last.isoformat()}",
            write_id=found.digest,
        )
        if current is not None and current.facts.write_id == facts.write_id:
            return "same", ""
        if current is None:
            reason = "" if self._force else await self._stands_against(document, found)
            if reason:
                return "skipped", reason
            return await self._put(document, found.update, facts)
        if bool(current.update) and await asyncio.to_thread(_is_one_history, current, found):
            joined = await asyncio.to_thread(squash_buffered, current.update, [], [found.update])
            if not joined.changed:
                return "same", ""
            facts = replace(
                facts,
                lineage=current.facts.lineage,
                file_id=current.facts.file_id,
                file_hashes=current.facts.file_hashes,
            ).renewed()
            return await self._put(document, joined.update, facts, current)
        when = current.last_modified.isoformat()
        if not self._force:
            return "skipped", (
                f"The bucket has another history of {document}, of {when}, and they cannot be "
                "merged; with --force this one becomes a version of its own."
            )
        if await self._was_imported(archive.key(document), facts.write_id):
            return "same", ""
        outcome = await self._put(document, found.update, facts, current)
        if found.last > current.last_modified:
            return outcome
        if not self._dry_run:
            await archive.put_back(document, current)
        return "beneath", ""

    async def _put(
        self, document: Document, update: bytes, facts: VersionMetadata, on: Snapshot | None = None
    ) -> tuple[str, str]:
        if not self._dry_run:
            parent, etag = (on.version_id, on.etag) if on else ("", "")
            facts = replace(facts, parent=parent)
            await self._archive.save(document, update, facts, parent_etag=etag)
        return "written", ""

    async def _stands_against(self, document: Document, found: _Found) -> str:
        """What the bucket has, or had, of the file that is newer than its document here."""
        archive, path = self._archive, document.path
        try:
            newest = await archive.version_at(path, datetime.now(timezone.utc))
        except DocumentNotFound:
            try:
                page = await archive.history(path, limit=1)
            except DocumentNotFound:
                return ""
            if not page.versions:
                return ""
            return f"{path} was deleted in the bucket; undelete it first, or add --force."
        if newest.last_modified <= found.last or document.type is None:
            return ""
        there = await archive.read(path, newest.version_id)
        ours = await asyncio.to_thread(content.of_update, document.type, found.update)
        if content.hash_of(there.content) == content.hash_of(ours):
            return ""
        when = newest.last_modified.isoformat()
        return (
            f"The bucket has a newer version of {path}, of {when}, that says something else; with "
            "--force this one is put on top of it."
        )

    async def _was_imported(self, key: str, write_id: str) -> bool:
        async def look(entry: ObjectVersion) -> bool:
            stored = await self._archive.bucket.head(key, entry.version_id)
            return VersionMetadata.from_metadata(stored.metadata).write_id == write_id

        entries = [
            entry
            async for entry in self._archive.bucket.listing.versions(key)
            if not entry.is_delete_marker
        ]
        limit = self._archive.settings.max_threads
        return any([found async for found in each(listed(entries), look, limit)])


@dataclass(frozen=True)
class _Found:
    """A document as its updates make it; `digest` is of these, `last` the time of the newest."""

    update: bytes
    lineage: str
    digest: str
    last: datetime
    count: int
    incomplete: str


def _squashed(history: StoredHistory, document: Document) -> _Found | str:
    """The document that a history makes; or why there is none, nothing if it is just empty."""
    updates = list(history.updates)
    bad = history.unreadable
    try:
        update = squash(updates)
    except SnapshotError:
        spoilt = set(unusable(None, updates))
        bad += len(spoilt)
        updates = [one for index, one in enumerate(updates) if index not in spoilt]
        update = squash(updates)
    total = len(history.updates) + history.unreadable
    hint = "" if has_brotli() else " If it is QYStore's, install the package brotli."
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(update)
    if doc.get_state() == b"\x00":
        if bad:
            return f"None of its {total} updates can be read.{hint}"
        if update != EMPTY_UPDATE:
            return "Its updates build on others that the database has not."
        return ""
    incomplete = ""
    if bad:
        incomplete = f"{bad} of its {total} updates cannot be read and are left out.{hint}"
    elif missing(update, doc.get_state())[:1] != b"\x00":
        incomplete = "Some of its updates build on others that the database has not."
    digest = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in updates))
    return _Found(
        update,
        _lineage(updates, document.type),
        digest.hexdigest()[:32],
        datetime.fromtimestamp(history.last, timezone.utc),
        len(updates),
        incomplete,
    )


def _lineage(updates: list[bytes], kind: str | None) -> str:
    """The lineage that a store of ours would have given to this history, were it the first."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    if kind is not None:
        content.read(kind, doc)  # tells the document what its parts are
    for update in updates:
        doc.apply_update(update)
        if doc.get_state() != b"\x00":
            return lineage_of(update if kind is None else content.base_of(doc))
    raise AssertionError("unreachable: the updates make a document")


def _is_one_history(current: Snapshot, found: _Found) -> bool:
    """Whether two documents may be merged: they have one lineage or, since squashing loses how a
    history began, edits of one client. (Client 0 is whoever has built a document from a file.)"""
    if current.facts.lineage == found.lineage:
        return True
    return bool(_clients(current.update) & _clients(found.update) - {0})


def _clients(update: bytes) -> set[int]:
    numbers = pycrdt.Decoder(state_vector(update))
    clients = set()
    for _ in range(numbers.read_var_uint()):
        clients.add(numbers.read_var_uint())
        numbers.read_var_uint()  # its clock
    return clients


# -- trees ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    file: Path
    path: str
    size: int
    modified: datetime


class TreeImport(_Importing):
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
        theirs: Any = body.decode()
        if kind == "notebook":
            import nbformat

            untyped: Any = nbformat
            theirs = untyped.reads(theirs, as_version=4)
        else:
            theirs = theirs.replace("\r\n", "\n")  # as a room has it
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
