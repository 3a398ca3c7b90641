"""Cloning: a file from a bucket, or from this machine, becomes a file of the server's."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from .. import keys
from ..errors import (
    BookstoreError,
    BucketNotAllowed,
    CorruptSnapshot,
    DocumentTooLarge,
    InvalidPath,
    NotFound,
)
from ..settings import BookstoreSettings
from .rooms import Conflict
from .server_files import Model, UnusableContent, is_notebook, untrusted
from .services import Services
from .taken_names import reserve

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
"""Names of buckets, those from before 2018 among them (S3 User Guide, "Bucket naming rules")."""


class FeatureOff(BookstoreError):
    """The configuration does not offer this; the message says which setting turns it on."""


class OutsideBasedir(NotFound):
    """What should be cloned is not a file under `fs_cloning_basedir`."""


async def clone(
    services: Services,
    bucket: str,
    key: str,
    *,
    version_id: str | None = None,
    target: str = "",
    overwrite: bool = False,
) -> Model:
    """Copy an object of a bucket to a file; returns its contents model with the content.

    The model has `s3_path` and `versionID` besides. Without a target the file has the key's
    last name in the root folder. Where the name is taken it gets a number, unless `overwrite`.
    Raises `FeatureOff`, `BucketNotAllowed`, `InvalidPath`, `DocumentNotFound`,
    `VersionNotFound`, `UnusableContent`, `Conflict`.
    """
    require_s3_cloning(services.settings)
    check_source(services.settings, bucket, key)
    target = target.strip("/") or default_target(key)
    services.files.check_target(target)
    archive = services.archive
    try:
        content = await archive.fetch(key, bucket=bucket, version_id=version_id)
    except CorruptSnapshot as error:
        raise UnusableContent(f"{key} in bucket {bucket} cannot be cloned: {error}") from error
    if content.type == "notebook" and is_notebook(target):
        body = content.content
    else:
        body = await asyncio.to_thread(lambda: _body_for(target, content.raw()))
    model = await _write(services, target, body, overwrite=overwrite)
    return {**model, "s3_path": s3_path(bucket, key), "versionID": content.version.version_id}


async def clone_file(
    services: Services, relpath: str, *, target: str = "", overwrite: bool = False
) -> Model:
    """Copy a file from under `fs_cloning_basedir`; like `clone`. Raises `OutsideBasedir`."""
    source = source_file(services.settings, relpath)
    target = target.strip("/") or relpath.rstrip("/").rpartition("/")[2]
    services.files.check_target(target)
    data = await asyncio.to_thread(_read, source, relpath, services.settings.max_document_size)
    body = await asyncio.to_thread(_body_for, target, data)
    return await _write(services, target, body, overwrite=overwrite)


def require_s3_cloning(settings: BookstoreSettings) -> None:
    """Raise `FeatureOff` unless objects may be cloned."""
    if not settings.enable_s3_cloning:
        raise FeatureOff(
            "Cloning from S3 is off on this server; set c.BookstoreSettings.enable_s3_cloning "
            "= True to turn it on."
        )


def check_source(settings: BookstoreSettings, bucket: str, key: str) -> None:
    """Raise `BucketNotAllowed` unless objects of that bucket may be cloned, and `InvalidPath` for
    what is the name of no bucket, or no key."""
    if not bucket.strip("/"):
        raise InvalidPath("s3_bucket is empty; name the bucket to clone from.")
    if not key.strip("/") or len(key.encode()) > keys.MAX_KEY_BYTES or "\0" in key:
        raise InvalidPath(f"{key[:80]!r} is not a valid S3 key; check s3_key.")
    if not settings.may_clone_from(bucket):
        raise BucketNotAllowed(
            f"This server doesn't allow cloning from the bucket {bucket!r}; its administrator "
            "can add the bucket to c.BookstoreSettings.clone_buckets."
        )
    named = bucket == settings.s3_bucket or bucket in settings.clone_buckets
    if not named and not _BUCKET.fullmatch(bucket):
        raise InvalidPath(f"{bucket!r} is not a bucket name; check s3_bucket.")


def basedir(settings: BookstoreSettings) -> Path:
    """The directory under which files may be cloned. Raises `FeatureOff`."""
    directory = Path(settings.fs_cloning_basedir)
    if not directory.is_absolute():
        raise FeatureOff(
            "Cloning from the file system is off on this server; set "
            "c.BookstoreSettings.fs_cloning_basedir to an absolute path to turn it on."
        )
    return directory


def source_file(settings: BookstoreSettings, relpath: str) -> Path:
    """The file that `relpath` means, its symbolic links followed.

    Raises `FeatureOff`, `InvalidPath` and `OutsideBasedir`.
    """
    directory = basedir(settings)
    if not relpath:
        raise InvalidPath("relpath is empty; give the path of the file to clone.")
    outside = OutsideBasedir(
        f"There is no file {relpath!r} in the directory for cloning; check relpath, or "
        "c.BookstoreSettings.fs_cloning_basedir."
    )
    try:
        given = directory / relpath
        resolved = given.resolve(strict=True)
        inside = resolved.is_relative_to(directory.resolve()) and resolved.is_file()
        parts = given.relative_to(directory).parts
        hidden = any(part.startswith(".") and part != ".." for part in parts)
        if inside and not hidden:
            # Nor behind a link. Kubernetes mounts what it projects as links into `..data`.
            parts = resolved.relative_to(directory.resolve()).parts
            hidden = any(part.startswith(".") and not part.startswith("..") for part in parts)
    except (OSError, ValueError, RuntimeError):  # not there, not encodable, a loop of links
        raise outside from None
    if hidden or not inside:
        raise outside
    return resolved


def default_target(key: str) -> str:
    """The name that a clone of this key has: its last one, of a snapshot its document's."""
    document = keys.document_of("", key)
    path = key if document is None else document.path
    return path.rstrip("/").rpartition("/")[2]


def s3_path(bucket: str, key: str) -> str:
    """How an object is shown."""
    return f"s3://{bucket}/{key}"


async def _write(services: Services, target: str, body: Any, *, overwrite: bool) -> Model:
    files = services.files
    folder, _, name = target.rpartition("/")
    if not overwrite:
        reserve(await services.workspace.names(folder, name.partition(".")[0]))
        target = await files.free_path(target)
    elif await files.is_folder(target):
        raise Conflict(f"{target} is a directory; choose another target path.")
    else:  # what is overwritten stays a version
        await services.documents.bring_up_to_date(target)
    model = await files.write(target, body)
    if isinstance(body, bytes):
        return {**model, "format": "base64", "content": base64.b64encode(body).decode()}
    return {**model, "format": "json" if isinstance(body, dict) else "text", "content": body}


def _body_for(target: str, data: bytes) -> Any:
    """What `ServerFiles.write` takes to write `data` at this path."""
    if not is_notebook(target):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data
    try:
        # Not strictly: Python's own json writes NaN, so notebooks have it.
        notebook = json.loads(data.decode())
    except (RecursionError, ValueError):
        notebook = None
    if not isinstance(notebook, dict):
        raise UnusableContent(
            f"The source is not a notebook, but {target} must be one; choose a target path of "
            "another type."
        )
    return untrusted(notebook)


def _read(source: Path, relpath: str, limit: int) -> bytes:
    try:
        # What was a regular file a moment ago must still be one, and no link by now.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(source, flags), "rb") as file:  # noqa: PTH123 - of a descriptor
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(limit + 1) if regular else b""
    except OSError as error:
        raise OutsideBasedir(
            f"The file {relpath!r} cannot be read by this server ({error.strerror})."
        ) from None
    if not regular:
        raise OutsideBasedir(
            f"{relpath!r} is not a regular file, and only regular files can be cloned."
        )
    if len(data) > limit:
        raise DocumentTooLarge(
            f"{relpath!r} has more than {limit} bytes; raise "
            "c.BookstoreSettings.max_document_size to clone it."
        )
    return data
