"""Archive: documents and their versions in the bucket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from .. import keys
from ..aio import require_asyncio
from ..errors import DocumentNotFound, VersionNotFound
from ..keys import Document
from ..s3.bucket import Bucket
from ..settings import BookstoreSettings
from . import file_content, labels
from .diff import Diff, diff_of
from .file_content import FileContent
from .history import Filter, History, Page
from .metadata_cache import MetadataCache
from .publishing import Publishing
from .renaming import Renaming
from .restoring import Restoring
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .snapshot_writer import SnapshotWriter
from .snapshots import Snapshots
from .tracing import Tracing
from .version import Snapshot, Version, VersionMetadata, WriteResult
from .version_keys import KINDS, VersionKeys
from .workspace import ArchivedFile, Workspace

BOTH = ("snapshot", "save")
"""The kinds of versions that come of working on a file."""


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

    Its parts have what servers need besides: `snapshots`, `saves`, `writer`, `renaming`, `tracing`
    and `publishing`.
    """

    def __init__(self, settings: BookstoreSettings | None = None) -> None:
        self.settings = settings or BookstoreSettings()
        self.bucket = Bucket(self.settings)
        self._reading = SnapshotReader(self.bucket, self.settings)
        self.writer = SnapshotWriter(self.bucket, self.settings, self._reading)
        self.saves = Files(self.bucket, self.settings, self.writer)
        self.tracing = Tracing(self.bucket, self.settings)
        self._details = MetadataCache(self.bucket)
        self.renaming = Renaming(
            self.bucket, self.settings, self._reading, self.writer, self.saves, self.tracing
        )
        self._places = VersionKeys(self.bucket, self.settings)
        self.snapshots = Snapshots(self.bucket, self.settings, self._reading, self._places)
        self._history = History(self.bucket, self._places, self._details)
        self._restoring = Restoring(
            self.bucket,
            self._places,
            self._history,
            self._details,
            self._reading,
            self.writer,
            self.saves,
        )
        self.publishing = Publishing(self.bucket, self.settings, self.saves, self._reading)

    async def __aenter__(self) -> Archive:
        """Raises `RuntimeError` in an event loop that is not asyncio's."""
        require_asyncio("Archive")
        await self.bucket.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.bucket.__aexit__(*exc_info)

    async def check(self) -> None:
        """See that the bucket can be archived into. Raises like `setup.check`."""
        await self.writer.check()

    async def _created(self) -> None:
        # Reading asks nothing of the bucket but that it exists.
        if self.settings.create_bucket and not self.writer.checked:
            await self.check()

    def key(self, document: Document) -> str:
        """The key of the document's snapshots."""
        return keys.snapshot_key(self.settings.workspace_prefix, document)

    def file_key(self, path: str) -> str:
        """The key of the file's saves."""
        return keys.file_key(self.settings.workspace_prefix, path)

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

    async def versions(self, path: str | Document, *, details: bool = False) -> list[Version]:
        """All snapshots of a document, newest first, with those from before it was renamed.

        `details` also fetches what only each version's metadata and tags know. Raises
        `DocumentNotFound` when there is none. See `history` for pages, and for saved files.
        """
        found: list[Version] = []
        after: str | None = None
        while True:
            page = await self.history(
                path, kinds=("snapshot",), limit=1000, after=after, details=details
            )
            found += page.versions
            after = page.next
            if after is None:
                break
        if not found:
            raise DocumentNotFound(
                f"The {self.bucket.where} holds no version of {path}; check the path "
                "and the workspace prefix."
            )
        return found

    async def resolve(self, path: str | Document, version_id: str | None = None) -> Document:
        """The document that `path` means, among those of its file that the bucket holds: the
        one with that version, or the one written last."""
        if isinstance(path, Document):
            return path
        newest = await self.snapshots.newest(path)
        if version_id is not None:
            with contextlib.suppress(VersionNotFound):
                found = await self.find(path, version_id)
                if found.kind == "snapshot" and Document(path, found.type) in newest:
                    return Document(path, found.type)
        alive = {d: v for d, v in newest.items() if not v.is_delete_marker}
        if not alive:
            return next(iter(newest), Document(path))
        return max(alive, key=lambda document: alive[document].last_modified)

    # -- history -------------------------------------------------------------------------------

    async def history(
        self,
        path: str | Document,
        *,
        limit: int = 50,
        after: str | None = None,
        kinds: Sequence[str] = BOTH,
        since: datetime | None = None,
        until: datetime | None = None,
        author: str | None = None,
        labelled: bool = False,
        details: bool = False,
    ) -> Page:
        """A page of a file's versions of these kinds, newest first, with those from before it was
        renamed: the first page, or the one after the page whose `next` is given.

        `limit` is 999 at most. `since` and `until` take in their own moments. `details` also
        fetches authors, origin, parent and label, a request or two for each version; so do
        `author` and `labelled`. Raises `DocumentNotFound` when there never was a version, and
        `InvalidToken`.
        """
        await self._created()
        which = Filter(_known(kinds), _aware(since), _aware(until), author, labelled)
        return await self._history.page(path, which, limit=limit, after=after, details=details)

    async def version_at(
        self, path: str | Document, when: datetime, *, kinds: Sequence[str] = BOTH
    ) -> Version:
        """The version that was current at a moment. Raises `DocumentNotFound` when there was
        none then, or it was deleted."""
        await self._created()
        return await self._history.at(path, _aware(when), _known(kinds))

    async def find(self, path: str | Document, version_id: str) -> Version:
        """A version of any kind with its details, by its id. Raises `VersionNotFound`."""
        await self._created()
        return await self._history.find(path, version_id)

    async def read(self, path: str | Document, version_id: str | None = None) -> FileContent:
        """What a version says; without an id the newest that was not deleted, of both kinds.

        Raises `DocumentNotFound`, `VersionNotFound`, `UnsupportedDocument`, or a
        `SnapshotError` when what is there cannot be read.
        """
        await self._created()
        if version_id is None:
            return await self.content(await self._history.at(path, None, BOTH))
        return await self.content(await self._history.find(path, version_id))

    async def content(self, version: Version) -> FileContent:
        """What a version from a listing says. Raises like `read`."""
        if version.kind == "snapshot":
            snapshot = await self._reading.read(version.key, version.version_id)
            return await asyncio.to_thread(file_content.of_update, version, snapshot.update)
        stored = await self.saves.read(version.key, version.version_id)
        return await asyncio.to_thread(file_content.of_file, version, stored.body)

    async def diff(self, path: str | Document, before: str, after: str | None = None) -> Diff:
        """What changed between two versions; without `after` up to the newest. Raises like
        `read`."""
        contents = await asyncio.gather(self.read(path, before), self.read(path, after))
        return await asyncio.to_thread(diff_of, *contents)

    async def label(self, path: str | Document, version_id: str, label: str) -> Version:
        """Give a version a label, in place of any that it has. Raises `InvalidLabel` and
        `VersionNotFound`."""
        tag = {labels.TAG: labels.to_tag(label)}
        return await labels.replace_label(self.bucket, await self.find(path, version_id), tag)

    async def unlabel(self, path: str | Document, version_id: str) -> Version:
        """Take a version's label away. Raises `VersionNotFound`."""
        return await labels.replace_label(self.bucket, await self.find(path, version_id), {})

    # -- saved and published files -------------------------------------------------------------

    async def save_file(
        self,
        path: str,
        raw: bytes,
        *,
        authors: Iterable[str] = (),
        origin: str = "save",
        content_type: str = "application/octet-stream",
        anew: bool = False,
    ) -> Version | None:
        """Write the bytes of a saved file as a version; see `Files.save`."""
        return await self.saves.save(
            path, raw, authors=authors, origin=origin, content_type=content_type, anew=anew
        )

    async def delete_file(self, path: str) -> None:
        """Put a delete marker on a saved file. All of its versions stay."""
        await self.saves.delete(path)

    async def files_under(self, path: str) -> list[str]:
        """The saved files at a path, or in the directory there, that the bucket holds now."""
        return [name for name, _ in await self.saves.under(path)]

    async def files(
        self, path: str = "", *, at: datetime | None = None, published: bool = False
    ) -> AsyncIterator[ArchivedFile]:
        """The file at a path, or those in the directory there, as they are or were at a moment;
        of the published ones if asked for. A request a thousand versions."""
        await self._created()
        workspace = Workspace(self.bucket, self.settings, published=published)
        async for file in workspace.files(path, at=_aware(at)):
            yield file

    async def with_details(self, files: Iterable[ArchivedFile]) -> list[ArchivedFile]:
        """The files with all that is known of their versions, without versions that were removed
        since; a request or two a version."""

        async def complete(file: ArchivedFile) -> ArchivedFile:
            versions = await self._details.complete_all(file.versions)
            return replace(file, versions=tuple(versions))

        completed = await asyncio.gather(*map(complete, files))
        return [file for file in completed if file.versions]

    async def publish(self, path: str | Document, version_id: str | None = None) -> Version:
        """Publish a version, or without an id the newest, and its snapshot. Raises like `read`.

        Returns the published version; the one that is there, if it is the same already.
        """
        name = path.path if isinstance(path, Document) else path
        return await self.publishing.publish(await self.read(path, version_id), name)

    async def fetch(
        self, key: str, *, bucket: str | None = None, version_id: str | None = None
    ) -> FileContent:
        """The content of an object to be cloned; see `Publishing.fetch`."""
        return await self.publishing.fetch(key, bucket, version_id)

    # -- writing -------------------------------------------------------------------------------

    async def save(
        self,
        document: Document,
        update: bytes,
        facts: VersionMetadata,
        *,
        parent_etag: str = "",
        instead_of: str = "",
    ) -> WriteResult:
        """Write `update` as the document's new version; see `SnapshotWriter.save`."""
        return await self.writer.save(
            document, update, facts, parent_etag=parent_etag, instead_of=instead_of
        )

    async def restore(self, path: str | Document, version: str | FileContent) -> Version:
        """Make a file say again what one of its versions of any kind says, as a new version.
        The version is given by its id, or as it was read.

        The old content becomes new edits on the current document, so nothing is taken back
        and clients that return merge with it; what was saved of the file follows. For a file
        that is open in a live room use the server's REST call, which edits the room. Raises
        `VersionNotFound`, and `UnsupportedDocument` when the document has no type known to
        jupyter_ydoc.
        """
        old = await self.read(path, version) if isinstance(version, str) else version
        return await self._restoring.restore(path, old)

    async def undelete(self, path: str) -> list[Version]:
        """Bring a deleted file back; see `Restoring.undelete`."""
        await self.writer.ensure_checked()
        return await self._restoring.undelete(path)

    async def delete(self, document: Document) -> None:
        """Put a delete marker on the document. All of its versions stay."""
        await self.bucket.delete(self.key(document))


def _known(kinds: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise ValueError(f"The kinds of versions are {', '.join(KINDS)}, not {list(kinds)}.")
    return tuple(kind for kind in KINDS if kind in kinds)


def _aware(time: datetime | None) -> datetime | None:
    """A time without a zone is one of this machine."""
    if time is None or time.tzinfo is not None:
        return time
    try:
        return time.astimezone()
    except (ValueError, OverflowError):  # it is before all clocks, or after
        return time.replace(tzinfo=timezone.utc)
