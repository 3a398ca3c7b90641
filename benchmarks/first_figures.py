"""The first figures: writes against SQLiteYStore, event-loop stalls, import time.

Run it with `python benchmarks/first_figures.py`. Everything is measured in one run, on an
embedded S3 server in a process of its own; what can be compared is given as a ratio.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

from jupyter_ydoc import ydocs
from pycrdt import Doc, Text
from pycrdt.store import BaseYStore, SQLiteYStore
from traitlets.config import Config

from bookstore_y import S3YStore

ROUNDS = 5
WRITES = 2000
MEGABYTES = 16


class MemorySQLiteYStore(SQLiteYStore):
    """Upstream's store, in memory."""

    db_path = ":memory:"


@contextlib.contextmanager
def embedded_s3() -> Iterator[Config]:
    """An S3 server in another process, so that it takes no time of this one's event loop."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()  # noqa: S310
                break
            time.sleep(0.1)
        config = Config()
        config.BookstoreSettings.s3_endpoint_url = url
        config.BookstoreSettings.s3_bucket = "figures"
        config.BookstoreSettings.s3_access_key_id = "figures"
        config.BookstoreSettings.s3_secret_access_key = "figures"  # noqa: S105
        config.BookstoreSettings.create_bucket = True
        yield config
    finally:
        server.terminate()
        server.wait()


def typed_updates(count: int) -> list[bytes]:
    """One update for each of `count` characters typed."""
    doc: Doc[Any] = Doc()
    text = doc.get("source", type=Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    for index in range(count):
        text += chr(97 + index % 26)
    return updates


async def writes_per_second(store: BaseYStore, updates: list[bytes]) -> float:
    """Acknowledged writes a second, one after another."""
    started = time.perf_counter()
    for update in updates:
        await store.write(update)
    return len(updates) / (time.perf_counter() - started)


async def compare_writes(config: Config) -> None:
    """`write()` in memory, interleaved with upstream's."""
    updates = typed_updates(WRITES)
    ours: list[float] = []
    theirs: list[float] = []
    for round_number in range(ROUNDS):
        async with S3YStore(f"writes-{round_number}.txt", config=config) as store:
            ours.append(await writes_per_second(store, updates))
        async with MemorySQLiteYStore("writes.txt") as peer:
            theirs.append(await writes_per_second(peer, updates))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"write() in memory: {statistics.median(ours):,.0f}/s "
        f"({min(ours):,.0f} to {max(ours):,.0f}); SQLiteYStore {statistics.median(theirs):,.0f}/s "
        f"({min(theirs):,.0f} to {max(theirs):,.0f}); median ratio {ratio:.0f} x"
    )


def large_notebook() -> Doc[Any]:
    """A notebook of about `MEGABYTES`, most of it images in outputs."""
    notebook = ydocs["notebook"]()
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "metadata": {},
            "execution_count": index,
            "source": f"plot({index})",
            "outputs": [
                {
                    "output_type": "display_data",
                    "data": {"image/png": os.urandom(75_000).hex()},
                    "metadata": {},
                }
            ],
        }
        for index in range(MEGABYTES * 1024 * 1024 // 150_000)
    ]
    notebook.set({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    doc: Doc[Any] = notebook.ydoc
    return doc


@contextlib.asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """Milliseconds by which a 1 ms sleep on the event loop came late."""
    late: list[float] = []

    async def sample() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append((time.perf_counter() - started - 0.001) * 1000)

    task = asyncio.create_task(sample())
    await asyncio.sleep(0.05)
    late.clear()
    yield late
    await asyncio.sleep(0.01)
    task.cancel()


async def measure_stall(config: Config) -> None:
    """The longest stall of the event loop while a large notebook is checkpointed."""
    doc = large_notebook()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    cell = doc["cells"][0]["source"]
    longest: list[float] = []
    async with (
        S3YStore("small.txt", config=config) as small,
        S3YStore("large.ipynb", config=config) as store,
    ):
        # The S3 client is made once a process, when a server starts.
        await small.write(typed_updates(1)[0])
        async with stalls() as late:
            await small.checkpoint()
        print(
            f"the process's first checkpoint, which makes the S3 client: stall {max(late):.0f} ms"
        )
        whole = doc.get_update()
        await store.write(whole)
        for round_number in range(ROUNDS + 1):
            gc.collect()
            async with stalls() as late:
                started = time.perf_counter()
                version = await store.checkpoint()
                took = time.perf_counter() - started
            if round_number == 0:
                stored = version.size if version else 0
                print(
                    f"a notebook of {len(whole) / 1e6:.1f} MB, {stored / 1e6:.1f} MB stored: first "
                    f"checkpoint {took:.2f} s, longest stall {max(late):.0f} ms"
                )
            else:
                longest.append(max(late))
            cell += f"# {round_number}"
            await store.write(updates[-1])
    bare = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        doc.get_update()
        bare.append((time.perf_counter() - started) * 1000)
    print(
        f"  later checkpoints: longest stall {max(longest):.0f} ms, median of the longest "
        f"{statistics.median(longest):.0f} ms; one bare get_update {statistics.median(bare):.0f} ms"
    )


def measure_import() -> None:
    """Cumulative time of `import bookstore_y`, and what it pulled in."""
    code = (
        "import bookstore_y, sys; "
        "print(sorted({'aioboto3', 'jupyter_server', 'pycrdt'} & set(sys.modules)))"
    )
    times = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        match = re.search(r"\|\s+(\d+) \| bookstore_y$", done.stderr, re.MULTILINE)
        times.append(int(match[1]) / 1000 if match else float("nan"))
    print(f"import bookstore_y: {statistics.median(times):.1f} ms; imported {done.stdout.strip()}")


def main() -> None:
    """Measure and print."""
    measure_import()
    with embedded_s3() as config:
        asyncio.run(compare_writes(config))
        asyncio.run(measure_stall(config))


if __name__ == "__main__":
    main()
