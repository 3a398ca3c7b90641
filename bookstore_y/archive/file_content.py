"""A version's content as a file: a notebook, text, or bytes."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any

from ..errors import DocumentNotFound, DocumentTooLarge, SnapshotError, UnsupportedDocument
from ..keys import SNAPSHOT_SUFFIX
from ..s3.bucket import Bucket
from ..settings import BookstoreSettings
from .current_files import CurrentBody, CurrentFile
from .saved_files import Files
from .snapshot_reader import SnapshotReader
from .snapshot_writer import SnapshotWriter
from .version import Version, version_of


@dataclass(frozen=True)
class FileContent:
    """The content of a version, in the terms of Jupyter's contents API.

    `type` is `notebook` or `file`; `format` is `json`, `text` or `base64`. `content` is a
    notebook as a dict that nobody trusts yet, or a str.
    """

    version: Version
    type: str
    format: str
    content: Any
    stored: bytes | None = field(default=None, repr=False, compare=False)
    """The bytes of a saved file as they are in the bucket."""

    def model(self) -> dict[str, Any]:
        """A model of Jupyter's contents API."""
        path, time = self.version.path, self.version.last_modified.isoformat()
        return {
            "name": basename(path),
            "path": path,
            "type": self.type,
            "format": self.format,
            "content": self.content,
            "mimetype": None if self.type == "notebook" else self.mimetype,
            "created": time,
            "last_modified": time,
            "size": len(self.raw()),
            "writable": False,
        }

    @property
    def mimetype(self) -> str:
        """The file's media type, by its name."""
        if self.type == "notebook":
            return "application/x-ipynb+json"
        guessed, encoding = mimetypes.guess_type(self.version.path)
        plain = "text/plain" if self.format == "text" else "application/octet-stream"
        return plain if guessed is None or encoding else guessed

    def raw(self) -> bytes:
        """The bytes of the file: those that were saved, or what Jupyter would write."""
        if self.stored is not None:
            return self.stored
        if self.type == "notebook":
            return notebook_bytes(self.content)
        if self.format == "base64":
            return base64.b64decode(self.content)
        return str(self.content).encode()


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """A notebook as nbformat writes it to a file, or as plain JSON if it is none by the schema."""
    import nbformat

    try:
        text: str = nbformat.v4.writes(nbformat.from_dict(notebook))  # type: ignore[no-untyped-call]
        return text.encode() + b"\n"
    except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
        # No notebook by the schema, or half a character in it, which JSON can only escape.
        return json.dumps(notebook, indent=1, sort_keys=True).encode() + b"\n"


def of_file(version: Version, body: bytes) -> FileContent:
    """The content of a saved file."""
    from ..ydoc import content  # jupyter_ydoc is slow to import

    if version.path.endswith(".ipynb"):
        notebook = _notebook(body)
        if notebook is not None:
            return FileContent(version, "notebook", "json", content.untrusted(notebook), body)
    try:
        return FileContent(version, "file", "text", body.decode())
    except UnicodeDecodeError:
        return FileContent(version, "file", "base64", base64.b64encode(body).decode())


def of_update(version: Version, update: bytes) -> FileContent:
    """The content of a snapshot. Raises `UnsupportedDocument` for one without a type that an
    installed package knows, and for one that has no text or notebook to show."""
    from ..ydoc import content

    said = content.untrusted(content.of_update(version.type, update))
    if isinstance(said, dict) and "cells" in said:
        return FileContent(version, "notebook", "json", said)
    if isinstance(said, bytes):
        return FileContent(version, "file", "base64", base64.b64encode(said).decode())
    if isinstance(said, str):
        return FileContent(version, "file", "text", said)
    raise UnsupportedDocument(
        f"A document of type {version.type!r} is neither a notebook nor text, so its content "
        "can't be shown; load the version's update with Archive.load."
    )


def _notebook(body: bytes) -> dict[str, Any] | None:
    import nbformat

    try:
        read = nbformat.reader.reads(body.decode())  # type: ignore[no-untyped-call]
        notebook = nbformat.convert(read, 4)  # type: ignore[no-untyped-call]
        plain = json.loads(json.dumps(notebook))
    except Exception:  # noqa: BLE001 - nbformat raises what it likes for what is no notebook
        return None
    return plain if isinstance(plain, dict) and isinstance(plain.get("cells"), list) else None


@dataclass(frozen=True)
class FileBody:
    """A file's bytes, and the version that they are from.

    `reason` says why it is not the newest version: that one cannot be read.
    """

    version: Version
    body: bytes
    reason: str = ""


class FileReader:
    """Reads files of the archive: the bytes of a save as they are, and what a room's snapshot says
    as Jupyter would write it."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._snapshots = SnapshotReader(bucket, settings)
        self._saves = Files(bucket, settings, SnapshotWriter(bucket, settings, self._snapshots))

    async def read(self, file: CurrentFile) -> FileBody:
        """The newest object of a file that can be read.

        Raises `DocumentNotFound` when all were deleted by now, a `BucketError` when the bucket
        cannot be asked, and what is wrong with the newest when none can be read.
        """
        wrong: Exception | None = None
        gone: DocumentNotFound | None = None
        for body in file.bodies:
            try:
                return await self._read(file.path, body, str(wrong) if wrong else "")
            except DocumentNotFound as error:
                gone = error
            except (DocumentTooLarge, SnapshotError, UnsupportedDocument) as error:
                wrong = wrong or error
        raise wrong or gone or DocumentNotFound(f"The archive holds nothing of {file.path}.")

    async def read_version(self, version: Version) -> bytes:
        """The bytes of the file at a version. Raises a `BookstoreError` when it cannot be read."""
        if not version.key.endswith(SNAPSHOT_SUFFIX):
            return (await self._saves.read(version.key, version.version_id)).body
        snapshot = await self._snapshots.read(version.key, version.version_id)
        return await asyncio.to_thread(_bytes_of_update, version, snapshot.update)

    async def _read(self, path: str, body: CurrentBody, reason: str) -> FileBody:
        if body.is_snapshot:
            snapshot = await self._snapshots.read(body.key)
            version = Version(
                version_id=snapshot.version_id,
                key=body.key,
                last_modified=snapshot.last_modified,
                size=body.size,
                is_latest=True,
                path=path,
                type=body.type,
            )
            raw = await asyncio.to_thread(_bytes_of_update, version, snapshot.update)
            return FileBody(version, raw, reason)
        stored = await self._saves.read(body.key)
        version = version_of(stored, path, kind="save", is_latest=True)
        return FileBody(version, stored.body, reason)


def _bytes_of_update(version: Version, update: bytes) -> bytes:
    return of_update(version, update).raw()
