"""How long the event loop stands still while large documents are checkpointed and opened."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pycrdt import Doc

from bookstore_y import S3YStore

from . import traces
from .bench import Bench
from .measure import Figure, in_turns
from .opening import fill, forget
from .rooms import checkpoint, room

SAMPLE = 0.001


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """The longest stall, against that of the one call which cannot be done without."""
    size = bench.pick(16 << 20, 2 << 20)
    yield await while_checkpointing(bench, size)
    yield await while_opening(bench, size)


async def while_checkpointing(bench: Bench, size: int) -> Figure:
    """A checkpoint, against one bare `get_update`."""
    trace = traces.executed_notebook(size)
    async with room("large.ipynb", trace.doc, await bench.config()) as store:
        await store.write(trace.doc.get_update())
        await checkpoint(store)
        edits = traces.typing(trace)

        async def ours() -> float:
            for _ in range(5):
                await store.write(next(edits))
            return await longest(lambda: checkpoint(store))

        async def bare() -> float:
            async def encode() -> None:
                trace.doc.get_update()

            return await longest(encode)

        values = await in_turns(bench.rounds(9), ours, bare)
    what = f"event-loop stall while checkpointing {size >> 20} MB"
    return Figure("stall", what, "s", values[0], values[1], "one bare `get_update`", at_most=1.3)


async def while_opening(bench: Bench, size: int) -> Figure:
    """Opening, against one bare `apply_update`."""
    trace = traces.executed_notebook(size)
    config = await bench.config()
    update = trace.doc.get_update()
    await fill(config, "large.ipynb", trace)
    async with S3YStore("host.txt", config=config) as host:

        async def ours() -> float:
            doc: Doc[Any] = Doc()
            async with S3YStore("large.ipynb", config=host.config) as store:
                took = await longest(lambda: store.apply_updates(doc))
            await forget(host, store)
            return took

        async def bare() -> float:
            async def apply() -> None:
                doc: Doc[Any] = Doc()
                doc.apply_update(update)

            return await longest(apply)

        values = await in_turns(bench.rounds(5), ours, bare)
    what = f"event-loop stall while opening {size >> 20} MB"
    return Figure("stall-open", what, "s", values[0], values[1], "one bare `apply_update`")


async def longest(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that the event loop stood still for at most while this ran: by how much a sleep of
    1 ms came late."""
    late: list[float] = []

    async def sample() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(SAMPLE)
            late.append(time.perf_counter() - started - SAMPLE)

    task = asyncio.create_task(sample())
    await asyncio.sleep(0.02)
    late.clear()
    await work()
    await asyncio.sleep(0.02)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return max(late)
