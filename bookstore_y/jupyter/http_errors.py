"""HTTP errors that say what went wrong."""

from __future__ import annotations

import errno
from http.client import responses
from typing import Any

from tornado import web

from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketNotAllowed,
    BucketNotFound,
    ConfigurationError,
    DocumentTooLarge,
    InvalidLabel,
    InvalidPath,
    InvalidToken,
    NotFound,
    SnapshotError,
    UnsupportedDocument,
    UpdateBufferError,
    VersionInColdStorage,
)
from ..replication.path_changes import ChangeNeeded
from .cloning import FeatureOff
from .rooms import Conflict
from .server_files import UnusableContent

_STATUS: list[tuple[type[BookstoreError], int]] = [
    (InvalidPath, 400),
    (InvalidLabel, 400),
    (InvalidToken, 400),
    (BucketNotAllowed, 403),
    (FeatureOff, 404),
    (NotFound, 404),
    (Conflict, 409),
    (ChangeNeeded, 409),
    (DocumentTooLarge, 413),
    (UnsupportedDocument, 422),
    (UnusableContent, 422),
    (VersionInColdStorage, 409),
    (AccessDenied, 403),
    (SnapshotError, 422),
    (BucketError, 503),
    (ConfigurationError, 503),
    (UpdateBufferError, 503),
]

_S3_STATUS: list[tuple[type[BookstoreError], int]] = [(BucketNotFound, 404)]
"""What S3 itself answered, for the calls that hand on its status as nteract's bookstore did."""


def http_error(error: BookstoreError, *, as_s3: bool = False) -> web.HTTPError:
    """The HTTP error that tells a client the same; `as_s3` keeps the status that S3 gave."""
    table = [*_S3_STATUS, *_STATUS] if as_s3 else _STATUS
    status = next((status for kind, status in table if isinstance(error, kind)), None)
    if status is None:
        status, _ = disk_of(error) or (500, "")
    return web.HTTPError(status, str(error))


def message_of(status: int, details: dict[str, Any]) -> str:
    """The sentence of the error that a request ended with: tornado doubles each % for its log."""
    error = details.get("exc_info", (None, None, None))[1]
    if isinstance(error, web.HTTPError) and error.log_message is not None:
        return error.log_message % error.args
    return responses.get(status, "Unknown error")


_FULL = (
    507,
    "The server's disk is full, so the file was not written; free some space and try again.",
)
_READ_ONLY = (
    503,
    "The server's disk is read-only, so the file was not written; ask the server's administrator.",
)
_DISK = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EROFS: _READ_ONLY}
"""What to answer where the disk takes nothing (507: RFC 4918, 11.5)."""


def disk_of(error: BaseException) -> tuple[int, str] | None:
    """What to answer where an error, or one that led to it, is that the disk takes nothing. A
    contents manager makes 500 of it (jupyter_server's filemanager.py)."""
    led: BaseException | None = error
    while led is not None:
        if isinstance(led, OSError) and led.errno in _DISK:
            return _DISK[led.errno]
        led = led.__cause__ or led.__context__
    return None
