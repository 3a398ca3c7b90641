"""Shared: what the parts of one checkpointer have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..archive.archive import Archive
from ..buffer.database import Buffer
from ..buffer.pending_file import PendingFile
from ..settings import BookstoreSettings
from .health import Health


class Shared:
    """The bucket and the buffer of one checkpointer, and who is told what happens to them.

    `open_buffer` is None while the checkpointer is not open.
    """

    def __init__(
        self,
        settings: BookstoreSettings,
        archive: Archive,
        health: Health,
        spawn: Callable[[Any], asyncio.Task[Any]],
        changed: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.archive = archive
        self.health = health
        self.spawn = spawn
        self.changed = changed
        self.pending_file = PendingFile()
        self.open_buffer: Buffer | None = None
        self.log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger(
            "bookstore_y.checkpointer"
        )

    @property
    def buffer(self) -> Buffer:
        """The buffer, which is open as long as the checkpointer is."""
        if self.open_buffer is None:
            raise RuntimeError("The checkpointer is not open; use it inside `async with`.")
        return self.open_buffer
