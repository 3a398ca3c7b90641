"""The SQLite database of a buffer: in memory, or in a file that one thread writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import UpdateBufferError
from . import sqlite_file
from .sqlite_file import MEMORY
from .writer import Writer

T = TypeVar("T")


class SQLiteDatabase:
    """Runs what its subclass asks of the tables: at once in memory, in order in the thread of a
    `Writer` with a file.

    `path` is `:memory:`, or a file. Raises like `sqlite_file.connect` when it cannot be opened.
    """

    def __init__(self, path: str, *, make: bool) -> None:
        in_file = path != MEMORY
        self._connection = (
            sqlite_file.connect(path, make=make) if in_file else sqlite_file.in_memory()
        )
        self._writer: Writer | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called in the event loop when the disk begins to refuse."""

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

    def size(self) -> int:
        """Bytes the database takes, in memory or on disk."""
        if self._writer is not None:  # which may be waiting for the disk
            return self._writer.size
        return self._scalar("PRAGMA page_count") * self._scalar("PRAGMA page_size")

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


def _vacuum(db: sqlite3.Connection) -> None:
    # `execute` would step this statement once, which frees one page.
    db.executescript("PRAGMA incremental_vacuum")
