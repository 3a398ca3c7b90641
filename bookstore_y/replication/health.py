"""Health: whether the bucket is usable, and who learns of changes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from .. import metrics
from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    VersioningNotEnabled,
)

RETRY_CAP = 30.0
"""Longest wait, in seconds, between two tries of what fails."""


BUCKET_WIDE = (BucketUnavailable, BucketNotFound, VersioningNotEnabled, ConfigurationError)
"""What keeps everything from the bucket. Any other refusal may be one key's."""


def count(error: BookstoreError) -> None:
    """Count a request that failed. Every refusal counts as `AccessDenied`, whatever it was of."""
    kind = AccessDenied if isinstance(error, AccessDenied) else type(error)
    metrics.S3_ERRORS.labels(kind.__name__).inc()


def pause(attempts: int, first: float = 0.5) -> float:
    """Seconds to wait after so many failures in a row: "full jitter" below a growing ceiling, so
    that many documents and servers do not come back all at once."""
    ceiling = min(RETRY_CAP, first * 2.0 ** min(attempts, 10))
    return random.uniform(min(0.05, ceiling), ceiling)


class Health:
    """What is known of the bucket's state. While it cannot be used, it is looked at again and
    again, for as long as it takes."""

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        spawn: Callable[[Any], asyncio.Task[Any]],
        recovered: Callable[[], None],
    ) -> None:
        self.error: BookstoreError | None = None
        """Why the bucket cannot be used now, or None as far as is known."""
        self.failing_since: float | None = None
        """Seconds since the epoch."""
        self.log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger(
            "bookstore_y.health"
        )
        self.where = ""
        self.changed: Callable[[], None] = lambda: None
        self._check = check
        self._spawn = spawn
        self._recovered = recovered
        self._watch: asyncio.Task[None] | None = None
        self._looked = 0
        self._closed = False

    def open(self) -> None:
        """From now on the bucket may be watched. Nothing is known of it yet."""
        self._closed = False
        self.error = self.failing_since = None

    def close(self) -> None:
        """Watch no longer."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def note(self, error: BookstoreError) -> None:
        """The bucket could not be used: say so once, and watch for it to come back. What is not
        the bucket's fault is no news here; a refusal may be one key's, so the bucket is asked."""
        if not isinstance(error, (BucketError, ConfigurationError)):
            return
        count(error)
        if not isinstance(error, BUCKET_WIDE):
            if self.error is None and self._watch is None and not self._closed:
                self._watch = self._spawn(self._ask_once())
            return
        self._is_away(error)

    def _is_away(self, error: BookstoreError) -> None:
        if type(error) is not type(self.error):
            self.log.error("Archiving is paused; edits stay in the buffer. %s", error)
        if self.failing_since is None:
            self.failing_since = time.time()
        self.error = error
        if self._watch is None and not self._closed:
            self._watch = self._spawn(self._watch_bucket())
        self.changed()

    def worked(self) -> None:
        """The bucket was used just now."""
        self._looked = 0

    async def check(self) -> bool:
        """See whether the bucket can be used. Never raises a `BookstoreError`."""
        try:
            await self._check()
        except BookstoreError as error:
            self._is_away(error)
            return False
        if self.error is not None:
            self.log.warning("Archiving to %s works again.", self.where)
        self.error = self.failing_since = None
        self._recovered()
        self.changed()
        return True

    async def _ask_once(self) -> None:
        if not await self.check():
            await self._watch_bucket()
        elif self._watch is asyncio.current_task():
            self._watch = None

    async def _watch_bucket(self) -> None:
        try:
            while True:
                self._looked += 1
                await asyncio.sleep(0.5 + pause(self._looked, 1.0))
                if await self.check():
                    return
        finally:
            if self._watch is asyncio.current_task():
                self._watch = None
