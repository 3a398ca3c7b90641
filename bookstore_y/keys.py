"""Document path <-> S3 key. Pure functions; the layout is the one in docs/architecture.md."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidPath

SNAPSHOT_SUFFIX = ".y.zst"

MAX_KEY_BYTES = 1024
"""S3's limit on a key's UTF-8 encoding (Amazon S3 User Guide, "Naming Amazon S3 objects")."""

RESERVED = ".bookstore/"
"""What begins with this under the workspace prefix are records of bookstore_y's own, no files."""

_UNLISTABLE = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")

_TYPE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, order=True)
class Document:
    """One collaborative document: a path, and the RTC document type of its room.

    `path` is relative to the workspace prefix and uses `/`. `type` is jupyter_ydoc's name
    (`notebook`, `file`, `unicode`, …), or None outside Jupyter. One file may have a room
    of each type, and each such room is a document of its own.

    Raises `InvalidPath` when the path cannot be a key.
    """

    path: str
    type: str | None = None

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.type is not None and not _TYPE.fullmatch(self.type):
            raise InvalidPath(
                f"{self.type!r} is not a document type: use letters, digits, '-' and '_' only."
            )

    def __str__(self) -> str:
        return self.path if self.type is None else f"{self.path} ({self.type})"


def check_path(path: str) -> None:
    """Raise `InvalidPath` unless `path` is a relative path that S3 keeps as it is.

    Refused are paths that are empty or absolute, that have an empty, `.` or `..` segment
    (many S3 clients and proxies normalise those away, so that two documents could meet in one
    key), that contain control characters or others which XML 1.0, and with it S3's listings,
    cannot carry, that are not encodable as UTF-8, that end in the suffix reserved for
    snapshots, or that lie in the directory reserved for bookkeeping.
    """
    if not path:
        raise InvalidPath("The document path is empty; give the path of a file.")
    if _UNLISTABLE.search(path):
        raise InvalidPath(
            f"The document path {path!r} contains a control character; rename the file."
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidPath(
            f"The document path {path!r} is not encodable as UTF-8; rename the file."
        ) from None
    if path.startswith("/"):
        raise InvalidPath(
            f"The document path {path!r} is absolute; give it relative to the workspace."
        )
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise InvalidPath(
                f"The document path {path!r} has a segment {segment!r}; remove the segment."
            )
    if path.endswith(SNAPSHOT_SUFFIX):
        raise InvalidPath(
            f"The document path {path!r} ends in {SNAPSHOT_SUFFIX!r}, which is reserved for "
            "snapshots; rename the file."
        )
    if f"{path}/".startswith(RESERVED):
        raise InvalidPath(
            f"The document path {path!r} is in {RESERVED!r}, which is reserved for "
            "bookstore_y's own records; choose another directory."
        )


def normalize_prefix(prefix: str) -> str:
    """`prefix` with exactly one trailing slash, or empty. Leading slashes are dropped."""
    prefix = prefix.strip("/")
    return f"{prefix}/" if prefix else ""


def file_key(prefix: str, path: str) -> str:
    """The key of the saved file at `path`. Raises `InvalidPath`."""
    check_path(path)
    return _check_key(normalize_prefix(prefix) + path, path)


def snapshot_key(prefix: str, document: Document) -> str:
    """The key of the document's snapshots. Raises `InvalidPath` when it is over 1,024 bytes."""
    infix = "" if document.type is None else f".{document.type}"
    key = f"{normalize_prefix(prefix)}{document.path}{infix}{SNAPSHOT_SUFFIX}"
    return _check_key(key, document.path)


def reserved_key(prefix: str, name: str) -> str:
    """The key of a record of bookstore_y's own, such as `renamed/….json`."""
    return f"{normalize_prefix(prefix)}{RESERVED}{name}"


def document_of(prefix: str, key: str, *, typed: bool = True) -> Document | None:
    """The document whose snapshots stand at `key`, or None if `key` is not a snapshot's.

    `typed` says whether the prefix belongs to Jupyter (the last suffix is the document type)
    or to a program whose documents have no type. The key alone cannot tell, so one prefix
    should not serve both.
    """
    prefix = normalize_prefix(prefix)
    if not key.startswith(prefix) or not key.endswith(SNAPSHOT_SUFFIX):
        return None
    stem = key[len(prefix) : -len(SNAPSHOT_SUFFIX)]
    try:
        if not typed:
            return Document(stem)
        path, dot, kind = stem.rpartition(".")
        return Document(path, kind) if dot else None
    except InvalidPath:
        return None


def _check_key(key: str, path: str) -> str:
    size = len(key.encode())
    if size > MAX_KEY_BYTES:
        raise InvalidPath(
            f"The document path {_abridged(path)!r} makes a key of {size} bytes, and S3 allows "
            f"{MAX_KEY_BYTES}; use a shorter path or workspace prefix."
        )
    return key


def _abridged(path: str, width: int = 80) -> str:
    return path if len(path) <= width else f"{path[: width // 2]}…{path[-width // 2 :]}"
