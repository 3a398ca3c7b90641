"""The update buffer: every update that may not be in the bucket yet, in SQLite. Knows no S3.

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
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import InvalidPath, UpdateBufferError
from ..keys import Document
from . import sqlite_file
from .writer import INSERT, Writer

T = TypeVar("T")

MEMORY = ":memory:"

LARGEST_DOCUMENT = 900_000_000
"""Bytes of a document that can be open. SQLite keeps 1,000,000,000 in one row (`limits.html`,
SQLITE_MAX_LENGTH), and the document is to grow."""

FILE_HASHES = 32
"""Loads and saves of its file that a document remembers."""


class Replaced(NamedTuple):
    """What a document said up to a sequence number, and was then made to say no more."""

    seq: int
    by_file: bool = False
    """Whether its file replaced it; otherwise somebody had an old version back."""


_PERSISTED = {"has_full_history": "whole"}
"""Names in the `facts` column, where they are not those of today."""


@dataclass
class DocumentRecord:
    """What is known about a document besides its updates."""

    lineage: str = ""
    version_id: str = ""
    """The version that the buffer's content builds on, and its ETag."""
    etag: str = ""
    file_id: str = ""
    """jupyter_server_fileid's id, which tells a kept disk from a fresh one."""
    file_hashes: list[str] = field(default_factory=list)
    """Hashes of the file at its loads and saves, oldest first; the last one is what it is now."""
    saving: str = ""
    """Hash of a save that was begun, and is not known to have reached the file."""
    has_full_history: bool = False
    """Whether the buffer has all of it from its beginning, though the bucket has some, too."""
    deleted: bool = False
    """Whether the file was deleted, the bucket has followed, and nothing was written since."""
    replaced: list[Replaced] = field(default_factory=list)
    """What is to be a version of its own before any later update is in one, oldest first."""
    noted: bool = False
    """Whether what counts as persisted has notes of a room that no version has, see `edits`."""
    former_file_id: str = ""
    """The file's id on a disk that was lost before the first version; tabs come back with it."""

    def learn_of_file(self, file_id: str, hashes: Sequence[str]) -> None:
        """Take in, the oldest first, what another knows of the file's loads and saves."""
        ours = self.file_hashes
        if file_id == self.file_id or not ours:
            self.file_id = file_id
            self.file_hashes = ours + [each for each in hashes if each not in ours]
        else:  # of another disk; what the file was last on this one stays the last
            self.file_hashes = [each for each in hashes if each not in ours] + ours
        self.file_hashes = self.file_hashes[-FILE_HASHES:]

    def file_states(self) -> tuple[str, ...]:
        """Hashes of what the file was, and of what it may be, oldest first."""
        saving = [self.saving] if self.saving and self.saving not in self.file_hashes else []
        return (*self.file_hashes, *saving)

    def to_json(self) -> str:
        known = {_PERSISTED.get(name, name): it for name, it in self.__dict__.items()}
        return json.dumps(known, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> DocumentRecord:
        """Never fails: what is not known can be asked of the bucket again."""
        try:
            given: Any = json.loads(text)
        except ValueError:
            return cls()
        facts = cls()
        if isinstance(given, dict):
            for name, value in facts.__dict__.items():
                kept = given.get(_PERSISTED.get(name, name))
                if type(kept) is type(value):
                    setattr(facts, name, kept)
        facts.file_hashes = [str(each) for each in facts.file_hashes]
        facts.replaced = [each for given in facts.replaced for each in _replaced(given)]
        return facts


@dataclass(frozen=True)
class Row:
    """One update: the Yjs v1 update, the store's metadata, and seconds since the epoch."""

    seq: int
    data: bytes
    metadata: bytes
    timestamp: float


@dataclass(frozen=True)
class BufferedDocument:
    """All that the buffer holds of one document, as of one moment."""

    base: Row | None
    rows: list[Row]
    persisted: int

    @property
    def pending(self) -> list[Row]:
        return [row for row in self.rows if row.seq > self.persisted]

    @property
    def empty(self) -> bool:
        return self.base is None and not self.rows

    def until(self, seq: int) -> BufferedDocument:
        """What was held up to a sequence number."""
        return BufferedDocument(
            self.base, [row for row in self.rows if row.seq <= seq], self.persisted
        )

    def updates(self) -> list[bytes]:
        """Every update held, oldest first, the base before them."""
        head = [] if self.base is None else [self.base.data]
        return head + [row.data for row in self.rows]


@dataclass(frozen=True)
class PendingUpdates(BufferedDocument):
    """What is pending of one document, with how much is held besides its base."""

    count: int
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Known:
    """A document that the buffer held when it was opened."""

    id: int
    document: Document
    facts: DocumentRecord
    pending: int
    pending_bytes: int
    newest: float
    """When its last update came; 0 if it holds none."""


@dataclass(frozen=True)
class Move:
    """A rename, or without `target` a deletion, that the bucket has not followed."""

    id: int
    source: str
    target: str | None
    documents: list[int]
    """The documents that a deletion is of; one that came later is another of the same name."""
    at: float
    """When it was noted, in seconds since the epoch."""
    state: str = ""
    """What is known of it besides, in JSON; see `path_change.Change.to_json`."""


class Buffer:
    """The updates of many documents, in one SQLite database.

    `path` is `:memory:`, or a file that then survives a crash. Raises like `sqlite_file.connect`
    when the file cannot be opened.
    """

    def __init__(self, path: str = MEMORY, *, make: bool = True) -> None:
        in_file = path != MEMORY
        self._connection = (
            sqlite_file.connect(path, make=make) if in_file else sqlite_file.in_memory()
        )
        self._writer: Writer | None = None
        if in_file:
            self._see_that_it_is_sound(path)
        # Above what was ever persisted, too: those rows may be gone, but their number still says
        # up to where a document is in the bucket.
        self._seq = max(
            self._scalar("SELECT coalesce(max(seq), 0) FROM updates"),
            self._scalar("SELECT coalesce(max(seq), 0) FROM rejected"),
            self._scalar("SELECT coalesce(max(persisted), 0) FROM documents"),
        )
        self._last_id = self._scalar("SELECT coalesce(max(id), 0) FROM documents")
        self.on_change: Callable[[], None] = lambda: None
        """Called in the event loop when the disk begins to refuse."""
        if in_file:
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

    @property
    def path(self) -> str:
        """Where the buffer is now: `:memory:`, or a file."""
        return self._writer.path if self.durable and self._writer is not None else MEMORY

    @property
    def durable(self) -> bool:
        """Whether what is appended survives a crash."""
        return self._writer is not None and self._writer.durable

    @property
    def refused(self) -> UpdateBufferError | None:
        """Why the disk takes no more; an update is then durable when the bucket has it."""
        return self._writer.refused if self._writer is not None else None

    @property
    def left(self) -> list[Path]:
        """Files that were given up when the disk refused; of no use once all is in the bucket."""
        return self._writer.left if self._writer is not None else []

    def _new_writer(self, path: str, *, in_file: bool) -> Writer:
        return Writer(self._connection, path, lambda: self.on_change(), in_file=in_file)

    def _scalar(self, sql: str) -> int:
        return int(self._now.execute(sql).fetchone()[0])

    @property
    def _now(self) -> sqlite3.Connection:
        return self._connection if self._writer is None else self._writer.connection

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

    async def set_facts(self, document: int, facts: DocumentRecord) -> None:
        """Replace what is known about a document."""
        await self.note_facts(document, facts)

    def note_facts(self, document: int, facts: DocumentRecord) -> asyncio.Future[Any]:
        """Like `set_facts`, with a place in the sequence when it returns, as `append` has it."""
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
            db.execute(_SET_BASE, (document, data, b"", timestamp))
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
                db.execute(_SET_BASE, (document, fold.data, fold.metadata, fold.timestamp))
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

    async def evict(self, document: int, *, keep: bool = False) -> bool:
        """Forget a document's updates and give their memory back; the document too, unless
        `keep`. False, and nothing done, if it has updates that are not persisted."""

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
                db.execute(_SET_BASE, (document, base, b"", timestamp))
                db.execute("DELETE FROM updates WHERE document = ? AND seq < ?", (document, first))

        await self._run(run)

    async def vacuum(self) -> None:
        """Give memory or disk back that is not used any more."""
        await self._run(_vacuum, transaction=False)

    async def move_to_file(self, path: str) -> None:
        """Go on in a new file, which survives a crash. Raises `UpdateBufferError` if that fails;
        all is as before then."""
        if self._writer is None:
            self._writer = self._new_writer(path, in_file=False)
        await self._writer.move_to_file(path)

    def copy_to(self, path: str) -> sqlite3.Connection:
        """Write all that is held to a new file, by SQLite's backup, and return the connection that
        keeps it locked. Raises `UpdateBufferError`."""
        return sqlite_file.copy_to_file(self._now, path)

    async def add_move(self, source: str, target: str | None, documents: Sequence[int] = ()) -> int:
        """Note a rename, or a deletion of `documents`, that the bucket has to follow. Returns its
        id."""
        row = (source, target, json.dumps(list(documents)), time.time(), "")
        sql = _ADD_MOVE
        return await self._run(lambda db: int(db.execute(sql, row).lastrowid or 0))

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
            "coalesce(max(timestamp), 0) FROM documents LEFT JOIN updates "
            "ON documents.id = document GROUP BY id ORDER BY id"
        ).fetchall()
        return [
            Known(
                number, Document(path, kind), DocumentRecord.from_json(facts), count, size, newest
            )
            for number, path, kind, facts, count, size, newest in rows
        ]

    def moves(self) -> list[Move]:
        """Renames and deletions the bucket has not followed, oldest first."""
        rows = self._now.execute(
            "SELECT id, source, target, documents, at, state FROM moves ORDER BY id"
        )
        return [
            Move(number, source, target, _ids(documents), at, state)
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

    def size(self) -> int:
        """Bytes the database takes, in memory or on disk."""
        if self._writer is not None:  # which may be waiting for the disk
            return self._writer.size
        return self._scalar("PRAGMA page_count") * self._scalar("PRAGMA page_size")

    def absorb(self, other: sqlite3.Connection) -> None:
        """Take in all that another buffer's database holds. Meant for the moment after opening.

        What is held already under the same name and lineage gets the other's updates on top.
        Raises `UpdateBufferError` or `InvalidPath`, and nothing is taken in then.
        """
        try:
            with self._now as db:
                db.execute("BEGIN")
                self._absorb(db, other)
        except sqlite3.Error as error:
            raise sqlite_file.unusable(self.path, error) from error

    def _absorb(self, db: sqlite3.Connection, other: sqlite3.Connection) -> None:
        ours = {(known.document, known.facts.lineage): known for known in self.known()}
        taken: dict[int, int] = {}
        for number, path, kind, text, persisted in other.execute(
            "SELECT id, path, type, facts, persisted FROM documents ORDER BY id"
        ).fetchall():
            facts = DocumentRecord.from_json(text)
            document = Document(path, kind)  # raises InvalidPath before anything is taken in
            held = ours.get((document, facts.lineage)) if facts.lineage else None
            target = taken[number] = held.id if held is not None else self.new_id()
            if held is not None:
                held.facts.learn_of_file(facts.file_id, facts.file_hashes)
                held.facts.saving = held.facts.saving or facts.saving
                held.facts.noted = held.facts.noted or facts.noted
                db.execute(
                    "UPDATE documents SET facts = ? WHERE id = ?", (held.facts.to_json(), target)
                )
            else:
                db.execute(
                    "INSERT INTO documents VALUES (?, ?, ?, ?, ?)",
                    (target, path, kind, text, self._seq),
                )
            base = other.execute(
                "SELECT data, metadata, timestamp FROM bases WHERE document = ?", (number,)
            ).fetchone()
            if base is not None and held is None:
                db.execute(_SET_BASE, (target, *base))
            elif base is not None:
                self._take(db, target, base)
            theirs: list[int] = []
            here: list[int] = []
            for seq, *row in other.execute(
                "SELECT seq, data, metadata, timestamp FROM updates WHERE document = ? "
                "ORDER BY seq",
                (number,),
            ):
                self._take(db, target, row)
                theirs.append(seq)
                here.append(self._seq)
                if held is None and seq <= persisted:
                    db.execute(
                        "UPDATE documents SET persisted = ? WHERE id = ?", (self._seq, target)
                    )
            if facts.replaced:
                known = facts if held is None else held.facts
                moved = _renumbered(facts.replaced, theirs, here)
                known.replaced = moved if held is None else [*known.replaced, *moved]
                db.execute("UPDATE documents SET facts = ? WHERE id = ?", (known.to_json(), target))
            for row in other.execute(
                "SELECT data, metadata, timestamp FROM rejected WHERE document = ?", (number,)
            ):
                self._take(db, target, row, "rejected")
        for source, name, text, at, state in other.execute(
            "SELECT source, target, documents, at, state FROM moves ORDER BY id"
        ):
            ids = [taken[old] for old in _ids(text) if old in taken]
            db.execute(_ADD_MOVE, (source, name, json.dumps(ids), at, state))

    def _take(
        self, db: sqlite3.Connection, document: int, row: Sequence[Any], table: str = "updates"
    ) -> None:
        self._seq += 1
        db.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", (self._seq, document, *row))

    def close(self, *, remove: bool = False) -> None:
        """Commit what is queued and close. The buffer cannot be used afterwards. `remove` removes
        its file, too."""
        path = self.path
        if self._writer is not None:
            self._writer.close()
        if remove and path != MEMORY:
            sqlite_file.remove(Path(path), self._now)
        else:
            self._now.close()

    async def _run(self, task: Callable[[sqlite3.Connection], T], transaction: bool = True) -> T:
        if self._writer is not None:
            return await self._writer.run(task, transaction)
        return self._run_now(task, transaction)

    def _start(self, task: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Like `_run`, begun when it returns."""
        if self._writer is not None:
            return self._writer.start(task)
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(self._run_now(task))
        except UpdateBufferError as error:
            done.set_exception(error)
        return done

    def _run_now(self, task: Callable[[sqlite3.Connection], T], transaction: bool = True) -> T:
        try:
            if not transaction:
                return task(self._connection)
            with self._connection:
                self._connection.execute("BEGIN")
                return task(self._connection)
        except sqlite3.Error as error:
            raise sqlite_file.unusable(self.path, error) from error


def _ids(text: str) -> list[int]:
    """Never fails, like `DocumentRecord.from_json`."""
    try:
        given = json.loads(text)
    except (ValueError, TypeError):
        return []
    return [each for each in given if isinstance(each, int)] if isinstance(given, list) else []


def _replaced(given: Any) -> list[Replaced]:
    """Never fails, like `DocumentRecord.from_json`."""
    if not (isinstance(given, list) and len(given) == 2 and isinstance(given[0], int)):
        return []
    return [Replaced(given[0], bool(given[1]))]


def _renumbered(replaced: list[Replaced], theirs: list[int], ours: list[int]) -> list[Replaced]:
    """What was replaced in another buffer, whose updates `theirs` have the numbers `ours` here."""
    found = []
    for each in replaced:
        before = bisect_right(theirs, each.seq)
        if before:
            found.append(each._replace(seq=ours[before - 1]))
    return found


_ADD_MOVE = "INSERT INTO moves (source, target, documents, at, state) VALUES (?, ?, ?, ?, ?)"
_SET_BASE = "INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)"


def _vacuum(db: sqlite3.Connection) -> None:
    # `execute` would step this statement once, which frees one page.
    db.executescript("PRAGMA incremental_vacuum")
