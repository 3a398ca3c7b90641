"""PendingUpload: a saved file on its way to the bucket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import BookstoreError


@dataclass(frozen=True)
class Save:
    """The content of a file as it was saved.

    `body` is its bytes, or makes them, in a worker thread.
    """

    body: bytes | Callable[[], bytes]
    authors: tuple[str, ...] = ()
    origin: str = "save"
    content_type: str = "application/octet-stream"


@dataclass(eq=False)
class PendingUpload:
    """A file with a save that is no version yet. Times are of the event loop's clock."""

    path: str
    waiting: Save | None = None
    """The newest save, unless it is being written."""
    putting: asyncio.Event | None = None
    """Set when the PUT that is under way has ended."""
    held: bool = False
    """Its save belongs to a deletion or rename that is yet to be followed."""
    written_at: float = -math.inf
    retry_at: float = 0.0
    attempts: int = 0
    error: BookstoreError | None = None
    failing_since: float = 0.0
    """In seconds since the epoch, while `error` is set."""
    task: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pending(self) -> bool:
        """Whether there is a save that the bucket is not known to have."""
        return self.waiting is not None or self.putting is not None
