"""The update buffer: every update that may not be in the bucket yet, in SQLite. Knows no S3.

One buffer serves all documents of a process. Updates carry sequence numbers that only grow, so
"persisted up to n" says exactly which rows a PUT held, whatever arrived while it ran.

`append` takes its place in the sequence before it returns, without waiting for anything. With
`:memory:` the row is then in SQLite. With a file it is in the queue of the one thread that
writes, which commits what it finds in groups (one fsync for many updates); the awaitable that
`append` returns is done when the row is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .errors import UpdateBufferError
from .keys import Document

T = TypeVar("T")

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
CREATE TABLE renames (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    target TEXT NOT NULL
);
"""


@dataclass
class Facts:
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

    def to_json(self) -> str:
        return json.dumps(self.__dict__, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Row:
    """One update: the Yjs v1 update, the store's metadata, and seconds since the epoch."""

    seq: int
    data: bytes
    metadata: bytes
    timestamp: float


@dataclass(frozen=True)
class Held:
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

    def updates(self) -> list[bytes]:
        """Every update held, oldest first, the base before them."""
        head = [] if self.base is None else [self.base.data]
        return head + [row.data for row in self.rows]


@dataclass(frozen=True)
class Known:
    """A document that the buffer held when it was opened."""

    id: int
    document: Document
    facts: Facts
    pending: int
    pending_bytes: int
    oldest_pending: float | None


class Buffer:
    """The updates of many documents, in one SQLite database.

    `path` is `:memory:`, or a file that then survives a crash. Raises `UpdateBufferError` when the
    file cannot be opened, is not a buffer, or is of a newer format.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.path = path
        self.durable = path != ":memory:"
        self._connection = _connect(path)
        # Above what was ever persisted, too: those rows may be gone, but their number still says
        # up to where a document is in the bucket.
        self._seq = max(
            self._scalar("SELECT coalesce(max(seq), 0) FROM updates"),
            self._scalar("SELECT coalesce(max(persisted), 0) FROM documents"),
        )
        self._last_id = self._scalar("SELECT coalesce(max(id), 0) FROM documents")
        self._writer = _Writer(self._connection, path) if self.durable else None

    def _scalar(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchone()[0])

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
            self._connection.execute(_INSERT, row)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        return self._seq, None

    async def set_metadata(self, seq: int, metadata: bytes) -> None:
        """Attach metadata that was not known when its update was appended."""
        await self._run(
            lambda db: db.execute("UPDATE updates SET metadata = ? WHERE seq = ?", (metadata, seq))
        )

    def new_id(self) -> int:
        """An id for a document that the buffer does not hold; `add` takes it in."""
        self._last_id += 1
        return self._last_id

    async def add(self, id: int, document: Document, facts: Facts) -> None:
        """Take in a document under an id of `new_id`."""
        await self._run(
            lambda db: db.execute(
                "INSERT INTO documents (id, path, type, facts) VALUES (?, ?, ?, ?)",
                (id, document.path, document.type, facts.to_json()),
            )
        )

    async def set_facts(self, document: int, facts: Facts) -> None:
        """Replace what is known about a document."""
        text = facts.to_json()
        await self._run(
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

    async def set_base(self, document: int, data: bytes, timestamp: float) -> None:
        """Set the oldest held snapshot, as it was loaded from the bucket."""
        await self._run(lambda db: db.execute(_SET_BASE, (document, data, b"", timestamp)))

    async def mark_persisted(self, document: int, seq: int, facts: Facts) -> None:
        """Note that a version of the bucket holds every update up to `seq`.

        Call it only after the PUT was acknowledged.
        """
        text = facts.to_json()
        await self._run(
            lambda db: db.execute(
                "UPDATE documents SET persisted = max(persisted, ?), facts = ? WHERE id = ?",
                (seq, text, document),
            )
        )

    async def fold(self, document: int, base: bytes, seq: int, metadata: bytes, at: float) -> None:
        """Replace the base, and every persisted update up to `seq`, by a new base."""

        def run(db: sqlite3.Connection) -> None:
            db.execute(_SET_BASE, (document, base, metadata, at))
            db.execute(
                "DELETE FROM updates WHERE document = ? AND seq <= min(?, "
                "(SELECT persisted FROM documents WHERE id = ?))",
                (document, seq, document),
            )

        await self._run(run)

    async def reject(self, document: int, seqs: Sequence[int]) -> None:
        """Set aside updates that Yjs cannot apply, so that they do not hold up the others."""

        def run(db: sqlite3.Connection) -> None:
            for seq in seqs:
                where = "WHERE document = ? AND seq = ?"
                db.execute(f"INSERT INTO rejected SELECT * FROM updates {where}", (document, seq))
                db.execute(f"DELETE FROM updates {where}", (document, seq))

        await self._run(run)

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
            await self._run(_vacuum, transaction=False)
        return evicted

    async def add_rename(self, source: str, target: str) -> int:
        """Note a rename that the bucket has to follow. Returns its id."""
        return await self._run(
            lambda db: int(
                db.execute(
                    "INSERT INTO renames (source, target) VALUES (?, ?)", (source, target)
                ).lastrowid
                or 0
            )
        )

    async def remove_rename(self, rename: int) -> None:
        """The bucket has followed a rename."""
        await self._run(lambda db: db.execute("DELETE FROM renames WHERE id = ?", (rename,)))

    # -- reading -------------------------------------------------------------------------------

    async def read(self, document: int) -> Held:
        """All that is held of one document. Sees every `append` that returned before."""

        def run(db: sqlite3.Connection) -> Held:
            base = db.execute(
                "SELECT 0, data, metadata, timestamp FROM bases WHERE document = ?", (document,)
            ).fetchone()
            rows = db.execute(
                "SELECT seq, data, metadata, timestamp FROM updates WHERE document = ? "
                "ORDER BY seq",
                (document,),
            ).fetchall()
            persisted = db.execute(
                "SELECT persisted FROM documents WHERE id = ?", (document,)
            ).fetchone()
            return Held(
                Row(*base) if base else None,
                [Row(*row) for row in rows],
                persisted[0] if persisted else 0,
            )

        return await self._run(run)

    def known(self) -> list[Known]:
        """Every document held, in the order they came. Meant for the moment after opening."""
        rows = self._connection.execute(
            "SELECT id, path, type, facts, count(seq), coalesce(sum(length(data)), 0), "
            "min(timestamp) FROM documents LEFT JOIN updates ON documents.id = document "
            "AND seq > persisted GROUP BY id ORDER BY id"
        ).fetchall()
        return [
            Known(number, Document(path, kind), Facts.from_json(facts), count, size, oldest)
            for number, path, kind, facts, count, size, oldest in rows
        ]

    def renames(self) -> list[tuple[int, str, str]]:
        """Renames the bucket has not followed, as (id, source path, target path)."""
        return self._connection.execute(
            "SELECT id, source, target FROM renames ORDER BY id"
        ).fetchall()

    def size(self) -> int:
        """Bytes the database takes, in memory or on disk."""
        return self._scalar("PRAGMA page_count") * self._scalar("PRAGMA page_size")

    def close(self) -> None:
        """Commit what is queued and close. The buffer cannot be used afterwards."""
        if self._writer is not None:
            self._writer.close()
        self._connection.close()

    async def _run(self, task: Callable[[sqlite3.Connection], T], transaction: bool = True) -> T:
        if self._writer is not None:
            return await self._writer.run(task, transaction)
        try:
            if not transaction:
                return task(self._connection)
            with self._connection:
                self._connection.execute("BEGIN")
                return task(self._connection)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error


_INSERT = "INSERT INTO updates VALUES (?, ?, ?, ?, ?)"
_SET_BASE = "INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)"


def _vacuum(db: sqlite3.Connection) -> None:
    # `execute` would step this statement once, which frees one page.
    db.executescript("PRAGMA incremental_vacuum")


def _unusable(path: str, error: Exception) -> UpdateBufferError:
    return UpdateBufferError(
        f"The update buffer {path} failed ({error}); free disk space or check "
        "c.S3YStore.db_path, then restart the server."
    )


def _connect(path: str) -> sqlite3.Connection:
    try:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses it: the event loop's, or from then on the writer's.
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION:
            raise UpdateBufferError(
                f"The file {path} is a database of another program, not an update buffer; set "
                "c.S3YStore.db_path to another file."
            )
        if version > FORMAT:
            raise UpdateBufferError(
                f"The update buffer {path} has format {version}, newer than this release reads "
                f"({FORMAT}); upgrade bookstore-y, or set c.S3YStore.db_path to another file."
            )
        if path != ":memory:":
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            # The exclusive lock is taken by the first write, and kept.
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"PRAGMA user_version = {version}")
            db.execute("COMMIT")
        if not tables:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
    except (sqlite3.Error, OSError) as error:
        if "locked" in str(error):
            raise UpdateBufferError(
                f"The update buffer {path} is in use by another process; set "
                "c.S3YStore.db_path to a file of this server's own."
            ) from error
        raise _unusable(path, error) from error
    return db


class _Writer:
    """The thread that owns a file's connection and commits appended rows in groups.

    It is a daemon thread, so that a server whose loop has ended can always exit; `close` is
    what waits for it.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._db = connection
        self._path = path
        self._wake = threading.Condition()
        self._appended: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._steps: list[Callable[[], None]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="bookstore_y buffer", daemon=True)
        self._thread.start()

    def append(self, row: tuple[Any, ...]) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        with self._wake:
            self._appended.append((row, future))
            self._wake.notify()
        return future

    async def run(self, task: Callable[[sqlite3.Connection], T], transaction: bool) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def step() -> None:
            try:
                if transaction:
                    self._db.execute("BEGIN")
                result = task(self._db)
                if transaction:
                    self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                _settle([future], error=_unusable(self._path, error))
            else:
                _settle([future], result)

        with self._wake:
            self._steps.append(step)
            self._wake.notify()
        # The step runs whether or not the caller is still there to hear of it.
        return await asyncio.shield(future)

    def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._appended or self._steps or self._closing):
                    self._wake.wait()
                appended, self._appended = self._appended, []
                steps, self._steps = self._steps, []
                if not appended and not steps:
                    return
            if appended:
                self._insert(appended)
            for step in steps:
                step()

    def _insert(self, appended: list[tuple[tuple[Any, ...], asyncio.Future[None]]]) -> None:
        futures = [future for _, future in appended]
        try:
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, [row for row, _ in appended])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if len(appended) > 1:  # only those that cannot be stored are to fail
                for one in appended:
                    self._insert([one])
            else:
                _settle(futures, error=_unusable(self._path, error))
        else:
            _settle(futures, None)


def _settle(
    futures: Sequence[asyncio.Future[T]], result: Any = None, error: Exception | None = None
) -> None:
    """Complete futures from the writer's thread, in their loop."""

    def settle() -> None:
        for future in futures:
            if future.cancelled():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        futures[0].get_loop().call_soon_threadsafe(settle)
