"""Unanswered: requests that a bucket should have answered by now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PATIENCE = 4.0
"""Seconds after which a request counts as one that is not answered."""

RATE = 512 * 1024
"""Bytes a second at which a body may be on its way in addition."""


@dataclass(eq=False)
class _Request:
    since: float
    late: bool = False
    timer: asyncio.TimerHandle | None = None


class Unanswered:
    """The requests of one event loop that are under way."""

    def __init__(self) -> None:
        self.listeners: set[Callable[[], None]] = set()
        """Called when there begins to be one that is late, and when there is none any more."""
        self._requests: dict[asyncio.Task[object] | None, _Request] = {}

    @property
    def since(self) -> float | None:
        """Since when the oldest request that is late waits, in seconds since the epoch; None if
        none is late."""
        return min((each.since for each in self._requests.values() if each.late), default=None)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """While entered, this task waits for an answer to one request."""
        task = asyncio.current_task()
        request = self._requests[task] = _Request(time.time())
        self._expect(request, 0)
        try:
            yield
        finally:
            if self._requests.get(task) is request:
                del self._requests[task]
            self._stop(request)

    def carries(self, size: int) -> None:
        """A body of so many bytes is on its way from now on: that of this task's request, or of
        the answer to it."""
        request = self._requests.get(asyncio.current_task())
        if request is not None:
            self._stop(request)
            request.since = time.time()
            self._expect(request, size)

    def _expect(self, request: _Request, size: int) -> None:
        loop = asyncio.get_running_loop()
        request.timer = loop.call_later(PATIENCE + size / RATE, self._is_late, request)

    def _is_late(self, request: _Request) -> None:
        first = self.since is None
        request.late = True
        if first:
            self._tell()

    def _stop(self, request: _Request) -> None:
        if request.timer is not None:
            request.timer.cancel()
        if request.late:
            request.late = False
            if self.since is None:
                self._tell()

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()
