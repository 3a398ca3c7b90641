"""An event loop in a daemon thread, for synchronous callers.

A synchronous contents manager is called from the server's event loop, and blocks it; what it
asks of the bucket has to run in another.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ..archive.archive import Archive
from ..settings import BookstoreSettings

T = TypeVar("T")

CLOSING = 5.0
"""Seconds that a program's end waits for the connections to be closed."""


class BackgroundLoop:
    """One thread, its loop, and the archives that are open in it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._archives: dict[tuple[Any, ...], asyncio.Task[Archive]] = {}
        self._thread = threading.Thread(target=self._run, name="bookstore_y files", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have a coroutine run. The future is one for threads; `asyncio.wrap_future` awaits it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def archive(self, settings: BookstoreSettings) -> Archive:
        """The archive of these settings, which stays open. For use in this loop."""
        identity = settings.identity()
        if identity not in self._archives:
            self._archives[identity] = self._loop.create_task(Archive(settings).__aenter__())
        return await self._archives[identity]

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for opened in self._archives.values():
            if opened.done() and not opened.cancelled() and opened.exception() is None:
                await opened.result().__aexit__()

    def close(self) -> None:
        """Cancel what runs, close all connections, and end the thread."""
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            self.start(self._end()).result(CLOSING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING)
        if not self._thread.is_alive():
            self._loop.close()


_background: BackgroundLoop | None = None


def background() -> BackgroundLoop:
    """The one of this process, which is started when it is first asked for."""
    global _background
    if _background is None:
        _background = BackgroundLoop()
        atexit.register(_background.close)
    return _background
