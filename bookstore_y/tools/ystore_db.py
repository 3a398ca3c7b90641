"""Databases of other stores, read-only: pycrdt's SQLiteYStore and QYStore.

Both have a table `yupdates` (path, yupdate, metadata, timestamp), and most have `ycheckpoints`
(path, checkpoint, timestamp), where a checkpoint is the document squashed. What is stored may be
compressed, with nothing that says so: QYStore does it with Brotli, SQLiteYStore with what it is
told to use.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import posixpath
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BookstoreError, SnapshotError
from ..ydoc.frame import decompress
from ..ydoc.updates import check

_MAGIC = b"SQLite format 3\0"

_SUFFIXES = {".db", ".db3", ".sqlite", ".sqlite3"}
"""How databases are called; the other stores' are `.jupyter_ystore.db` and `.q_ystore.db`."""

_ROOM = re.compile(r"\.?(?:(?:json|text|base64):)?([A-Za-z0-9_-]+):([^:]+?)(?:\.y)?", re.DOTALL)
"""What jupyter_server_ydoc, now and before, has called a room's store."""


class UnusableDatabase(BookstoreError):
    """A file is not a database of the kind that is needed, or cannot be read."""


@dataclass(frozen=True)
class StoredHistory:
    """The updates of one document, oldest first, decompressed, those of a checkpoint last.

    `first` and `last` are the times of the oldest and newest, in seconds since the epoch.
    `unreadable` is how many more there are that are no Yjs updates, however compressed.
    """

    name: str
    updates: tuple[bytes, ...]
    first: float
    last: float
    unreadable: int


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database. Raises `UnusableDatabase` for one that is called so
    and is none, and for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC))
    except OSError as error:
        raise UnusableDatabase(
            f"{path} cannot be read ({error.strerror}); check its permissions."
        ) from None
    if begins != _MAGIC and path.suffix.lower() in _SUFFIXES:
        what = "is empty" if not begins else "does not start like one"
        raise UnusableDatabase(
            f"{path} is named like an SQLite database but is not one: it {what}. Copy it again "
            "from its source, or add --as-file to archive it as a file."
        )
    return begins == _MAGIC


def room_of(name: str) -> tuple[str, str] | None:
    """The document type and file id in the name of a room's store; None if it is no room's."""
    match = _ROOM.fullmatch(name)
    return (match[1], match[2]) if match else None


class YStoreDatabase:
    """The database at `path`. Each call opens it for a moment: a reader that stays would keep a
    server that runs from writing. Raises `UnusableDatabase` anywhere."""

    def __init__(self, path: Path, max_size: int) -> None:
        """`max_size` is in bytes, and of one update after decompression."""
        self.path = path
        self._decoders = _decoders(max_size)
        with _opened(path) as db:
            self._has_checkpoints = bool(_columns(db, "ycheckpoints"))
            if not {"path", "yupdate"} <= (columns := _columns(db, "yupdates")):
                raise UnusableDatabase(
                    f"{path} is not a YStore database: it has no table 'yupdates'; name another "
                    "file."
                )
            self._time = "timestamp" if "timestamp" in columns else "rowid"

    def names(self) -> list[str]:
        """What the documents are called there."""
        tables = ["yupdates", *(["ycheckpoints"] if self._has_checkpoints else [])]
        union = " UNION ".join(f"SELECT DISTINCT path FROM {table}" for table in tables)
        with _opened(self.path) as db:
            return sorted(str(name) for (name,) in db.execute(union))

    def history(self, name: str) -> StoredHistory:
        """The updates of one document."""
        with _opened(self.path) as db:
            db.execute("BEGIN")
            # Squashing puts the oldest in last, so the order of rows is not that of writing.
            rows = db.execute(
                f"SELECT yupdate, {self._time} FROM yupdates WHERE path = ? "
                f"ORDER BY {self._time}, rowid",
                (name,),
            ).fetchall()
            if self._has_checkpoints:
                # SQLiteYStore 0.1.5 may have the beginning of a history nowhere else.
                rows += db.execute(
                    "SELECT checkpoint, timestamp FROM ycheckpoints WHERE path = ?", (name,)
                ).fetchall()
        blobs = [bytes(blob) for blob, _ in rows if isinstance(blob, bytes) and blob]
        times = [float(time) for _, time in rows if isinstance(time, (int, float))]
        if self._time == "rowid":
            times = []
        updates = self._decoded(blobs)
        return StoredHistory(
            name,
            tuple(update for update in updates if update is not None),
            min(times, default=0.0),
            max(times, default=0.0),
            len(rows) - len(blobs) + updates.count(None),
        )

    def _decoded(self, blobs: list[bytes]) -> list[bytes | None]:
        """The updates in `blobs`, as most of them are compressed if possible: now and then one way
        can be mistaken for another."""
        plain = [_as_update(blob) for blob in blobs]
        if None not in plain:
            return list(plain)
        ways = [plain, *([_as_update(decode(blob)) for blob in blobs] for decode in self._decoders)]
        ways.sort(key=lambda updates: updates.count(None))
        return [
            next((u for u in found if u is not None), None) for found in zip(*ways, strict=True)
        ]


def paths_of_file_ids(database: Path, root: Path) -> dict[str, str]:
    """The paths, relative to the server's root directory, by the ids that jupyter_server_fileid
    has given to files. What is outside of `root` is left out. Raises `UnusableDatabase`."""
    with _opened(database) as db:
        if not {"id", "path"} <= _columns(db, "Files"):
            raise UnusableDatabase(
                f"{database} is not a file id database: it has no table 'Files'; name the "
                "server's file_id_manager.db."
            )
        rows = db.execute("SELECT id, path FROM Files").fetchall()
    found = {}
    for file_id, path in rows:
        relative = _below(str(path), root)
        if relative:
            found[str(file_id)] = relative
    return found


def _below(path: str, root: Path) -> str | None:
    if not Path(path).is_absolute():
        return posixpath.normpath(path)
    for top in (root, root.resolve()):
        with contextlib.suppress(ValueError):
            return Path(path).relative_to(top).as_posix()
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not path.is_file():
        raise UnusableDatabase(f"There is no database {path}; name a file that exists.")
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            yield db
    except sqlite3.Error as error:
        raise UnusableDatabase(
            f"The database {path} cannot be read ({error}); stop the server that uses it, and "
            "check that the file is complete and readable."
        ) from error


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _as_update(data: bytes | None) -> bytes | None:
    if not data:
        return None
    try:
        check(data)
    except SnapshotError:
        return None
    return data


# -- compression ---------------------------------------------------------------------------------

Decode = Callable[[bytes], "bytes | None"]


def _decoders(max_size: int) -> list[Decode]:
    """What gives the bytes that were compressed in one way, or None for bytes that were not."""

    def zstd(data: bytes) -> bytes | None:
        try:
            return decompress(data, max_size)
        except SnapshotError:
            return None

    def deflate(data: bytes) -> bytes | None:
        with contextlib.suppress(zlib.error):
            return _whole(zlib.decompressobj(wbits=47).decompress(data, max_size + 1), max_size)
        return None

    def xz(data: bytes) -> bytes | None:
        with contextlib.suppress(lzma.LZMAError, EOFError):
            return _whole(lzma.LZMADecompressor().decompress(data, max_size + 1), max_size)
        return None

    def bzip2(data: bytes) -> bytes | None:
        with contextlib.suppress(OSError, EOFError):
            return _whole(bz2.BZ2Decompressor().decompress(data, max_size + 1), max_size)
        return None

    return [zstd, deflate, xz, bzip2, *([_brotli] if has_brotli() else [])]


def has_brotli() -> bool:
    """Whether what QYStore compresses with is installed."""
    return find_spec("brotli") is not None


def _brotli(data: bytes) -> bytes | None:
    brotli: Any = import_module("brotli")
    try:
        return bytes(brotli.decompress(data))
    except brotli.error:
        return None


def _whole(data: bytes, max_size: int) -> bytes | None:
    return data if len(data) <= max_size else None
