"""PendingFile: keeps on disk the updates that a saved file was made from.

Jupyter saves a document's file while its newest updates may be in memory alone. If the process is
killed then and the disk stays, the file would be newer than anything that is stored; it would win
at the next start, and clients that come back would double what it has. So the updates go to a
recovery file before the save does, which the next start takes up.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from ..keys import Document
from . import sqlite_file
from .records import DocumentRecord, Row


class PendingFile:
    """One recovery file, made when it is first needed and removed when it is closed.

    It need not survive more than its process, so nothing waits for the disk.
    """

    def __init__(self) -> None:
        self._path = ""
        self._db: sqlite3.Connection | None = None
        self._noted: dict[int, int] = {}

    def noted(self, document: int) -> int:
        """Up to which sequence number the journal has a document's updates."""
        return self._noted.get(document, 0)

    def note(
        self, path: str, id: int, document: Document, facts: DocumentRecord, rows: list[Row]
    ) -> None:
        """Take in a document's pending updates, those after `noted`. The file is made at `path`.

        Raises `UpdateBufferError`.
        """
        try:
            if self._db is None:
                self._db, self._path = sqlite_file.connect(path), path
                self._db.execute("PRAGMA synchronous = OFF")
            with self._db as db:
                db.execute("BEGIN")
                db.execute(
                    "INSERT OR REPLACE INTO documents (id, path, type, facts) VALUES (?, ?, ?, ?)",
                    (
                        id,
                        document.path,
                        document.type,
                        replace(facts, has_full_history=False).to_json(),
                    ),
                )
                db.executemany(
                    "INSERT OR REPLACE INTO updates VALUES (?, ?, ?, ?, ?)",
                    [(row.seq, id, row.data, row.metadata, row.timestamp) for row in rows],
                )
        except sqlite3.Error as error:
            raise sqlite_file.unusable(path, error) from error
        if rows:
            self._noted[id] = rows[-1].seq

    def note_all(
        self, path: str, documents: list[tuple[int, Document, DocumentRecord, list[Row]]]
    ) -> None:
        """Like `note`, for many documents; for use in a thread, by which no other uses this."""
        for each in documents:
            self.note(path, *each)

    def forget(self, id: int, seq: int | None = None) -> None:
        """The bucket has a document's updates up to `seq`; without it, all of them."""
        if self._db is None or id not in self._noted:
            return
        everything = seq is None or self._noted[id] <= seq
        try:
            with self._db as db:
                db.execute("BEGIN")
                if everything:
                    db.execute("DELETE FROM updates WHERE document = ?", (id,))
                    db.execute("DELETE FROM documents WHERE id = ?", (id,))
                else:
                    db.execute("DELETE FROM updates WHERE document = ? AND seq <= ?", (id, seq))
        except sqlite3.Error:
            return  # what stays is taken up once more, and changes nothing
        if everything:
            del self._noted[id]

    def close(self) -> None:
        """Remove the file."""
        if self._db is not None:
            sqlite_file.remove(Path(self._path), self._db)
        self._db, self._noted = None, {}
