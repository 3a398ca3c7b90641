"""What documents take that nobody has typed in for long."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import psutil  # type: ignore[import-untyped]
from pycrdt import Doc

from bookstore_y import S3YStore

from . import traces
from .bench import Bench
from .measure import Figure
from .rooms import checkpointer_of, entry_of, room

AT_ONCE = 16


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Documents that were written to, archived and evicted: with their rooms closed and open."""
    count = bench.pick(10_000, 200)
    for is_open in (False, True):
        yield await evicted(bench, count if not is_open else count // 10, is_open=is_open)


async def evicted(bench: Bench, count: int, *, is_open: bool) -> Figure:
    """By how much the process grows for each, after as many as a twentieth of them."""
    updates = traces.text(20).updates
    config = await bench.config()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(S3YStore("host.txt", config=config))
        checkpointer = checkpointer_of(host)
        names = iter(range(10**9))

        async def opened() -> None:
            doc: Doc[Any] = Doc()
            store = await stack.enter_async_context(room(f"{next(names)}.txt", doc, config))
            for update in updates:
                doc.apply_update(update)
                await store.write(update)
            await checkpointer.checkpoint(entry_of(store))

        async def closed() -> None:
            async with room(f"{next(names)}.txt", Doc(), config) as store:
                for update in updates:
                    await store.write(update)

        async def make(count: int) -> None:
            if is_open:  # in this task, which leaves them again
                for _ in range(count):
                    await opened()
            else:
                await _all(closed, count)
            await _evict(host)

        await make(count // 20)
        before = _resident(), checkpointer.buffer.size()
        await make(count)
        after = _resident(), checkpointer.buffer.size()
    which = "with their rooms open" if is_open else "with their rooms closed"
    resident, buffer = ((b - a) / count for a, b in zip(before, after, strict=True))
    return Figure(
        "memory-open" if is_open else "memory",
        f"{count:,} idle evicted documents, {which}: memory each",
        "B",
        [max(0.0, resident)],
        at_most=None if is_open else 1000,
        note=f"resident memory; the buffer takes {buffer:,.0f} B of it",
    )


async def _all(one: Callable[[], Awaitable[None]], count: int) -> None:
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _evict(host: S3YStore) -> None:
    """What is idle leaves the buffer now, as it does when its `document_ttl` is over."""
    checkpointer = checkpointer_of(host)
    for entry in list(checkpointer.entries.values()):
        checkpointer.scheduler.disarm(entry)  # or the timer of its eviction would keep it
        await checkpointer._evict(entry)


def _resident() -> int:
    """Bytes of this process that are in memory, without what was freed."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)
