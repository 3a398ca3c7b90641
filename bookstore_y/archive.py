"""Archive: documents and their versions in the bucket."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

from . import keys
from .bucket import Bucket
from .errors import (
    DocumentNotFound,
    InvalidPath,
    UnsupportedDocument,
    VersionNotFound,
)
from .keys import Document
from .objects import Copied, ObjectVersion
from .reading import Reading
from .saving import Saving
from .settings import BookstoreSettings
from .version import Facts, Saved, Snapshot, Version, former_path, renamed_from


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
        self._reading = Reading(self.bucket, self.settings)
        self._saving = Saving(self.bucket, self.settings, self._reading)
        self._details: OrderedDict[tuple[str, str], Facts] = OrderedDict()

    async def __aenter__(self) -> Archive:
        await self.bucket.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.bucket.__aexit__(*exc_info)

    async def check(self) -> None:
        """See that the bucket can be archived into. Raises like `Bucket.check`."""
        await self._saving.check()

    async def _created(self) -> None:
        # Reading asks nothing of the bucket but that it exists.
        if self.settings.create_bucket and not self._saving.checked:
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
                return await self._reading.read(self.key(document))
            except DocumentNotFound:
                raise DocumentNotFound(
                    f"The {self.bucket.where} holds no snapshot of {document}; check "
                    "the path and the workspace prefix."
                ) from None
        try:
            return await self._reading.read(self.key(document), version_id)
        except (VersionNotFound, DocumentNotFound):
            # It may be from before the document was renamed.
            with contextlib.suppress(DocumentNotFound):
                for version in await self.versions(document):
                    if version.version_id == version_id and version.key != self.key(document):
                        return await self._reading.read(version.key, version_id)
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
            source = former_path(facts.origin)
            if source is not None:
                with contextlib.suppress(InvalidPath):  # not written by us
                    before.append((Document(source, document.type), facts.parent))
        return before

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
        """Write `update` as the document's new version; see `Saving.save`."""
        return await self._saving.save(document, update, facts, parent_etag=parent_etag)

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
        saved = await self.save(document, update, facts.renewed(), parent_etag=parent_etag)
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
        if not self._saving.checked:
            await self.check()
        current = await self._reading.look(self.key(source))
        if current is None:
            return None
        facts = replace(
            current.facts,
            parent=current.version_id,
            origin=renamed_from(source.path),
            authors=(),
            updates=0,
        ).renewed()
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

    async def current(self, document: Document) -> Snapshot | None:
        """The current version, with an empty update if it cannot be read; None if there is none."""
        return await self._reading.look(self.key(document))

    async def put_back(self, document: Document, snapshot: Snapshot) -> Copied:
        """Make a version the current one again, as it is."""
        facts = replace(snapshot.facts, parent=snapshot.version_id, authors=(), updates=0)
        key = self.key(document)
        return await self.bucket.copy(key, snapshot.version_id, key, facts.renewed().to_metadata())

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


def _version(version: ObjectVersion) -> Version:
    return Version(
        version_id=version.version_id,
        key=version.key,
        last_modified=version.last_modified,
        size=version.size,
        is_latest=version.is_latest,
    )
