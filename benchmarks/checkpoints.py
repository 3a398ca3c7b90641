"""Checkpoints of live documents: squash, compress, PUT, until it is acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from pycrdt import Map

from . import floors, traces
from .bench import Bench
from .measure import Figure, Stopwatch, in_turns
from .rooms import checkpoint, checkpointer_of, room

SIZES = (1 << 10, 32 << 10, 1 << 20, 16 << 20, 64 << 20)
INTERVAL = 200
"""Updates between two checkpoints, as by default."""


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """By size, and by how much was written before."""
    for size in bench.pick(SIZES, SIZES[:3]):
        yield await of_size(bench, size)
    yield await of_age(bench)


async def of_size(bench: Bench, size: int) -> Figure:
    """A live document to which somebody has added a word, against the floor of the same `Doc`."""
    settings = await bench.bucket()
    trace = document(size)
    async with (
        room("document", trace.doc, bench.config_of(settings)) as store,
        floors.bare_s3(settings) as s3,
    ):
        await store.write(trace.doc.get_update())
        await checkpoint(store)
        edits = traces.typing(trace)

        async def ours() -> float:
            for _ in range(5):
                await store.write(next(edits))
            return await checkpoint(store)

        async def floor() -> float:
            await store.write(next(edits))
            with Stopwatch() as watch:
                await floors.put(s3, settings.s3_bucket, "floor", trace.doc)
            return watch.seconds

        rounds = bench.rounds(31 if size < 1 << 20 else 9 if size < 16 << 20 else 5)
        values = await in_turns(rounds, ours, floor)
    return Figure(
        "checkpoint",
        f"checkpoint of {readable(size)}",
        "s",
        values[0],
        values[1],
        "`get_update` + zstd + one bare PUT",
        at_most=1.3,
        size=size,
    )


async def of_age(bench: Bench) -> Figure:
    """Two documents that say as much: one was written to often, the other seldom."""
    few, many = 1_000, bench.pick(1_000_000, 20_000)
    config = await bench.config()
    async with AsyncExitStack() as stack:
        documents = []
        for name, count in (("young", few), ("old", many)):
            trace = document(32 << 10)
            store = await stack.enter_async_context(room(name, trace.doc, config))
            await store.write(trace.doc.get_update())
            progress = trace.doc.get("progress", type=Map)
            for number in range(count):
                progress["done"] = f"{number:08}"
                for update in trace.taken():
                    await store.write(update)
                if number % 10_000 == 9_999:
                    await checkpointer_of(store).flush(60)
            await checkpointer_of(store).flush(60)
            documents.append((trace, progress, store))

        async def take(index: int) -> float:
            trace, progress, store = documents[index]
            for number in range(INTERVAL - 1):
                progress["done"] = f"{number:08}"
                for update in trace.taken():
                    await store.write(update)
            return await checkpoint(store)

        values = await in_turns(bench.rounds(21), lambda: take(1), lambda: take(0))
    what = f"checkpoint after {many:,} updates"
    of = f"the same after {few:,} updates"
    return Figure("checkpoint-age", what, "s", values[0], values[1], of, at_most=1.2)


def document(size: int) -> traces.Trace:
    """A document of about that size: small ones are typed, large ones have outputs."""
    if size < 1 << 20:
        return traces.text(size // 2)
    return traces.executed_notebook(size)


def readable(size: int) -> str:
    """1 kB, 16 MB."""
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} kB"
