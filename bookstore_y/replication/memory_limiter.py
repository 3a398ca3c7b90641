"""MemoryLimiter: keeps a buffer that is in memory below its limit, however long an outage lasts.

First what nobody has open and is archived goes; then each document's pending updates are squashed
into one, largest first; what is too much even then goes on in a file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import BookstoreError, UpdateBufferError

if TYPE_CHECKING:
    from .checkpointer import Checkpointer

ROW_BYTES = 64
"""About what SQLite takes for an update besides its own bytes and its metadata's."""


class MemoryLimiter:
    """Watches the size of one checkpointer's buffer."""

    def __init__(self, checkpointer: Checkpointer, limit: int) -> None:
        self._checkpointer = checkpointer
        self._limit = limit
        self._ceiling = limit
        self._since_look = 0
        self._relieving: asyncio.Task[None] | None = None

    def added(self, size: int) -> None:
        """An update of `size` bytes was appended."""
        self._since_look += size + ROW_BYTES
        if self._since_look < self._limit // 16:
            return
        self._since_look = 0
        buffer = self._checkpointer.buffer
        idle = self._relieving is None or self._relieving.done()
        if idle and not buffer.durable and buffer.size() > self._ceiling:
            self._relieving = self._checkpointer.spawn(self._relieve())

    async def _relieve(self) -> None:
        cp = self._checkpointer
        buffer = cp.buffer
        for entry in [e for e in cp.entries.values() if not e.users and not e.pending]:
            await cp.drop(entry)
        for entry in sorted(cp.entries.values(), key=lambda e: e.pending_bytes, reverse=True):
            if buffer.size() <= self._limit * 3 // 4:
                return
            try:
                await cp.sync.condense(entry)
            except BookstoreError:
                continue  # its next checkpoint comes upon the same, and reports it
        if buffer.size() > self._limit and not buffer.durable:
            await self._move_to_file()

    async def _move_to_file(self) -> None:
        cp = self._checkpointer
        path = cp.recovery.new_file()
        try:
            await cp.buffer.move_to_file(path)
        except UpdateBufferError as error:
            self._ceiling = cp.buffer.size() + self._limit // 4
            cp.log.error(  # noqa: TRY400 - the sentence is what counts
                "The update buffer has grown past buffer_limit, and cannot go on in a file, so it "
                "goes on growing in memory. %s",
                error,
            )
        else:
            cp.in_file()
            cp.log.warning(
                "The update buffer has grown past buffer_limit; it goes on in %s until the server "
                "stops.",
                path,
            )
