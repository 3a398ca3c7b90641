"""Tracing: the current name of an earlier document.

The bucket keeps what is needed to tell: the versions and delete markers of a key, and, for each
document that was renamed, a small record of where it went.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone

from .. import keys
from ..errors import DocumentNotFound
from ..keys import Document
from ..s3.bucket import Bucket
from ..s3.objects import ObjectVersion
from ..settings import BookstoreSettings
from .version import VersionMetadata, renamed_from

_RENAMES = 50
"""How many renames of one document are followed; more than a tab can have been away for."""

_RENAMED = renamed_from("")

_GOES_ON = ("undelete:", "restore:", _RENAMED)
"""Origins of versions that go on with a document."""


@dataclass(frozen=True)
class _Read:
    """A version, and what its metadata says."""

    entry: ObjectVersion
    facts: VersionMetadata


def _continues(version: _Read, former: _Read) -> bool:
    """Whether a version is of the same document as the one before it."""
    if version.facts.lineage != former.facts.lineage:
        return False
    parent, origin = version.facts.parent, version.facts.origin
    return bool(parent) or origin.startswith(_GOES_ON)


def _names(version: _Read, file_id: str) -> bool:
    """Whether a version says that its file had this id, on the disk that it was written from or
    on the one before, from which an open tab has brought it."""
    facts = version.facts
    return file_id in (facts.file_id, facts.former_file_id or facts.file_id)


def _came(version: _Read, lineage: str) -> bool:
    """Whether a version is of a document of that lineage that was renamed to its key."""
    return version.facts.lineage == lineage and version.facts.origin.startswith(_RENAMED)


class Tracing:
    """Finds documents again that were renamed."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._bucket = bucket
        self._prefix = settings.workspace_prefix

    async def note_rename(
        self, source: Document, target: Document, lineage: str, began: datetime
    ) -> None:
        """Record where a document of this lineage went. `began` is not after the first write
        that the rename has made."""
        record = {"from": source.path, "to": target.path, "at": began.isoformat()}
        body = json.dumps(record, ensure_ascii=False).encode()
        await self._bucket.put(
            self._key(source, lineage), body, {}, content_type="application/json"
        )

    async def whereabouts(
        self, document: Document, since: datetime, file_id: str
    ) -> Document | None:
        """What is now called the document that was opened under this name at a moment, on a disk
        where its file had this id.

        None when it was deleted, or another took its name, or the bucket never had it.
        """
        lineage = ""
        for _ in range(_RENAMES):
            there, lineage = await self._is_there(document, since, file_id, lineage)
            if there or not lineage:
                return document if there else None
            went = await self._went(document, lineage)
            if went is None or went[1] < since:
                return None
            document, since = went
        return None

    async def _is_there(
        self, document: Document, since: datetime, file_id: str, lineage: str
    ) -> tuple[bool, str]:
        """Whether the document is the one at its key now, and its lineage where that is needed.

        A document whose lineage is given came to the key by a rename after `since`.
        """
        since = since.replace(microsecond=0)  # S3 tells whole seconds
        entries: list[ObjectVersion] = []
        async for entry in self._bucket.listing.versions(keys.snapshot_key(self._prefix, document)):
            entries.append(entry)
            if entry.last_modified < since:
                break
        versions = [entry for entry in reversed(entries) if not entry.is_delete_marker]
        deleted = [e for e in entries if e.is_delete_marker and e.last_modified >= since]
        if not deleted and not lineage:
            return bool(versions) and not await self._began_elsewhere(versions, since, file_id), ""
        # Other documents may have had the key since. Each version says what it was made from.
        read = await asyncio.gather(*map(self._read, versions))
        runs: list[list[_Read]] = []
        for version in read:
            if runs and _continues(version, runs[-1][-1]):
                runs[-1].append(version)
            else:
                runs.append([version])
        if lineage:
            ours = [run for run in runs if any(_came(each, lineage) for each in run)]
        else:
            ours = [run for run in runs if any(_names(each, file_id) for each in run)]
            ours = ours or [run for run in runs if run[-1].entry.last_modified >= since][:1]
        if not ours:
            return False, ""
        there = ours[-1] is runs[-1] and not any(e.is_latest for e in deleted)
        return there, ours[-1][-1].facts.lineage

    async def _began_elsewhere(
        self, versions: list[ObjectVersion], since: datetime, file_id: str
    ) -> bool:
        """Whether `versions`, oldest first, begin after `since` with a file of another id, so that
        they are of a document that only has the name of the one that was opened."""
        if versions[0].last_modified < since:
            return False
        first = await self._read(versions[0])
        if first.facts.parent or first.facts.origin.startswith(_GOES_ON):
            return False
        if not first.facts.file_id or _names(first, file_id):
            return False
        others = await asyncio.gather(*map(self._read, versions[1:]))
        return not any(_names(each, file_id) for each in others)

    async def _read(self, entry: ObjectVersion) -> _Read:
        stored = await self._bucket.head(entry.key, entry.version_id)
        return _Read(entry, VersionMetadata.from_metadata(stored.metadata))

    async def _went(self, document: Document, lineage: str) -> tuple[Document, datetime] | None:
        try:
            stored = await self._bucket.get(self._key(document, lineage))
            record = json.loads(stored.body)
            went = Document(str(record["to"]), document.type)
            return went, datetime.fromisoformat(record["at"]).astimezone(timezone.utc)
        except (DocumentNotFound, ValueError, KeyError, TypeError):
            return None

    def _key(self, document: Document, lineage: str) -> str:
        name = "\n".join((document.path, document.type or "", lineage))
        digest = hashlib.sha256(name.encode()).hexdigest()
        return keys.reserved_key(self._prefix, f"renamed/{digest}.json")
