"""`write()`: in memory, of one document and of many, and on disk by many writers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from pycrdt.store import BaseYStore

from bookstore_y import S3YStore

from . import peers, traces
from .bench import Bench
from .floors import Inserts
from .measure import Figure, Stopwatch, in_turns
from .rooms import checkpointer_of, room

FEW = 2_000
"""Updates for the peers, which are slow."""


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Acknowledged writes a second, one after another unless said otherwise."""
    trace = traces.text(bench.pick(20_000, 4_000))
    async for figure in in_memory(bench, trace.updates):
        yield figure
    yield await many_documents(bench, trace.updates)
    yield await on_disk(bench, trace)


async def in_memory(bench: Bench, updates: list[bytes]) -> AsyncIterator[Figure]:
    """One document, against pycrdt-store in memory and against plain INSERTs."""
    few = updates[: bench.pick(FEW, 200)]
    async with S3YStore("one.txt", config=await bench.config()) as store:

        async def ours() -> float:
            rate = await rate_of(updates, [store])
            await checkpointer_of(store).flush(60)  # nothing of it may run in what comes next
            return rate

        async def floor() -> float:
            inserts = Inserts()
            with Stopwatch() as watch:
                for update in updates:
                    inserts.write(update)
            inserts.close()
            return len(updates) / watch.seconds

        async def sqlite() -> float:
            async with peers.MemoryStore("one.txt") as peer:
                return await rate_of(few, [peer])

        async def checkpointing() -> float:
            async with peers.checkpointing()("one.txt") as peer:
                return await rate_of(few, [peer])

        values = await in_turns(bench.rounds(9), ours, floor, sqlite, checkpointing)
    what = "`write()` in memory, one document"
    yield Figure("write-memory", what, "1/s", values[0], values[2], "SQLiteYStore in memory", 40)
    yield Figure(
        "write-memory-floor", what, "1/s", values[0], values[1], "plain sqlite3 `INSERT`", 0.35
    )
    yield Figure("write-memory-qystore", what, "1/s", values[0], values[3], "QYStore's checkpoints")


async def many_documents(bench: Bench, updates: list[bytes]) -> Figure:
    """1,000 open documents in turn, against one of them."""
    count = bench.pick(1000, 50)
    config = await bench.config()
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(S3YStore(f"{index}.txt", config=config))
            for index in range(count)
        ]

        async def many() -> float:
            rate = await rate_of(updates, stores)
            await checkpointer_of(stores[0]).flush(60)
            return rate

        async def one() -> float:
            rate = await rate_of(updates, stores[:1])
            await checkpointer_of(stores[0]).flush(60)
            return rate

        values = await in_turns(bench.rounds(9), one, many)
    what = f"`write()` in memory, one document against {count:,} in turn"
    of = f"{count:,} documents in turn"
    return Figure("write-many", what, "1/s", values[0], values[1], of, at_most=1.3)


async def on_disk(bench: Bench, trace: traces.Trace) -> Figure:
    """50 writers of one open document, each of whom waits until its update is durable.

    Of one, since SQLiteYStore has a connection for each: 50 connections to one file lock each
    other out, and what they then drop would count as written.
    """
    writers = 50
    updates = trace.updates
    few = updates[: bench.pick(FEW, 200)]

    async def ours() -> float:
        path = str(bench.directory() / "buffer.db")
        async with room("one.txt", trace.doc, await bench.config(db_path=path)) as store:
            return await concurrently(store, writers, updates)

    async def sqlite() -> float:
        async with peers.on_disk(bench.directory() / "ystore.db")("one.txt") as peer:
            return await concurrently(peer, writers, few)

    values = await in_turns(bench.rounds(5), ours, sqlite)
    what = f"`write()` on disk, {writers} concurrent writers"
    return Figure("write-disk", what, "1/s", values[0], values[1], "SQLiteYStore on disk", 20)


async def rate_of(updates: list[bytes], stores: Sequence[BaseYStore]) -> float:
    """Writes a second, each of the next store."""
    writes: list[Callable[[bytes], Awaitable[None]]] = [store.write for store in stores]
    count = len(writes)
    with Stopwatch() as watch:
        for index, update in enumerate(updates):
            await writes[index % count](update)
    return len(updates) / watch.seconds


async def concurrently(store: BaseYStore, writers: int, updates: list[bytes]) -> float:
    """Writes a second of so many that write at once."""
    await store.write(updates[0])  # pycrdt-store makes its table in the background
    shares = [updates[index::writers] for index in range(writers)]

    async def write(share: list[bytes]) -> None:
        for update in share:
            await store.write(update)

    with Stopwatch() as watch:
        await asyncio.gather(*map(write, shares))
    return len(updates) / watch.seconds
