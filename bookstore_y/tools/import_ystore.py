"""Importing the documents of another store, each as one snapshot."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pycrdt

from ..aio import each, listed
from ..archive.version import Snapshot, VersionMetadata
from ..archive.version_keys import room_types
from ..errors import BookstoreError, DocumentNotFound, InvalidPath, SnapshotError
from ..keys import Document
from ..s3.objects import ObjectVersion
from ..ydoc import content
from ..ydoc.squash import squash, squash_buffered, unusable
from ..ydoc.summary import lineage_of
from ..ydoc.updates import EMPTY_UPDATE, missing, state_vector
from .importing import Imported, Importing
from .ystore_db import StoredHistory, YStoreDatabase, has_brotli, room_of

if TYPE_CHECKING:
    from ..archive.archive import Archive

DOCUMENTS = 4
"""Histories that are squashed at a time: each takes memory, and a processor."""


class YStoreImport(Importing):
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
        current = await archive.snapshots.current(document)
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
            await archive.snapshots.put_back(document, current)
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
