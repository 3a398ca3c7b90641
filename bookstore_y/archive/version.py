"""A version: its place in the bucket, and its user metadata."""

from __future__ import annotations

import base64
import contextlib
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from ..s3.objects import StoredObject

FORMAT = "1"
"""Format number of the user metadata of a snapshot."""

METADATA_BYTES = 2048
"""S3's limit on user metadata, names and values together (User Guide, "Object metadata")."""


@dataclass(frozen=True)
class Version:
    """One version of a document, as the bucket keeps it.

    `size` is in bytes as stored. `kind` is `snapshot`, `save` or `published`. `path` is the
    document's at that version, `type` the document type of a snapshot. `authors`, `parent`
    (a version id), `origin` and `label` are in the object's metadata and tags, which a listing
    does not show: they are empty unless details were asked for, and where the bucket refuses them;
    `details_error` then says why, in one sentence. `cold` says that the version is in a storage
    class such as GLACIER, and is read only after S3 was asked to bring it back.
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
    path: str = ""
    type: str | None = None
    cold: bool = False
    details_error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; the time is in ISO 8601."""
        return {
            **asdict(self),
            "last_modified": self.last_modified.isoformat(),
            "authors": list(self.authors),
        }


@dataclass(frozen=True)
class VersionMetadata:
    """What a version's user metadata says about it.

    `file_id` is what jupyter_server_fileid calls the file on the disk that it was written from,
    `former_file_id` what it was called on a disk that was lost before the first version.
    `digest` is the SHA-256 of a saved file.
    """

    lineage: str = ""
    parent: str = ""
    updates: int = 0
    authors: tuple[str, ...] = ()
    origin: str = "checkpoint"
    file_id: str = ""
    file_hashes: tuple[str, ...] = ()
    digest: str = ""
    former_file_id: str = ""
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
            "former-file-id": self.former_file_id,
            "sha256": self.digest,
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

    def renewed(self) -> VersionMetadata:
        """The same about another write."""
        return replace(self, write_id=uuid.uuid4().hex)

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> VersionMetadata:
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
            former_file_id=metadata.get("former-file-id", ""),
            file_hashes=listed("file-hashes"),
            digest=metadata.get("sha256", ""),
            write_id=metadata.get("write-id", ""),
        )


def version_of(
    stored: StoredObject,
    path: str,
    type: str | None = None,
    *,
    kind: str = "snapshot",
    is_latest: bool = False,
) -> Version:
    """The version that an object was read as, with its details, labels apart."""
    facts = VersionMetadata.from_metadata(stored.metadata)
    return Version(
        version_id=stored.version_id,
        key=stored.key,
        last_modified=stored.last_modified,
        size=stored.size,
        is_latest=is_latest,
        kind=kind,
        authors=facts.authors,
        parent=facts.parent,
        origin=facts.origin,
        path=path,
        type=type,
        cold=stored.is_cold,
    )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as it was loaded. `update` is one Yjs v1 update that holds the document, and
    `state` its state vector."""

    update: bytes
    state: bytes
    version_id: str
    etag: str
    last_modified: datetime
    facts: VersionMetadata


@dataclass(frozen=True)
class WriteResult:
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


def reset_of(version_id: str) -> str:
    """The `origin` of a version that took over a file which other means had changed, in place of
    what that version says."""
    return f"reset:{version_id}"


def replaced_by_reset(origin: str) -> str | None:
    """The id that `reset_of` was given; None for any other origin."""
    name, _, version_id = origin.partition(":")
    return version_id if name == "reset" and version_id else None


def late_for(version_id: str) -> str:
    """The `origin` of a version of edits to what that version says, which came too late."""
    return f"late:{version_id}"


def renamed_from(path: str) -> str:
    """The `origin` of the first version under a new path; the parent is the last of the old."""
    plain = quote(path)
    packed = "=" + base64.urlsafe_b64encode(path.encode()).decode()
    return "renamed-from:" + min(plain, packed, key=len)


def former_path(origin: str) -> str | None:
    """The path that `renamed_from` was given; None for any other origin."""
    name, _, source = origin.partition(":")
    if name != "renamed-from" or not source:
        return None
    if not source.startswith("="):
        return unquote(source)
    with contextlib.suppress(ValueError):  # not written by us
        return base64.urlsafe_b64decode(source[1:]).decode()
    return None
