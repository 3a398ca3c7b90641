"""The update buffer: every update that may not be in the bucket yet, in SQLite.

One buffer serves all documents of a process. Updates carry sequence numbers that only grow, so
"persisted up to n" says exactly which rows a PUT held, whatever arrived while it ran.

`append` takes its place in the sequence before it returns, without waiting for anything. With
`:memory:` the row is then in SQLite. With a file it is in the queue of the one thread that
writes (`writer.py`); the awaitable that `append` returns is done when the row is durable.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Sequence
from typing import Any

from ..errors import InvalidPath
from ..keys import Document
from . import sqlite_file
from .absorbing import Absorbing
from .records import (
    BufferedDocument,
    DocumentRecord,
    Known,
    Move,
    PendingUpdates,
    Row,
    document_ids,
)
from .sqlite_database import SQLiteDatabase
from .sqlite_file import ADD_MOVE, MEMORY, SET_BASE
from .writer import INSERT

LARGEST_DOCUMENT = 900_000_000
"""Bytes of a document that can be open. SQLite keeps 1,000,000,000 in one row (`limits.html`,
SQLITE_MAX_LENGTH), and the document is to grow."""


class Buffer(SQLiteDatabase):
    """The updates of many documents, in one SQLite database.

    `path` is `:memory:`, or a file that then survives a crash. Raises like `sqlite_file.connect`
    when the file cannot be opened.
    """

    def __init__(self, path: str = MEMORY, *, make: bool = True) -> None:
        super().__init__(path, make=make)
        if path != MEMORY:
            self._see_that_it_is_sound(path)
        # Above what was ever persisted, too: those rows may be gone, but their number still says
        # up to where a document is in the bucket.
        self._seq = max(
            self._scalar("SELECT coalesce(max(seq), 0) FROM updates"),
            self._scalar("SELECT coalesce(max(seq), 0) FROM rejected"),
            self._scalar("SELECT coalesce(max(persisted), 0) FROM documents"),
        )
        self._last_id = self._scalar("SELECT coalesce(max(id), 0) FROM documents")
        if path != MEMORY:
            self._writer = self._new_writer(path, in_file=True)

    def _see_that_it_is_sound(self, path: str) -> None:
        try:
            self.known()
            self.moves()
            for table in ("bases", "updates", "rejected"):
                self._connection.execute(
                    f"SELECT document, data, metadata, timestamp FROM {table} LIMIT 1"
                )
        except (sqlite3.Error, UnicodeDecodeError, InvalidPath) as error:
            self._connection.close()
            raise sqlite_file.damaged(path, str(error)) from error

    # -- writing -------------------------------------------------------------------------------

    def append(
        self, document: int, data: bytes, metadata: bytes, timestamp: float
    ) -> tuple[int, Awaitable[None] | None]:
        """Take an update in. Returns its sequence number, and what to await for durability.

        Synchronous: when it returns, the update has its place, and nothing that is cancelled
        afterwards can take it back. Raises `UpdateBufferError` when SQLite refuses it.
        """
        self._seq += 1
        row = (self._seq, document, data, metadata, timestamp)
        if self._writer is not None:
            return self._seq, self._writer.append(row)
        try:
            self._connection.execute(INSERT, row)
        except sqlite3.Error as error:
            raise sqlite_file.unusable(self.path, error) from error
        return self._seq, None

    @property
    def last(self) -> int:
        """The sequence number of the last update of all."""
        return self._seq

    async def set_metadata(self, seq: int, metadata: bytes) -> None:
        """Attach metadata that was not known when its update was appended."""
        await self._run(
            lambda db: db.execute("UPDATE updates SET metadata = ? WHERE seq = ?", (metadata, seq))
        )

    def new_id(self) -> int:
        """An id for a document that the buffer does not hold; `add` takes it in."""
        self._last_id += 1
        return self._last_id

    async def add(self, id: int, document: Document, facts: DocumentRecord) -> None:
        """Take in a document under an id of `new_id`, unless it is there."""
        await self._run(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO documents (id, path, type, facts) VALUES (?, ?, ?, ?)",
                (id, document.path, document.type, facts.to_json()),
            )
        )

    def set_facts(self, document: int, facts: DocumentRecord) -> asyncio.Future[Any]:
        """Replace what is known about a document. It has its place in the sequence when this
        returns, as an `append` has."""
        text = facts.to_json()
        return self._start(
            lambda db: db.execute("UPDATE documents SET facts = ? WHERE id = ?", (text, document))
        )

    async def set_document(self, document: int, new: Document) -> None:
        """Give a document another path."""
        await self._run(
            lambda db: db.execute(
                "UPDATE documents SET path = ?, type = ? WHERE id = ?",
                (new.path, new.type, document),
            )
        )

    async def set_base(
        self, document: int, data: bytes, timestamp: float, facts: DocumentRecord
    ) -> None:
        """Set the oldest held snapshot, as it was loaded from the bucket, and what is known of the
        document with it."""
        text = facts.to_json()

        def run(db: sqlite3.Connection) -> None:
            db.execute(SET_BASE, (document, data, b"", timestamp))
            db.execute("UPDATE documents SET facts = ? WHERE id = ?", (text, document))

        await self._run(run)

    async def mark_persisted(
        self, document: int, seq: int, facts: DocumentRecord, fold: Row | None = None
    ) -> None:
        """Note that a version of the bucket holds every update up to `seq`, and what is known of
        the document now. With `fold`, its data is the new base, in place of the one before and of
        every persisted update up to its sequence number. All of it or nothing survives a crash.

        Call it only after the PUT was acknowledged.
        """
        text = facts.to_json()

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE documents SET persisted = max(persisted, ?), facts = ? WHERE id = ?",
                (seq, text, document),
            )
            if fold is not None:
                db.execute(SET_BASE, (document, fold.data, fold.metadata, fold.timestamp))
                db.execute(
                    "DELETE FROM updates WHERE document = ? AND seq <= min(?, "
                    "(SELECT persisted FROM documents WHERE id = ?))",
                    (document, fold.seq, document),
                )

        await self._run(run)
        writer = self._writer
        if writer is not None and writer.refused is not None:
            await writer.run(lambda db: writer.persisted(document, seq), transaction=False)

    async def reject(self, document: int, seqs: Sequence[int]) -> None:
        """Set aside updates that Yjs cannot apply, so that they do not hold up the others."""

        def run(db: sqlite3.Connection) -> None:
            for seq in seqs:
                where = "WHERE document = ? AND seq = ?"
                db.execute(f"INSERT INTO rejected SELECT * FROM updates {where}", (document, seq))
                db.execute(f"DELETE FROM updates {where}", (document, seq))

        await self._run(run)
        writer = self._writer
        if writer is not None and writer.refused is not None:
            await writer.run(lambda db: writer.rejected(seqs), transaction=False)

    async def evict(
        self, document: int, *, keep: bool = False, facts: DocumentRecord | None = None
    ) -> bool:
        """Forget a document's updates and give their memory back; the document too, unless
        `keep`, and then with what is known of it now, if that is given. False, and nothing done,
        if it has updates that are not persisted."""
        text = None if facts is None else facts.to_json()

        def run(db: sqlite3.Connection) -> bool:
            pending = db.execute(
                "SELECT 1 FROM updates JOIN documents ON documents.id = updates.document "
                "WHERE document = ? AND seq > persisted LIMIT 1",
                (document,),
            ).fetchone()
            if pending:
                return False
            db.execute("DELETE FROM updates WHERE document = ?", (document,))
            db.execute("DELETE FROM bases WHERE document = ?", (document,))
            if not keep:
                db.execute("DELETE FROM documents WHERE id = ?", (document,))
            elif text is not None:
                db.execute("UPDATE documents SET facts = ? WHERE id = ?", (text, document))
            return True

        evicted = await self._run(run)
        if evicted:
            await self.vacuum()
        return evicted

    async def condense(
        self, document: int, base: bytes | None, pending: bytes, first: int, last: int
    ) -> None:
        """Replace the pending updates `first` to `last` by one that says the same, and all that
        is persisted by `base`, if it is not None."""

        def run(db: sqlite3.Connection) -> None:
            span = (document, first, last)
            at = "WHERE document = ? AND seq BETWEEN ? AND ?"
            row = db.execute(
                f"SELECT metadata, timestamp FROM updates {at} ORDER BY seq DESC", span
            ).fetchone()
            if row is None:
                return  # they have been folded meanwhile
            metadata, timestamp = row
            db.execute(f"DELETE FROM updates {at}", span)
            db.execute(INSERT, (last, document, pending, metadata, timestamp))
            if base is not None:
                db.execute(SET_BASE, (document, base, b"", timestamp))
                db.execute("DELETE FROM updates WHERE document = ? AND seq < ?", (document, first))

        await self._run(run)

    async def add_move(self, source: str, target: str | None, documents: Sequence[int] = ()) -> int:
        """Note a rename, or a deletion of `documents`, that the bucket has to follow. Returns its
        id."""
        row = (source, target, json.dumps(list(documents)), time.time(), "")
        return await self._run(lambda db: int(db.execute(ADD_MOVE, row).lastrowid or 0))

    async def set_move_state(self, move: int, state: str) -> None:
        """Keep what is known of a rename or a deletion that could not be followed."""
        await self._run(
            lambda db: db.execute("UPDATE moves SET state = ? WHERE id = ?", (state, move))
        )

    async def remove_move(self, move: int) -> None:
        """The bucket has followed a rename or a deletion."""
        await self._run(lambda db: db.execute("DELETE FROM moves WHERE id = ?", (move,)))

    # -- reading -------------------------------------------------------------------------------

    async def read(self, document: int, *, base: bool = True) -> BufferedDocument:
        """All that is held of one document, or all but its base. Sees every `append` that
        returned before."""

        def run(db: sqlite3.Connection) -> BufferedDocument:
            found = db.execute(
                "SELECT 0, data, metadata, timestamp FROM bases WHERE document = ? AND ?",
                (document, base),
            ).fetchone()
            rows = db.execute(
                "SELECT seq, data, metadata, timestamp FROM updates WHERE document = ? "
                "ORDER BY seq",
                (document,),
            ).fetchall()
            persisted = db.execute(
                "SELECT persisted FROM documents WHERE id = ?", (document,)
            ).fetchone()
            return BufferedDocument(
                Row(*found) if found else None,
                [Row(*row) for row in rows],
                persisted[0] if persisted else 0,
            )

        return await self._run(run)

    async def read_pending(self, document: int) -> PendingUpdates:
        """What is pending of one document. Sees every `append` that returned before."""

        def run(db: sqlite3.Connection) -> PendingUpdates:
            persisted, count, size = db.execute(
                "SELECT persisted, count(seq), coalesce(sum(length(data)), 0) FROM documents "
                "LEFT JOIN updates ON documents.id = document WHERE id = ?",
                (document,),
            ).fetchone()
            rows = db.execute(
                "SELECT seq, data, metadata, timestamp FROM updates WHERE document = ? "
                "AND seq > ? ORDER BY seq",
                (document, persisted or 0),
            )
            return PendingUpdates(None, [Row(*row) for row in rows], persisted or 0, count, size)

        return await self._run(run)

    async def sizes(self) -> dict[int, int]:
        """Bytes that are held of each document."""

        def run(db: sqlite3.Connection) -> dict[int, int]:
            return dict(
                db.execute(
                    "SELECT document, sum(size) FROM ("
                    "SELECT document, length(data) AS size FROM bases UNION ALL "
                    "SELECT document, length(data) FROM updates) GROUP BY document"
                ).fetchall()
            )

        return await self._run(run)

    def pending_after(self, document: int, seq: int) -> list[Row]:
        """A document's pending updates after `seq`. For a buffer in memory, at once."""
        rows = self._now.execute(
            "SELECT seq, data, metadata, timestamp FROM updates JOIN documents "
            "ON documents.id = document WHERE document = ? AND seq > max(persisted, ?) "
            "ORDER BY seq",
            (document, seq),
        )
        return [Row(*row) for row in rows]

    def known(self) -> list[Known]:
        """Every document held, in the order they came. Meant for the moment after opening."""
        rows = self._now.execute(
            "SELECT id, path, type, facts, count(CASE WHEN seq > persisted THEN 1 END), "
            "coalesce(sum(CASE WHEN seq > persisted THEN length(data) END), 0), "
            "coalesce(max(timestamp), 0), "
            "EXISTS (SELECT 1 FROM bases WHERE bases.document = id) "
            "FROM documents LEFT JOIN updates "
            "ON documents.id = document GROUP BY id ORDER BY id"
        ).fetchall()
        return [
            Known(
                number,
                Document(path, kind),
                DocumentRecord.from_json(facts),
                count,
                size,
                newest,
                bool(has_base),
            )
            for number, path, kind, facts, count, size, newest, has_base in rows
        ]

    def moves(self) -> list[Move]:
        """Renames and deletions the bucket has not followed, oldest first."""
        rows = self._now.execute(
            "SELECT id, source, target, documents, at, state FROM moves ORDER BY id"
        )
        return [
            Move(number, source, target, document_ids(documents), at, state)
            for number, source, target, documents, at, state in rows
        ]

    def has_pending(self) -> bool:
        """Whether there is any update that no version in the bucket is known to hold. Asks the
        database itself, before anything is removed that may be the only copy."""
        return bool(
            self._scalar(
                "SELECT EXISTS (SELECT 1 FROM updates LEFT JOIN documents ON documents.id = "
                "document WHERE seq > coalesce(persisted, 0))"
            )
        )

    def absorb(self, other: sqlite3.Connection) -> None:
        """Take in all that another buffer's database holds. Meant for the moment after opening.

        What is held already under the same name and lineage gets the other's updates on top.
        Raises `UpdateBufferError` or `InvalidPath`, and nothing is taken in then.
        """
        taken = Absorbing(self._seq, self._last_id, self.known())
        try:
            with self._now as db:
                db.execute("BEGIN")
                taken.run(db, other)
        except sqlite3.Error as error:
            raise sqlite_file.unusable(self.path, error) from error
        self._seq, self._last_id = taken.seq, taken.last_id
