"""MemoryLimiter: keeps a buffer in memory below its limit, even in a long outage.

First what nobody has open and is archived goes; then each document's pending updates are squashed
into one, largest first; what is too much even then goes on in a file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..buffer.database import Buffer
from ..errors import BookstoreError, UpdateBufferError
from .document import DocumentState

ROW_BYTES = 64
"""About what SQLite takes for an update besides its own bytes and its metadata's."""


@dataclass(frozen=True)
class Relief:
    """What there is to be limited, and what can be done about it."""

    buffer: Callable[[], Buffer]
    documents: Callable[[], Iterable[DocumentState]]
    drop: Callable[[DocumentState], Awaitable[None]]
    condense: Callable[[DocumentState], Awaitable[None]]
    move_to_file: Callable[[], Awaitable[Path]]
    """Raises `UpdateBufferError`."""
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    log: Callable[[], logging.Logger | logging.LoggerAdapter[Any]]


class MemoryLimiter:
    """Watches the size of a buffer, and keeps it below `limit` bytes."""

    def __init__(self, limit: int, relief: Relief) -> None:
        self._relief = relief
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
        buffer = self._relief.buffer()
        idle = self._relieving is None or self._relieving.done()
        if idle and not buffer.durable and buffer.size() > self._ceiling:
            self._relieving = self._relief.spawn(self._relieve())

    async def _relieve(self) -> None:
        relief, buffer = self._relief, self._relief.buffer()
        for entry in [e for e in relief.documents() if not e.users and not e.pending]:
            await relief.drop(entry)
        for entry in sorted(relief.documents(), key=lambda e: e.pending_bytes, reverse=True):
            if buffer.size() <= self._limit * 3 // 4:
                return
            try:
                await relief.condense(entry)
            except BookstoreError:
                continue  # its next checkpoint comes upon the same, and reports it
        if buffer.size() > self._limit and not buffer.durable:
            await self._move_to_file()

    async def _move_to_file(self) -> None:
        log = self._relief.log()
        try:
            path = await self._relief.move_to_file()
        except UpdateBufferError as error:
            self._ceiling = self._relief.buffer().size() + self._limit // 4
            log.error(  # noqa: TRY400 - the sentence is what counts
                "The update buffer is larger than buffer_limit and can't continue in a file, "
                "so it keeps growing in memory. %s",
                error,
            )
        else:
            log.warning(
                "The update buffer is larger than buffer_limit; it continues in %s until the "
                "server stops.",
                path,
            )
