"""Salvage: reading as much of a recovery file as possible."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidPath
from ..keys import Document
from . import sqlite_file
from .records import DocumentRecord
from .sqlite_file import DamagedBuffer

_KEYS = {"documents": "id", "bases": "document", "updates": "seq", "rejected": "seq", "moves": "id"}

_HEADER = 100
"""Bytes of a database's header (SQLite's "Database File Format", 1.3)."""

_ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)

_FAR = 1 << 62
"""Beyond every key."""


@dataclass(frozen=True)
class HeldDocument:
    """A document of a recovery file. Times are in seconds since the epoch."""

    id: int
    document: Document
    facts: DocumentRecord
    updates: int
    """Those that no version of the bucket was known to hold."""
    size: int
    """Their bytes."""
    first: float
    last: float
    is_whole: bool
    """Whether the file has all of the document, and not its newest edits alone."""


class Salvaged:
    """A copy in memory of what a recovery file holds. Close it after use.

    Raises `FileNotFoundError`, `BufferInUse` while a server lives on the file, `NewerBuffer`,
    `DamagedBuffer` when nothing of it can be read, and a plain `UpdateBufferError` for a file that
    is none of ours. The file is left as it is.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(path)
        self.path = path
        self.lost: list[str] = []
        """What cannot be read, or placed, in words; empty if the file is whole."""
        self._memory = sqlite_file.in_memory()
        self._lock: sqlite3.Connection | None = None
        try:
            self._lock = sqlite_file.connect(str(path), make=False)
            self._copy(self._lock)
        except DamagedBuffer as error:
            self.lost.append(f"{error}; only its readable content is listed")
            self._copy_damaged()
        except BaseException:
            self.close()
            raise
        self._drop_unplaced()

    def documents(self) -> list[HeldDocument]:
        """The documents with something pending, by path."""
        rows = self._memory.execute(
            "SELECT id, path, type, facts, count(*), sum(length(data)), min(timestamp), "
            "max(timestamp), EXISTS (SELECT 1 FROM bases WHERE document = documents.id) "
            "FROM documents JOIN updates ON documents.id = document "
            "WHERE seq > persisted GROUP BY id ORDER BY path, id"
        ).fetchall()
        found = []
        for number, path, kind, text, count, size, first, last, base in rows:
            facts, document = DocumentRecord.from_json(text), Document(path, kind)
            whole = bool(base) or facts.has_full_history
            found.append(HeldDocument(number, document, facts, count, size, first, last, whole))
        return found

    def moves(self) -> list[str]:
        """The renames and deletions that the bucket had not followed, in words."""
        rows = self._memory.execute("SELECT source, target FROM moves ORDER BY id").fetchall()
        return [
            f"the deletion of {source}" if target is None else f"the rename of {source} to {target}"
            for source, target in rows
        ]

    def leave_out(self, held: HeldDocument) -> None:
        """Have `write_to` do without a document."""
        self._memory.execute("DELETE FROM documents WHERE id = ?", (held.id,))
        self._memory.execute("DELETE FROM updates WHERE document = ?", (held.id,))

    def write_to(self, path: Path) -> None:
        """Make a buffer file of it, which is whole."""
        sqlite_file.copy_to_file(self._memory, str(path)).close()

    def close(self, *, remove: bool = False) -> None:
        """Let go of the file; `remove` removes it, too."""
        lock, self._lock = self._lock, None
        if remove:
            sqlite_file.remove(self.path, lock)
        elif lock is not None:
            lock.close()
        self._memory.close()

    def _copy_damaged(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory, "copy.db")
            for each in sqlite_file.files_of(self.path):
                if not each.name.endswith("-shm"):  # SQLite makes it anew from the log
                    shutil.copy(each, copy.with_name(copy.name + each.name[len(self.path.name) :]))
            if not _has_tables(copy):
                _give_tables(copy, Path(directory, "template.db"))
            try:
                with closing(sqlite3.connect(copy, isolation_level=None)) as db:
                    self._copy(db)
            except _ERRORS as error:
                raise sqlite_file.damaged(
                    str(self.path), f"{error}: nothing is readable"
                ) from error

    def _copy(self, db: sqlite3.Connection) -> None:
        for table, key in _KEYS.items():
            rows, lost = _rows(db, table, key)
            if lost:
                self.lost.append(f"some of its {table} are unreadable")
            columns = [name for _, name, *_ in self._memory.execute(f"PRAGMA table_info({table})")]
            for row in rows:
                # An earlier release had fewer columns: new ones come last.
                names, marks = ", ".join(columns[: len(row)]), ", ".join("?" * len(row))
                insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
                try:
                    self._memory.execute(insert, row)
                except sqlite3.Error:  # a value that is none of ours
                    self.lost.append(f"row {row[0]!r} of its {table} is not a buffer row")

    def _drop_unplaced(self) -> None:
        """Updates of documents that have no usable name cannot go anywhere."""
        db = self._memory
        for number, path, kind in db.execute("SELECT id, path, type FROM documents").fetchall():
            try:
                Document(path, kind)
            except (InvalidPath, TypeError, AttributeError) as error:
                self.lost.append(f"document {number} has no usable name ({error})")
                db.execute("DELETE FROM documents WHERE id = ?", (number,))
        nameless = "document NOT IN (SELECT id FROM documents)"
        count = db.execute(f"SELECT count(*) FROM updates WHERE {nameless}").fetchone()[0]
        if count:
            self.lost.append(f"{count} updates belong to documents whose names are unreadable")
        for table in ("updates", "bases", "rejected"):
            db.execute(f"DELETE FROM {table} WHERE {nameless}")


def _rows(db: sqlite3.Connection, table: str, key: str) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows that can be read, by key, and whether there may be others. What is behind a damaged
    page is come by from both sides of it."""
    found: dict[Any, tuple[Any, ...]] = {}
    broken = _walk(db, f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key}", -1, 1, found)
    if broken:
        down = f"SELECT * FROM {table} WHERE {key} < ? ORDER BY {key} DESC"
        _walk(db, down, _FAR, -1, found)
    return [found[number] for number in sorted(found)], broken


def _walk(
    db: sqlite3.Connection, sql: str, at: int, step: int, found: dict[Any, tuple[Any, ...]]
) -> bool:
    broken = False
    skip = step
    while -1 <= at <= _FAR:
        try:
            for row in db.execute(sql, (at,)):
                if not isinstance(row[0], int):
                    raise sqlite3.DatabaseError("no key")
                found.setdefault(row[0], row)
                at, skip = row[0], step
        except _ERRORS:
            broken = True
            at, skip = at + skip, skip * 2
        else:
            break
    return broken


def _has_tables(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as db:
            names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    except _ERRORS:
        return False
    return set(_KEYS) <= names


def _give_tables(path: Path, template: Path) -> None:
    """Mend a database whose first page, with the list of its tables, is damaged: every buffer file
    is laid out alike, so that of a new one fits."""
    sqlite_file.connect(str(template)).close()
    new, old = template.read_bytes(), path.read_bytes()
    size = int.from_bytes(new[16:18], "big")
    header = bytearray(new[:_HEADER])
    header[28:32] = (len(old) // size).to_bytes(4, "big")  # its size in pages
    header[32:40] = bytes(8)  # no free pages that are known of
    header[92:96] = header[24:28]  # by which the size is believed
    path.write_bytes(bytes(header) + new[_HEADER:size] + old[size:])


def documents_of(path: Path) -> list[tuple[Document, DocumentRecord]]:
    """The documents with something pending in a file. Raises like `Salvaged`."""
    salvaged = Salvaged(path)
    try:
        return [(held.document, held.facts) for held in salvaged.documents()]
    finally:
        salvaged.close()
