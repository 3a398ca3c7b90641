"""Following renames in the bucket, in steps that can be refused, cut off and taken up again.

First the version that was current goes on under the new key, then the old key gets a delete
marker. In between, and for as long as the second step is refused, others may write to both keys:
what they write is never replaced by what is older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from .. import keys
from ..errors import DocumentNotFound, VersionNotFound
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import Copied, ObjectVersion, StoredObject
from ..settings import BookstoreSettings
from ..ydoc.squash import squash_buffered
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .snapshot_writer import SnapshotWriter
from .tracing import Tracing
from .version import Snapshot, VersionMetadata, renamed_from


@dataclass(frozen=True)
class TakenOver:
    """What became of the first half of a rename.

    `copied` is the version under the new key, if one was written for it. `version_id` is the one
    of the old key that it is of. `stays` says that the old key has something else by now, which
    is to stay.
    """

    copied: Copied | None
    version_id: str
    stays: bool = False
    lineage: str = ""
    """Of a document's history."""


class Renaming:
    """The renames of one bucket."""

    def __init__(
        self,
        bucket: Bucket,
        settings: BookstoreSettings,
        reading: SnapshotReader,
        saving: SnapshotWriter,
        files: Files,
        tracing: Tracing,
    ) -> None:
        self._bucket = bucket
        self._settings = settings
        self._reading = reading
        self._saving = saving
        self._files = files
        self._tracing = tracing

    def _key(self, document: Document) -> str:
        return keys.snapshot_key(self._settings.workspace_prefix, document)

    async def current(self, key: str) -> ObjectVersion | None:
        """The version that is current at a key; None if there is none, or it was deleted. Asks
        for a listing, which tells it of objects that cannot be read, too."""
        page = await self._bucket.listing.page(key, limit=1)
        found = next((each for each in page.entries if each.key == key), None)
        return None if found is None or found.is_delete_marker else found

    async def rename(self, source: Document, target: Document) -> Copied | None:
        """Follow the rename of a document: its current version goes on under the new key, and
        the old key gets a delete marker. None when the bucket holds no such document.

        A record of where it went lets `whereabouts` find it. Another document that was under
        the new key gets a delete marker, too; its versions stay. If another server was faster,
        its version under the new key stays current.
        """
        taken = await self.document(source, target) if source != target else None
        if taken is None:
            return None
        await self._bucket.delete(self._key(source))
        return taken.copied

    async def rename_file(self, source: str, target: str) -> Copied | None:
        """Follow the rename of a saved file: its current version goes on under the new key, and
        the old key gets a delete marker. None when the bucket holds no such file."""
        taken = await self.file(source, target) if source != target else None
        if taken is None:
            return None
        await self._bucket.delete(self._files.key(source))
        return taken.copied

    # -- documents -----------------------------------------------------------------------------

    async def document(
        self, source: Document, target: Document, version_id: str = "", *, own: bool = False
    ) -> TakenOver | None:
        """Have the current version of a document go on under a new key. None when the bucket
        holds no such document.

        `version_id` is what was current when its file was renamed; what is current now goes on
        instead if it is a later one of the same document. `own` says that the new key has
        versions from after the rename. Without it, another document that is there gets a delete
        marker; its versions stay. A record of where it went lets `Tracing.whereabouts` find it.
        """
        await self._saving.ensure_checked()
        began = datetime.now(timezone.utc)
        taken = await self._document(source, target, version_id, own)
        if taken is not None:
            await self._tracing.note_rename(source, target, taken.lineage, began)
        return taken

    async def _document(
        self, source: Document, target: Document, version_id: str, own: bool
    ) -> TakenOver | None:
        found = await self._of_document(source, version_id)
        if found is None:
            return None
        snapshot, stays = found
        facts = replace(
            snapshot.facts,
            parent=snapshot.version_id,
            origin=renamed_from(source.path),
            authors=(),
            updates=0,
        ).renewed()
        lineage = await self._lineage(self._key(target))
        if own and await self._goes_without(target, lineage, snapshot):
            return TakenOver(None, snapshot.version_id, stays, facts.lineage)
        if lineage not in (None, facts.lineage):
            await self._bucket.delete(self._key(target))
        if not snapshot.update:  # what cannot be read can still be moved
            copied = await self._bucket.copy(
                self._key(source), snapshot.version_id, self._key(target), facts.to_metadata()
            )
        else:
            saved = await self._saving.save(target, snapshot.update, facts)
            of = "" if saved.merged else snapshot.version_id
            copied = Copied(saved.version_id, saved.etag, of)
        return TakenOver(copied, snapshot.version_id, stays, facts.lineage)

    async def _of_document(self, source: Document, version_id: str) -> tuple[Snapshot, bool] | None:
        current = await self._reading.look(self._key(source))
        if current is not None and version_id in ("", current.version_id):
            return current, False
        if not version_id:
            return None
        then = await self._reading.look(self._key(source), version_id)
        if current is None:
            # The name has been used, and left, by another document; or another server has
            # followed the rename, and the new name has all of it.
            return None if then is None else (then, True)
        if then is None or then.facts.lineage == current.facts.lineage:
            return current, False
        return then, True

    async def _goes_without(self, target: Document, lineage: str | None, old: Snapshot) -> bool:
        """Whether what is under the new key has all of the old, or is another document."""
        if lineage is None:
            return False
        if lineage != old.facts.lineage or not old.update:
            return True
        living = await self._reading.look(self._key(target))
        if living is None or not living.update:
            return living is not None
        squashed = await asyncio.to_thread(squash_buffered, living.update, [], [old.update])
        return not squashed.changed

    async def _lineage(self, key: str) -> str | None:
        """The lineage of what is at `key`; None if nothing is."""
        stored = await self._head(key)
        return None if stored is None else VersionMetadata.from_metadata(stored.metadata).lineage

    # -- saved files ---------------------------------------------------------------------------

    async def file(
        self,
        source: str,
        target: str,
        version_id: str = "",
        *,
        own: bool = False,
        keep: Callable[[str], Awaitable[str]] | None = None,
    ) -> TakenOver | None:
        """Have the current version of a saved file go on under a new key. None when the bucket
        holds no such file.

        `version_id` and `own` are those of `document`. The versions that the new key has of its
        own go on top again: `keep` is told the newest before anything is written, and gives what
        it was told first, in case that an earlier try was cut off.
        """
        await self._saving.ensure_checked()
        old = await self._head(self._files.key(source))
        if old is None:
            return None
        stays = version_id not in ("", old.version_id)
        if stays:
            old = await self._head(self._files.key(source), version_id)
            if old is None:  # it was removed for good
                return None
        key = self._files.key(target)
        there = await self._head(key)
        made = _is_copy_of(there, source, old)
        if own and keep is not None:
            kept = await keep("" if there is None or made else there.version_id)
            if not kept:
                return TakenOver(None, old.version_id, stays)
            await self._bucket.delete(key)  # so that the list goes on with the former key's
            copied = await self._copy(source, old, target)
            await self._put_back(key, kept, copied)
            return TakenOver(None, old.version_id, stays)
        if made and there is not None:
            copied = Copied(there.version_id, there.etag, old.version_id)
            return TakenOver(copied, old.version_id, stays)
        if there is not None:  # another file's history ends here
            await self._bucket.delete(key)
        return TakenOver(await self._copy(source, old, target), old.version_id, stays)

    async def _copy(self, source: str, old: StoredObject, target: str) -> Copied:
        facts = replace(
            VersionMetadata.from_metadata(old.metadata),
            parent=old.version_id,
            origin=renamed_from(source),
            authors=(),
        ).renewed()
        return await self._bucket.copy(
            self._files.key(source),
            old.version_id,
            self._files.key(target),
            facts.to_metadata(),
            content_type=old.content_type,
        )

    async def _put_back(self, key: str, version_id: str, copied: Copied) -> None:
        """Make a version the current one again, unless a newer one has come."""
        current = await self._head(key)
        kept = await self._head(key, version_id)
        if kept is None or (current is not None and current.version_id != copied.version_id):
            return
        facts = replace(
            VersionMetadata.from_metadata(kept.metadata),
            parent=version_id,
            origin=f"undelete:{version_id}",
            authors=(),
        ).renewed()
        await self._bucket.copy(
            key, version_id, key, facts.to_metadata(), content_type=kept.content_type
        )

    async def _head(self, key: str, version_id: str | None = None) -> StoredObject | None:
        try:
            return await self._bucket.head(key, version_id)
        except (DocumentNotFound, VersionNotFound):
            return None


def _is_copy_of(there: StoredObject | None, source: str, old: StoredObject) -> bool:
    """Whether what is under a new key was made by following this very rename."""
    if there is None:
        return False
    facts = VersionMetadata.from_metadata(there.metadata)
    return facts.parent == old.version_id and facts.origin == renamed_from(source)
