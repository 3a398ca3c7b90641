"""asyncio helpers: bounded concurrency, shielding, and work in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
R = TypeVar("R")

P = ParamSpec("P")

_OVER = object()

_FEW = 64 * 1024
"""Bytes."""


async def each(
    items: AsyncIterable[T], work: Callable[[T], Awaitable[R]], limit: int
) -> AsyncIterator[R]:
    """What `work` makes of each item, as it gets done, `limit` at a time.

    An item is taken when there is room for it. Raises what `work` or `items` raise, after the
    work that was under way has been cancelled; close the iterator if you leave it early.
    """
    source = items.__aiter__()
    taking = asyncio.Lock()
    done: asyncio.Queue[object] = asyncio.Queue()

    async def worker() -> None:
        while True:
            async with taking:
                try:
                    item = await source.__anext__()
                except StopAsyncIteration:
                    return
            done.put_nowait(await work(item))

    workers = asyncio.gather(*(worker() for _ in range(limit)))
    workers.add_done_callback(lambda _: done.put_nowait(_OVER))
    try:
        while (result := await done.get()) is not _OVER:
            yield result  # type: ignore[misc]
        await workers
    finally:
        workers.cancel()
        with contextlib.suppress(BaseException):
            await workers


async def listed(items: list[T]) -> AsyncIterator[T]:
    """The items of a list, for `each`."""
    for item in items:
        yield item


async def run_in_thread_if_large(
    size: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """What `work` makes of `size` bytes, in a thread unless they are few: to hand them over takes
    longer then, and stops the event loop no less."""
    if size <= _FEW:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def to_its_end(work: Coroutine[Any, Any, R]) -> R:
    """Await `work`, which goes on to its end although the one who awaits it is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def require_asyncio(what: str) -> None:
    """Raise `RuntimeError` in an event loop that is not asyncio's, such as trio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{what} runs only in asyncio's event loop; start the program with asyncio.run, or "
            'with anyio.run(…, backend="asyncio").'
        ) from None


class Budget:
    """A number of bytes that may be in memory at one time."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def spending(self, size: int) -> AsyncIterator[None]:
        """Wait until there is room for `size` bytes; what is over the whole budget gets all."""
        size = min(size, self._total)
        async with self._changed:
            await self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            async with self._changed:
                self._left += size
                self._changed.notify_all()
