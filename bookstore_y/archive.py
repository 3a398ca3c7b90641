"""Archive: documents and their versions in the bucket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import quote, unquote

from . import keys
from .bucket import Bucket, Copied, ObjectVersion, StoredObject, Written
from .errors import (
    BucketUnavailable,
    DocumentNotFound,
    InvalidPath,
    PreconditionFailed,
    SnapshotError,
    UnsupportedDocument,
    VersionNotFound,
)
from .keys import Document
from .settings import BookstoreSettings
from .snapshot import advance, compress, decompress, lineage_of

log = logging.getLogger(__name__)

FORMAT = "1"
"""Format number of the user metadata of a snapshot."""

METADATA_BYTES = 2048
"""S3's limit on user metadata, names and values together (User Guide, "Object metadata")."""


READINGS = 5
"""Times that a version is read before the way to the bucket is taken to be broken."""

MAX_REFUSALS = 100
"""Conditional writes of one save that others may win before it gives up until the next try."""


@dataclass(frozen=True)
class Version:
    """One version of a document, as the bucket keeps it.

    `size` is in bytes as stored. `kind` is `snapshot`, `save` or `published`. `authors`,
    `parent` (a version id) and `origin` are in the object's metadata, which a listing does not
    show: they are empty unless details were asked for.
    """

    version_id: str
    key: str
    last_modified: datetime
    size: int
    is_latest: bool
    kind: str = "snapshot"
    label: str | None = None
    authors: tuple[str, ...] = ()
    parent: str = ""
    origin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; the time is in ISO 8601."""
        return {
            **asdict(self),
            "last_modified": self.last_modified.isoformat(),
            "authors": list(self.authors),
        }


@dataclass(frozen=True)
class Facts:
    """What a snapshot's user metadata says about it."""

    lineage: str = ""
    parent: str = ""
    updates: int = 0
    authors: tuple[str, ...] = ()
    origin: str = "checkpoint"
    file_id: str = ""
    file_hashes: tuple[str, ...] = ()
    write_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_metadata(self) -> dict[str, str]:
        """ASCII, and within 2 KB: the oldest file hashes and the last authors give way."""
        facts = {
            "format": FORMAT,
            "parent": self.parent,
            "lineage": self.lineage,
            "write-id": self.write_id,
            "updates": str(self.updates),
            "origin": self.origin,
            "file-id": self.file_id,
        }
        facts = {name: value for name, value in facts.items() if value}
        room = METADATA_BYTES - sum(len(name) + len(value) for name, value in facts.items())
        lists = {
            "file-hashes": (list(reversed(self.file_hashes)), room // 2),
            "authors": ([quote(author, errors="replace") for author in self.authors], room // 2),
        }
        for name, (values, room) in lists.items():
            while values and len(name) + len(",".join(values)) > room:
                values.pop()
            if values:
                facts[name] = ",".join(reversed(values) if name == "file-hashes" else values)
        return facts

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Facts:
        """Never fails: an object that another program wrote says nothing about itself."""

        def listed(name: str) -> tuple[str, ...]:
            return tuple(value for value in metadata.get(name, "").split(",") if value)

        updates = metadata.get("updates", "")
        return cls(
            lineage=metadata.get("lineage", ""),
            parent=metadata.get("parent", ""),
            updates=int(updates) if updates.isdecimal() and len(updates) < 20 else 0,
            authors=tuple(unquote(author) for author in listed("authors")),
            origin=metadata.get("origin", ""),
            file_id=metadata.get("file-id", ""),
            file_hashes=listed("file-hashes"),
            write_id=metadata.get("write-id", ""),
        )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as it was loaded. `update` is one Yjs v1 update that holds the document."""

    update: bytes
    version_id: str
    etag: str
    last_modified: datetime
    facts: Facts


@dataclass(frozen=True)
class Saved:
    """What became of a save.

    `update` is what the version now holds. `merged` are the updates of other writers that it
    took in, which the caller does not have. `written` is False when the bucket already held
    all of it.
    """

    version_id: str
    etag: str
    update: bytes
    merged: tuple[bytes, ...] = ()
    written: bool = True


class Archive:
    """Documents and their versions, for programs that have no room.

    ```py
    async with Archive(settings) as archive:
        for version in await archive.versions("report.ipynb"):
            print(version.version_id, version.last_modified)
    ```

    Where a method takes `path`, a `Document` says which room of the file is meant; a plain
    string means whichever the bucket holds (the one written last, if there are several).
    Besides what is named, every method raises `InvalidPath` for a path that cannot be a key,
    `ConfigurationError` when no bucket is set, and a `BucketError` when it cannot be used.
    """

    def __init__(self, settings: BookstoreSettings | None = None) -> None:
        self.settings = settings or BookstoreSettings()
        self.bucket = Bucket(self.settings)
        self._checked = False
        self._details: OrderedDict[tuple[str, str], Facts] = OrderedDict()

    async def __aenter__(self) -> Archive:
        await self.bucket.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.bucket.__aexit__(*exc_info)

    async def check(self) -> None:
        """See that the bucket can be archived into. Raises like `Bucket.check`."""
        await self.bucket.check()
        await self.bucket.honours_conditions()
        self._checked = True

    async def _created(self) -> None:
        # Reading asks nothing of the bucket but that it exists.
        if self.settings.create_bucket and not self._checked:
            await self.check()

    def key(self, document: Document) -> str:
        """The key of the document's snapshots."""
        return keys.snapshot_key(self.settings.workspace_prefix, document)

    # -- reading -------------------------------------------------------------------------------

    async def load(self, path: str | Document, version_id: str | None = None) -> bytes:
        """One Yjs v1 update that holds the document: as it is now, or as a version has it.

        Raises `DocumentNotFound`, `VersionNotFound` (also for another document's version), or
        a `SnapshotError` when what is there cannot be read.
        """
        return (await self.load_snapshot(path, version_id)).update

    async def load_snapshot(self, path: str | Document, version_id: str | None = None) -> Snapshot:
        """Like `load`, with what is known about the version."""
        await self._created()
        document = await self.resolve(path, version_id)
        if version_id is None:
            try:
                return await self._read(self.key(document))
            except DocumentNotFound:
                raise DocumentNotFound(
                    f"The {self.bucket.where} holds no snapshot of {document}; check "
                    "the path and the workspace prefix."
                ) from None
        try:
            return await self._read(self.key(document), version_id)
        except (VersionNotFound, DocumentNotFound):
            # It may be from before the document was renamed.
            with contextlib.suppress(DocumentNotFound):
                for version in await self.versions(document):
                    if version.version_id == version_id and version.key != self.key(document):
                        return await self._read(version.key, version_id)
        raise VersionNotFound(
            f"{document} has no version {version_id!r}; list its versions and take one of them."
        )

    async def is_current(self, document: Document, version_id: str) -> bool:
        """Whether a version is the current one. Raises `DocumentNotFound` when there is none."""
        return (await self.bucket.head(self.key(document))).version_id == version_id

    async def versions(self, path: str | Document, *, details: bool = False) -> list[Version]:
        """All versions of a document, newest first, with those from before it was renamed.

        `details` also fetches what only each version's metadata knows, concurrently. Raises
        `DocumentNotFound` when there is none.
        """
        await self._created()
        found: list[Version] = []
        seen: set[str] = set()
        todo = [(document, "") for document in await self._documents(path)]
        while todo:
            document, newest = todo.pop()
            if f"{document}@{newest}" in seen:
                continue
            seen.add(f"{document}@{newest}")
            listed = [version async for version in self.bucket.list_versions(self.key(document))]
            if newest:
                ids = [version.version_id for version in listed]
                listed = listed[ids.index(newest) :] if newest in ids else []
            found += [_version(version) for version in listed if not version.is_delete_marker]
            todo += await self._before_renames(document, listed)
        if not found:
            raise DocumentNotFound(
                f"The {self.bucket.where} holds no version of {path}; check the path "
                "and the workspace prefix."
            )
        unique = {(version.key, version.version_id): version for version in found}
        ordered = sorted(unique.values(), key=lambda v: v.last_modified, reverse=True)
        return list(await asyncio.gather(*map(self._detail, ordered))) if details else ordered

    async def _detail(self, version: Version) -> Version:
        facts = await self._facts(version.key, version.version_id)
        return replace(version, authors=facts.authors, parent=facts.parent, origin=facts.origin)

    async def _facts(self, key: str, version_id: str) -> Facts:
        # A version's metadata never changes.
        facts = self._details.get((key, version_id))
        if facts is None:
            facts = Facts.from_metadata((await self.bucket.head(key, version_id)).metadata)
            self._details[key, version_id] = facts
            if len(self._details) > 10_000:
                self._details.popitem(last=False)
        return facts

    async def _before_renames(
        self, document: Document, listed: Sequence[ObjectVersion]
    ) -> list[tuple[Document, str]]:
        # A rename leaves a delete marker on the old key and starts a run of versions on the new.
        # (Within one second, S3's answer leaves open which of a version and a marker is older.)
        before = []
        marked_at = {version.last_modified for version in listed if version.is_delete_marker}
        for version, older in zip(listed, [*listed, None][1:], strict=True):
            starts_run = older is None or older.is_delete_marker
            if version.is_delete_marker or not (starts_run or version.last_modified in marked_at):
                continue
            facts = await self._facts(version.key, version.version_id)
            source = _decode_rename(facts.origin)
            if source is not None:
                with contextlib.suppress(InvalidPath):  # not written by us
                    before.append((Document(source, document.type), facts.parent))
        return before

    async def _read(self, key: str, version_id: str | None = None) -> Snapshot:
        """Read a version. One that cannot be used is read again, since a bit may have flipped on
        the way: only what arrives twice as the same bytes is what the bucket holds."""
        limit = self.settings.max_document_size
        arrived: list[bytes] = []
        while True:
            stored = await self.bucket.get(key, version_id, max_size=limit)
            try:
                return await asyncio.to_thread(_open, stored, limit)
            except SnapshotError:
                if stored.body in arrived:
                    raise
                arrived.append(stored.body)
                if len(arrived) > READINGS:
                    raise BucketUnavailable(
                        f"{key!r} in {self.bucket.where} arrives damaged, and different each time; "
                        "check the network and any proxy on the way."
                    ) from None

    async def _documents(self, path: str | Document) -> list[Document]:
        """The documents of one file that the bucket holds, or held, versions of."""
        if isinstance(path, Document):
            return [path]
        keys.check_path(path)
        return list(await self._newest(path)) or [Document(path)]

    async def _newest(self, path: str) -> dict[Document, ObjectVersion]:
        prefix = self.settings.workspace_prefix
        # `notes.txt.y.zst` may be the untyped document of another file: only known types count.
        kinds = "|".join(map(re.escape, sorted(_room_types())))
        own = re.compile(re.escape(prefix + path) + rf"(?:\.({kinds}))?\.y\.zst")
        newest: dict[Document, ObjectVersion] = {}
        async for version in self.bucket.list_prefix(f"{prefix}{path}."):
            match = own.fullmatch(version.key)
            if match:
                newest.setdefault(Document(path, match[1]), version)
        return newest

    async def resolve(self, path: str | Document, version_id: str | None = None) -> Document:
        """The document that `path` means, among those of its file that the bucket holds: the
        one with that version, or the one written last."""
        if isinstance(path, Document):
            return path
        keys.check_path(path)
        newest = await self._newest(path)
        if version_id is not None:
            for version in await self.versions(path) if newest else []:
                if version.version_id == version_id:
                    document = keys.document_of(self.settings.workspace_prefix, version.key)
                    kind = document.type if document else None
                    return Document(path, kind if Document(path, kind) in newest else None)
        alive = {d: v for d, v in newest.items() if not v.is_delete_marker}
        if not alive:
            return next(iter(newest), Document(path))
        return max(alive, key=lambda document: alive[document].last_modified)

    # -- writing -------------------------------------------------------------------------------

    async def save(
        self, document: Document, update: bytes, facts: Facts, *, parent_etag: str = ""
    ) -> Saved:
        """Write `update` as the document's new version, and lose nothing of other writers'.

        `facts.parent` and `parent_etag` name the version that `update` builds on, empty for
        none. What others of the same lineage wrote since is merged in; a version of another
        lineage stays a version, the new one becomes current, and a warning names both.
        Raises `VersioningNotEnabled` among the other bucket errors.
        """
        if not self._checked:
            await self.check()
        if await self.bucket.honours_conditions():
            return await self._save_conditionally(document, update, facts, parent_etag)
        return await self._save_and_look(document, update, facts)

    async def _save_conditionally(
        self, document: Document, update: bytes, facts: Facts, parent_etag: str
    ) -> Saved:
        key = self.key(document)
        merged: list[bytes] = []
        apart = ""
        refusals = 0
        while True:
            try:
                written = await self._put(key, update, facts, if_match=parent_etag)
            except PreconditionFailed:
                refusals += 1
                if refusals == MAX_REFUSALS:
                    raise
                current = await self._look(key)
                if current is None:  # a delete marker came first
                    parent_etag = ""
                    continue
                if current.facts.write_id == facts.write_id:  # it was us; the answer got lost
                    return Saved(current.version_id, current.etag, update, tuple(merged))
                joined = await self._join(current, update, facts.lineage)
                if joined is None:
                    apart = current.version_id
                else:
                    update, their_update, ours_is_new = joined
                    merged.append(their_update)
                    if not ours_is_new:
                        return Saved(
                            current.version_id, current.etag, update, tuple(merged), written=False
                        )
                facts = replace(facts, parent=current.version_id)
                parent_etag = current.etag
                continue
            if apart:
                self._warn_apart(document, written.version_id, apart)
            return Saved(written.version_id, written.etag, update, tuple(merged))

    async def _save_and_look(self, document: Document, update: bytes, facts: Facts) -> Saved:
        """Without conditional writes: write, see what slipped in since the parent, merge, and
        write again until nothing did."""
        key = self.key(document)
        merged: list[bytes] = []
        done = {facts.parent}
        while True:
            written = await self._put(key, update, facts)
            done.add(written.version_id)
            slipped_in = []
            seen = False
            async for version in self.bucket.list_versions(key, first_page=20):
                if version.version_id == facts.parent or (seen and version.is_delete_marker):
                    break  # what was deleted before ours was not slipped in
                seen = seen or version.version_id == written.version_id
                if version.version_id not in done and not version.is_delete_marker:
                    slipped_in.append(version.version_id)
            again = False
            for version_id in slipped_in:
                done.add(version_id)
                other = await self._look(key, version_id)
                if other is None or other.facts.write_id == facts.write_id:
                    continue  # the same write, landed twice because its first answer got lost
                joined = await self._join(other, update, facts.lineage)
                if joined is None:
                    self._warn_apart(document, written.version_id, version_id)
                    continue
                before = update
                update, their_update, _ = joined
                if await asyncio.to_thread(_adds, before, their_update):
                    merged.append(their_update)
                    again = True
            if not again:
                return Saved(written.version_id, written.etag, update, tuple(merged))
            facts = replace(facts, parent=written.version_id, write_id=uuid.uuid4().hex)

    async def _join(
        self, theirs: Snapshot, update: bytes, lineage: str
    ) -> tuple[bytes, bytes, bool] | None:
        """Merge another writer's version and ours: the whole, theirs, and whether ours adds to
        theirs. None when theirs is of another lineage, or cannot be read."""
        if not theirs.update or theirs.facts.lineage != lineage:
            return None
        try:
            squashed = await asyncio.to_thread(advance, theirs.update, [], [update])
        except SnapshotError as error:
            log.warning("Version %s cannot be merged: %s", theirs.version_id, error)
            return None
        return squashed.update, theirs.update, squashed.changed

    def _warn_apart(self, document: Document, ours: str, theirs: str) -> None:
        log.warning(
            "Two histories of %s met in %s and cannot be merged: version %s is current now, and "
            "version %s stays a version; compare them and restore what is missing.",
            document,
            self.bucket.where,
            ours,
            theirs,
        )

    async def _put(
        self, key: str, update: bytes, facts: Facts, if_match: str | None = None
    ) -> Written:
        level = self.settings.compression_level
        frame = await asyncio.to_thread(compress, update, level)
        written = await self.bucket.put(key, frame, facts.to_metadata(), if_match=if_match)
        if written.version_id == "null":
            self._checked = False  # versioning was suspended: the next save is to find out
        return written

    async def _look(self, key: str, version_id: str | None = None) -> Snapshot | None:
        """A version, for merging: with an empty update if it cannot be read. None if there is
        none."""
        try:
            try:
                return await self._read(key, version_id)
            except SnapshotError as error:
                stored = await self.bucket.head(key, version_id)
                log.warning("Version %s of %r is unusable: %s", stored.version_id, key, error)
        except (DocumentNotFound, VersionNotFound):
            return None
        facts = Facts.from_metadata(stored.metadata)
        return Snapshot(b"", stored.version_id, stored.etag, stored.last_modified, facts)

    async def restore(self, path: str | Document, version_id: str) -> Version:
        """Make the document say again what a version says, as a new version on top.

        The old content becomes new edits on the current document, so nothing is taken back
        and clients that return merge with it. For a document in a live room use the server's
        REST call, which edits the room. Raises `VersionNotFound`, and `UnsupportedDocument`
        when the document has no type known to jupyter_ydoc.
        """
        from . import content  # jupyter_ydoc is slow to import, and only restoring needs it

        document = await self.resolve(path, version_id)
        old = await self.load_snapshot(document, version_id)
        if document.type is None:
            raise UnsupportedDocument(
                f"{document} has no document type, so its content cannot be told from its "
                "history; load the version and edit the document in your program."
            )
        try:
            current = await self.load_snapshot(document)
            parent_etag = current.etag
        except DocumentNotFound:  # it was deleted: the last state goes on
            last, *_ = await self.versions(document)
            current = await self.load_snapshot(document, last.version_id)
            parent_etag = ""
        update = await asyncio.to_thread(
            content.restored, document.type, current.update, old.update
        )
        facts = replace(
            current.facts,
            parent=current.version_id,
            origin=f"restore:{version_id}",
            authors=(),
            updates=1,
        )
        saved = await self.save(document, update, _renewed(facts), parent_etag=parent_etag)
        return await self.version(document, saved.version_id)

    async def version(self, document: Document, version_id: str) -> Version:
        """What the bucket knows of the version just written. Raises `VersionNotFound`."""
        stored = await self.bucket.head(self.key(document), version_id)
        facts = Facts.from_metadata(stored.metadata)
        return Version(
            version_id=version_id,
            key=stored.key,
            last_modified=stored.last_modified,
            size=stored.size,
            is_latest=True,
            authors=facts.authors,
            parent=facts.parent,
            origin=facts.origin,
        )

    async def rename(self, source: Document, target: Document) -> Copied | None:
        """Follow the rename of a document: its current version goes on under the new key, and
        the old key gets a delete marker. None when the bucket holds no such document.

        Another document that was under the new key gets a delete marker, too; its versions
        stay. If another server was faster, its version under the new key stays current.
        """
        if not self._checked:
            await self.check()
        current = await self._look(self.key(source))
        if current is None:
            return None
        facts = _renewed(
            replace(
                current.facts,
                parent=current.version_id,
                origin=renamed_from(source.path),
                authors=(),
                updates=0,
            )
        )
        if await self._lineage(self.key(target)) not in (None, facts.lineage):
            await self.bucket.delete(self.key(target))
        if not current.update:  # what cannot be read can still be moved
            copied = await self.bucket.copy(
                self.key(source), current.version_id, self.key(target), facts.to_metadata()
            )
        else:
            saved = await self.save(target, current.update, facts)
            alone = not saved.merged
            copied = Copied(saved.version_id, saved.etag, current.version_id if alone else "")
        await self.bucket.delete(self.key(source))
        return copied

    async def _lineage(self, key: str) -> str | None:
        """The lineage of what is at `key`; None if nothing is."""
        try:
            return Facts.from_metadata((await self.bucket.head(key)).metadata).lineage
        except DocumentNotFound:
            return None

    async def delete(self, document: Document) -> None:
        """Put a delete marker on the document. All of its versions stay."""
        await self.bucket.delete(self.key(document))

    async def documents_under(self, path: str) -> list[Document]:
        """The documents of the file at `path`, or of the files in the directory at `path`, that
        the bucket holds now."""
        keys.check_path(path)
        found = [
            document
            for document, version in (await self._newest(path)).items()
            if not version.is_delete_marker
        ]
        prefix = self.settings.workspace_prefix
        async for version in self.bucket.list_prefix(f"{prefix}{path}/"):
            if version.is_latest and not version.is_delete_marker:
                document = keys.document_of(prefix, version.key)
                if document is not None:
                    found.append(document)
        return found


@cache
def _room_types() -> frozenset[str]:
    """The document types that installed packages register with jupyter_ydoc."""
    return frozenset(found.name for found in entry_points(group="jupyter_ydoc"))


def renamed_from(path: str) -> str:
    """The `origin` of the first version under a new path; the parent is the last of the old."""
    plain = quote(path)
    packed = "=" + base64.urlsafe_b64encode(path.encode()).decode()
    return "renamed-from:" + min(plain, packed, key=len)


def _decode_rename(origin: str) -> str | None:
    name, _, source = origin.partition(":")
    if name != "renamed-from" or not source:
        return None
    if not source.startswith("="):
        return unquote(source)
    with contextlib.suppress(ValueError):  # not written by us
        return base64.urlsafe_b64decode(source[1:]).decode()
    return None


def _renewed(facts: Facts) -> Facts:
    return replace(facts, write_id=uuid.uuid4().hex)


def _open(stored: StoredObject, max_size: int) -> Snapshot:
    update = decompress(stored.body, max_size)
    facts = Facts.from_metadata(stored.metadata)
    if not facts.lineage:
        facts = replace(facts, lineage=lineage_of(update))
    return Snapshot(update, stored.version_id, stored.etag, stored.last_modified, facts)


def _adds(ours: bytes, theirs: bytes) -> bool:
    return advance(ours, [], [theirs]).changed


def _version(version: ObjectVersion) -> Version:
    return Version(
        version_id=version.version_id,
        key=version.key,
        last_modified=version.last_modified,
        size=version.size,
        is_latest=version.is_latest,
    )
