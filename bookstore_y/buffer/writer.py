"""The thread that writes a buffer's file, with group commit and disk errors.

Rows that are appended while one commit is under way go into the next one together: one fsync for
many updates. When the disk takes no more, the thread copies the buffer into memory and goes on
there; an update then counts as durable once the bucket has it, which is what its writer waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UpdateBufferError
from . import sqlite_file

T = TypeVar("T")

INSERT = "INSERT INTO updates VALUES (?, ?, ?, ?, ?)"
_ONE_MORE = ", (?, ?, ?, ?, ?)"

_Row = tuple[Any, ...]


class Writer:
    """Owns a connection from its making on; every statement runs in its thread, in order.

    It is a daemon thread, so that a server whose loop has ended can always exit; `close` is what
    waits for it.
    """

    def __init__(
        self, db: sqlite3.Connection, path: str, on_refusal: Callable[[], None], *, in_file: bool
    ) -> None:
        """`on_refusal` is called in the event loop when the disk begins to refuse."""
        self.path = path
        self.durable = in_file
        """Whether what is committed is in the file."""
        self.refused: UpdateBufferError | None = None
        """Why the disk takes no more, as long as it does not."""
        self.size = 0
        """Bytes the database takes."""
        self.left: list[Path] = []
        """Files that hold what was committed before the disk refused."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_refusal = on_refusal
        self._db = db
        self._wake = threading.Condition()
        self._appended: list[tuple[_Row, asyncio.Future[None]]] = []
        self._steps: list[Callable[[], None]] = []
        self._parked: list[tuple[_Row, asyncio.Future[None]]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="bookstore_y buffer", daemon=True)
        self._thread.start()

    # -- in the event loop ---------------------------------------------------------------------

    def append(self, row: _Row) -> asyncio.Future[None]:
        """Queue a row; the future is done when it is durable."""
        self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        with self._wake:
            self._appended.append((row, future))
            self._wake.notify()
        return future

    async def run(self, task: Callable[[sqlite3.Connection], T], transaction: bool = True) -> T:
        """Run `task` after all that was queued before. Raises `UpdateBufferError`."""
        # It runs whether or not the caller is still there to hear of it.
        return await asyncio.shield(self.start(task, transaction))

    def start(
        self, task: Callable[[sqlite3.Connection], T], transaction: bool = True
    ) -> asyncio.Future[T]:
        """Like `run`, queued when it returns."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()

        def step() -> None:
            try:
                result = self._in_transaction(task) if transaction else task(self._db)
            except Exception as error:  # noqa: BLE001 - the thread goes on, whatever it is
                _settle([future], error=self._failed(error))
            else:
                self._note_size()
                _settle([future], result)

        with self._wake:
            self._steps.append(step)
            self._wake.notify()
        return future

    async def move_to_file(self, path: str) -> None:
        """Go on in a new file at `path` with all that is in memory now.

        Appending goes on meanwhile. Raises `UpdateBufferError` if that fails; all is as before.
        """

        def step(memory: sqlite3.Connection) -> None:
            self._db = sqlite_file.copy_to_file(memory, path)
            memory.close()
            self.path, self.durable, self.refused = path, True, None
            parked, self._parked = self._parked, []
            _settle([future for _, future in parked], None)

        await self.run(step, transaction=False)

    def persisted(self, document: int, seq: int) -> None:
        """The bucket has a document's updates up to `seq`. For use within `run`."""
        self._release(lambda row: row[1] == document and row[0] <= seq)

    def rejected(self, seqs: Sequence[int]) -> None:
        """Updates were set aside, so nobody need wait for them. For use within `run`."""
        self._release(lambda row: row[0] in seqs)

    def _release(self, is_done: Callable[[_Row], bool]) -> None:
        done: list[tuple[_Row, asyncio.Future[None]]] = []
        left: list[tuple[_Row, asyncio.Future[None]]] = []
        for each in self._parked:
            (done if is_done(each[0]) else left).append(each)
        self._parked = left
        _settle([future for _, future in done], None)

    def close(self) -> None:
        """Commit what is queued, and end the thread. The connection is left open."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        _settle([future for _, future in self._parked], error=self.refused)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for use when the thread has ended."""
        return self._db

    # -- in the thread -------------------------------------------------------------------------

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

    def _in_transaction(self, task: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._try(task)
        except sqlite3.Error as error:
            if not self.durable or not sqlite_file.disk_refuses(error):
                raise
            self._go_on_in_memory(error)
            return self._try(task)

    def _try(self, task: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._db.execute("BEGIN")
            result = task(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    def _insert(self, appended: list[tuple[_Row, asyncio.Future[None]]]) -> None:
        futures = [future for _, future in appended]
        try:
            self._in_transaction(lambda db: _insert(db, [row for row, _ in appended]))
        except Exception as error:  # noqa: BLE001 - the thread goes on, whatever it is
            if len(appended) > 1:  # only those that cannot be stored are to fail
                for one in appended:
                    self._insert([one])
            else:
                _settle(futures, error=self._failed(error))
        else:
            if self.durable or self.refused is None:
                _settle(futures, None)
            else:
                self._parked += appended
            self._note_size()

    def _note_size(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            self.size = self._db.execute(sql).fetchone()[0]

    def _go_on_in_memory(self, error: sqlite3.Error) -> None:
        """The disk refuses to take more: what it has is copied, and kept for the next start."""
        memory = sqlite_file.in_memory()
        try:
            self._db.backup(memory)
        except sqlite3.Error as second:
            memory.close()
            raise self._failed(second) from error
        file, self._db = self._db, memory
        file.close()
        # Under its own name it would be taken for the newest there is.
        left = Path(self.path)
        try:
            target = sqlite_file.sibling(left)
            sqlite_file.move(left, target)
            left = target
        except OSError:
            pass  # it is found under its own name
        self.left.append(left)
        self.durable, self.refused = False, self._failed(error)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._on_refusal)

    def _failed(self, error: Exception) -> UpdateBufferError:
        if isinstance(error, UpdateBufferError):
            return error
        return sqlite_file.unusable(self.path, error)


def _insert(db: sqlite3.Connection, rows: list[_Row]) -> None:
    """In few statements: after each this thread waits for the interpreter's lock anew, which
    another thread that computes keeps for 5 ms."""
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        db.execute(INSERT + _ONE_MORE * (len(some) - 1), list(chain.from_iterable(some)))


def _settle(
    futures: Sequence[asyncio.Future[T]], result: Any = None, error: Exception | None = None
) -> None:
    """Complete futures of one loop, from any thread."""

    def settle() -> None:
        for future in futures:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

    if futures:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            futures[0].get_loop().call_soon_threadsafe(settle)
