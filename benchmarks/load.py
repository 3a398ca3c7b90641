"""Many documents that are typed in at the same time, for a minute."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from pycrdt import Doc

from bookstore_y import S3YStore

from . import floors, traces
from .bench import Bench
from .measure import Figure, Stopwatch
from .rooms import entry_of, room

PERIOD = 0.5
"""Seconds between two updates of a document."""


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """How old an update gets at most before it is in the bucket, and how busy the process is.

    All documents are opened and typed in from the same half second on, so that all of their
    checkpoints come due within the same half second as well.
    """
    count = bench.pick(500, 50)
    seconds = bench.pick(60.0, 5.0)
    delay = bench.pick(30.0, 2.0)
    settings = await bench.bucket()
    config = bench.config_of(settings, checkpoint_max_delay=delay)
    updates = traces.text(int(seconds / PERIOD) + 1).updates
    async with AsyncExitStack() as stack:
        rooms: list[tuple[S3YStore, Doc[Any]]] = []
        for index in range(count):
            doc: Doc[Any] = Doc()
            store = await stack.enter_async_context(room(f"{index}.txt", doc, config))
            rooms.append((store, doc))
        written = [(store, deque[float](maxlen=len(updates))) for store, _ in rooms]
        cpu, started = time.process_time(), time.perf_counter()
        watching = asyncio.create_task(_oldest(written))
        await asyncio.gather(
            *(
                _type(store, doc, written[index][1], updates, index / count * PERIOD)
                for index, (store, doc) in enumerate(rooms)
            )
        )
        busy = (time.process_time() - cpu) / (time.perf_counter() - started)
        watching.cancel()
        oldest = max(await asyncio.gather(watching))
    burst = await _burst(bench, count)
    what = f"{count} documents at 2 updates/s each for {seconds:g} s"
    yield Figure(
        "load-lateness",
        f"{what}: the oldest update that waited",
        "s",
        [oldest],
        at_most=delay + 2,
        note=f"`checkpoint_max_delay` {delay:g} s; {count} bare PUTs take {burst:.1f} s",
    )
    yield Figure("load-cpu", f"{what}: of one core", "%", [busy * 100], at_most=50)


async def _type(
    store: S3YStore, doc: Doc[Any], at: deque[float], updates: list[bytes], first: float
) -> None:
    """Write an update each period."""
    loop = asyncio.get_running_loop()
    due = loop.time() + first
    for update in updates:
        await asyncio.sleep(due - loop.time())
        at.append(loop.time())
        doc.apply_update(update)
        await store.write(update)
        due += PERIOD


async def _oldest(written: list[tuple[S3YStore, deque[float]]]) -> float:
    """Until it is cancelled: the greatest age of any update that the bucket did not have."""
    loop = asyncio.get_running_loop()
    oldest = 0.0
    try:
        while True:
            await asyncio.sleep(0.1)
            now = loop.time()
            for store, at in written:
                if pending := entry_of(store).pending:
                    oldest = max(oldest, now - at[-pending])
    except asyncio.CancelledError:
        return oldest


async def _burst(bench: Bench, count: int) -> float:
    """Seconds that the S3 server takes for so many bare PUTs, some at a time as checkpoints are."""
    settings = await bench.bucket()
    doc = traces.text(120).doc
    left = iter(range(count))
    async with floors.bare_s3(settings) as s3:

        async def worker() -> None:
            for index in left:
                await floors.put(s3, settings.s3_bucket, f"{index}", doc)

        with Stopwatch() as watch:
            await asyncio.gather(*(worker() for _ in range(16)))
    return watch.seconds
