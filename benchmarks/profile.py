"""Where the time goes: `python -m benchmarks.profile writing`, or `checkpoint`, or `open`."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pyinstrument import Profiler

from bookstore_y import S3YStore

from . import traces
from .bench import Bench
from .checkpoints import document
from .opening import fill, opened
from .rooms import checkpoint, room
from .servers import s3_server
from .writing import rate_of

Work = Callable[[], Awaitable[Any]]


def main() -> None:
    """Do one thing many times, and print the tree of calls."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("what", choices=PROFILED)
    parser.add_argument("--size", type=int, default=1 << 20, help="bytes of the document")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--s3", default="moto")
    parser.add_argument("--html", type=Path, help="write it there in place of printing it")
    args = parser.parse_args()
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    with tempfile.TemporaryDirectory() as scratch, s3_server(args.s3) as options:
        bench = Bench(quick=True, s3=options, scratch=Path(scratch))
        profiler = asyncio.run(profiled(PROFILED[args.what](bench, args.size), args.times))
    if args.html:
        args.html.write_text(profiler.output_html())
    else:
        print(profiler.output_text(show_all=True))


async def profiled(made: Any, times: int) -> Profiler:
    """The event loop's thread, while it does this."""
    profiler = Profiler(interval=0.0005, async_mode="enabled")
    async with made as work:
        await work()
        with profiler:
            for _ in range(times):
                await work()
    return profiler


@asynccontextmanager
async def writing(bench: Bench, size: int) -> AsyncIterator[Work]:
    """2,000 writes in memory."""
    updates = traces.text(2_000).updates
    async with S3YStore("one.txt", config=await bench.config()) as store:
        yield lambda: rate_of(updates, [store])


@asynccontextmanager
async def checkpointing(bench: Bench, size: int) -> AsyncIterator[Work]:
    """A checkpoint after 100 updates."""
    trace = document(size)
    async with room("document", trace.doc, await bench.config()) as store:
        await store.write(trace.doc.get_update())
        edits = traces.typing(trace)

        async def work() -> None:
            for _ in range(100):
                await store.write(next(edits))
            await checkpoint(store)

        yield work


@asynccontextmanager
async def opening(bench: Bench, size: int) -> AsyncIterator[Work]:
    """Opening a document that is in the bucket alone."""
    trace = document(size)
    config = await bench.config()
    await fill(config, "document", trace)
    async with S3YStore("host.txt", config=config) as host:
        yield lambda: opened(host, "document", None)


PROFILED = {"writing": writing, "checkpoint": checkpointing, "open": opening}


if __name__ == "__main__":
    main()
