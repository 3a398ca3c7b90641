"""Buffer files: opening one exclusively, and setting aside unusable ones.

SQLite in WAL mode with `synchronous=FULL`: a commit is on disk when it returns. The file is
locked as long as its connection is open, so two processes never write to one.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import UpdateBufferError

MEMORY = ":memory:"
"""The path of a database in memory."""

APPLICATION = 0x626F6F6B
"""SQLite's `application_id` of a buffer file: "book"."""

FORMAT = 1
"""SQLite's `user_version` of a buffer file."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    type TEXT,
    facts TEXT NOT NULL,
    persisted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE bases (
    document INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    metadata BLOB NOT NULL,
    timestamp REAL NOT NULL
);
CREATE TABLE updates (
    seq INTEGER PRIMARY KEY,
    document INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata BLOB NOT NULL,
    timestamp REAL NOT NULL
);
CREATE INDEX updates_by_document ON updates (document, seq);
CREATE TABLE rejected (
    seq INTEGER PRIMARY KEY,
    document INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata BLOB NOT NULL,
    timestamp REAL NOT NULL
);
CREATE TABLE moves (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    target TEXT,
    documents TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT ''
);
"""

ADD_MOVE = "INSERT INTO moves (source, target, documents, at, state) VALUES (?, ?, ?, ?, ?)"
SET_BASE = "INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)"

_LATER = {("moves", "state"): "TEXT NOT NULL DEFAULT ''"}
"""Columns that files of earlier releases lack. Those releases name the columns they use, so they
can go on with a file that has these."""


class BufferInUse(UpdateBufferError):
    """Another process, or another buffer of this one, has the file open."""


class NewerBuffer(UpdateBufferError):
    """The file was written by a later release."""


class DamagedBuffer(UpdateBufferError):
    """The file is no SQLite database, or not a whole one."""


def unusable(path: str, error: Exception) -> UpdateBufferError:
    """What an error of SQLite or of the file system means."""
    if "too big" in str(error):
        return UpdateBufferError(
            f"The update buffer {path} can't store more than 1,000,000,000 bytes for a "
            "document, which is SQLite's limit; split the document."
        )
    return UpdateBufferError(
        f"The update buffer {path} failed ({error}); free disk space or check "
        "c.S3YStore.db_path, then restart the server."
    )


def disk_refuses(error: Exception) -> bool:
    """Whether an error says that the disk takes no more, whatever is written."""
    said = str(error)
    return any(words in said for words in ("disk is full", "disk I/O error", "readonly database"))


def in_memory() -> sqlite3.Connection:
    """An empty buffer in memory."""
    db = _open(MEMORY)
    _lay_out(db)
    return db


def connect(path: str, *, make: bool = True) -> sqlite3.Connection:
    """Open a buffer file for this process alone. `make` makes it if there is none, for this user
    alone, since it holds whole documents.

    Raises `BufferInUse`, `NewerBuffer`, `DamagedBuffer`, or a plain `UpdateBufferError` when it is
    another program's database or cannot be opened. Nothing is changed then.
    """
    db = None
    try:
        if make:
            _make(Path(path))
        db = _open(f"{Path(path).absolute().as_uri()}?mode=rw")
        _check(db, path)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # The exclusive lock is taken by the first write, and kept.
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
        sound = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise damaged(path, sound)
        db.execute("PRAGMA synchronous = FULL")
        _lay_out(db)
        db.execute("PRAGMA journal_mode = WAL")
    except (sqlite3.Error, OSError, UnicodeDecodeError, UpdateBufferError) as error:
        if db is not None:
            db.close()
        if isinstance(error, UpdateBufferError):
            raise
        if "locked" in str(error):
            raise BufferInUse(
                f"Another process uses the update buffer {path}; set c.S3YStore.db_path to a "
                "separate file for this server."
            ) from error
        said = str(error)
        decodes = not isinstance(error, UnicodeDecodeError)  # of SQLite's own message
        if not decodes or "not a database" in said or "malformed" in said:
            raise damaged(path, said) from error
        raise unusable(path, error) from error
    return db


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never opens one that exists: to close it again would take this process's locks off it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _open(uri: str) -> sqlite3.Connection:
    # One thread at a time uses it: the event loop's, or from then on the writer's.
    return sqlite3.connect(uri, timeout=0, isolation_level=None, check_same_thread=False, uri=True)


def _check(db: sqlite3.Connection, path: str) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise UpdateBufferError(
            f"The file {path} is a database of another program, not an update buffer; set "
            "c.S3YStore.db_path to another file."
        )
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if tables and version < 1:
        raise damaged(path, f"format {version}")
    if version > FORMAT:
        raise NewerBuffer(
            f"The update buffer {path} has format {version}, which is newer than this release "
            f"supports ({FORMAT})"
        )


def damaged(path: str, how: str) -> DamagedBuffer:
    """What a file is that does not hold what a buffer does."""
    return DamagedBuffer(f"The update buffer {path} is damaged ({how})")


def _lay_out(db: sqlite3.Connection) -> None:
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _add_later_columns(db)
        return
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("VACUUM")
    # One transaction: a process that is killed here leaves all of it or nothing.
    db.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT"
    )


def _add_later_columns(db: sqlite3.Connection) -> None:
    for (table, column), kind in _LATER.items():
        known = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        if known and column not in known:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def copy_to_file(memory: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """A buffer file with all that `memory` holds. Raises like `connect`; there is no file then."""
    db = None
    try:
        db = connect(path)
        memory.backup(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.Error, UpdateBufferError) as error:
        if db is not None:
            remove(Path(path), db)
        raise error if isinstance(error, UpdateBufferError) else unusable(path, error) from error
    return db


def files_of(path: Path) -> list[Path]:
    """The database and the files that SQLite keeps beside it, as far as they exist."""
    beside = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
    return [each for each in beside if each.exists()]


def move(path: Path, target: Path) -> None:
    """Give a closed buffer file another name, with what SQLite keeps beside it.

    The log goes first: without its database it is nothing, and the database without its log
    would look whole.
    """
    for each in reversed(files_of(path)):
        each.rename(target.with_name(target.name + each.name.removeprefix(path.name)))


def remove(path: Path, lock: sqlite3.Connection | None = None) -> None:
    """Remove a buffer file, and what SQLite keeps beside it; then close `lock`, the connection to
    it. Without that, whoever opens the file in between would live on one that has no name."""
    for each in reversed(files_of(path)):
        each.unlink(missing_ok=True)
    if lock is not None:
        lock.close()


def set_aside(path: Path, why: str) -> Path:
    """Give a file that cannot be used a name beside its own; returns that name."""
    target = path.with_name(f"{path.name}.{why}")
    number = 1
    while files_of(target):
        number += 1
        target = path.with_name(f"{path.name}.{why}-{number}")
    move(path, target)
    return target


def sibling(path: Path) -> Path:
    """The first name beside `path` that no file has."""
    number = 2
    while files_of(path.with_name(f"{path.name}-{number}")):
        number += 1
    return path.with_name(f"{path.name}-{number}")


def siblings(path: Path) -> Iterator[Path]:
    """Files that second processes made beside `path`, or that a full disk left there."""
    own = re.compile(re.escape(path.name) + r"-\d+")
    if path.parent.is_dir():
        yield from sorted(each for each in path.parent.iterdir() if own.fullmatch(each.name))
