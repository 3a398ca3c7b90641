"""`pull --at` of many notebooks from a bucket that is far away, against one after another.

Run it with `python benchmarks/pull.py`. The S3 server (moto, or the one at `--endpoint-url`) and
the proxy that delays every request are processes of their own; both pulls are of the same versions,
in the same run, through the same code: the second with one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_ydoc import YNotebook

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.body import notebook_bytes
from bookstore_y.concurrency import each, listed
from bookstore_y.directory import Directory
from bookstore_y.keys import Document
from bookstore_y.pulling import Pulling
from bookstore_y.version import Facts, Saved

ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds a request (0.03)")
    parser.add_argument("--endpoint-url", help="a server other than moto; key pair from the chain")
    args = parser.parse_args()
    with s3_server(args.endpoint_url) as url, delayed(url, args.latency) as far_url:
        near, far = settings(url, not args.endpoint_url), settings(far_url, not args.endpoint_url)
        far.s3_bucket = near.s3_bucket
        then = asyncio.run(fill(near, args.notebooks))
        together = [pulled(far, then, args.notebooks, 0) for _ in range(ROUNDS)]
        one_by_one = pulled(far, then, args.notebooks, 1)
    best = min(together)
    print(
        f"pull --at of {args.notebooks:,} notebooks, {args.latency * 1000:.0f} ms a request: "
        f"{best:.2f} s ({', '.join(f'{t:.2f}' for t in together)}), "
        f"{args.notebooks / best:,.0f} a second; one after another {one_by_one:.2f} s; "
        f"{one_by_one / sorted(together)[ROUNDS // 2]:.1f} times as fast (by the median)"
    )


def settings(url: str, is_moto: bool) -> BookstoreSettings:
    """Settings for a bucket of this run."""
    made = BookstoreSettings(
        s3_endpoint_url=url, s3_bucket=f"pull-{uuid.uuid4().hex[:8]}", create_bucket=True
    )
    if is_moto:
        made.s3_access_key_id = made.s3_secret_access_key = "benchmark"  # noqa: S105
    return made


async def fill(settings: BookstoreSettings, count: int) -> datetime:
    """Write notebooks: half as snapshots of a room, half as saves. Then change them all. Returns
    the moment between."""

    documents = [YNotebook() for _ in range(count)]
    saved: list[Saved | None] = [None] * count

    async def write(index: int) -> None:
        path = f"team-{index % 10}/notebook {index}.ipynb"
        document, before = documents[index], saved[index]
        document.set(notebook(index, words))
        if index % 2:
            await archive.save_file(path, notebook_bytes(document.get()))
            return
        facts = Facts(lineage=f"{index:032}", parent=before.version_id if before else "")
        saved[index] = await archive.save(
            Document(path, "notebook"),
            document.ydoc.get_update(),
            facts,
            parent_etag=before.etag if before else "",
        )

    async with Archive(settings) as archive:
        for words in ("then", "now"):
            async for _ in each(listed(list(range(count))), write, 8):
                pass
            if words == "then":
                await asyncio.sleep(1.1)  # times in S3 are in whole seconds
                then = datetime.now(timezone.utc)
                await asyncio.sleep(1.1)
    return then


def notebook(index: int, words: str) -> dict[str, Any]:
    """A notebook of ten cells with outputs."""
    cells = [
        {
            "id": f"cell-{number}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": number,
            "source": f"# {words}\nplot({index}, {number})",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"{words} " * 100}],
        }
        for number in range(10)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def pulled(settings: BookstoreSettings, then: datetime, count: int, threads: int) -> float:
    """Seconds that a pull takes, with `threads` requests at a time; 0: as many as by default."""
    chosen = BookstoreSettings(
        **{name: getattr(settings, name) for name in settings.trait_names(config=True)}
    )
    if threads:
        chosen.max_threads = threads
    directory = Path(tempfile.mkdtemp(prefix="bookstore-pull-"))
    try:
        started = time.perf_counter()
        asyncio.run(pull(chosen, then, directory))
        took = time.perf_counter() - started
        written = [path.read_text() for path in directory.rglob("*.ipynb")]
        if len(written) != count or not all("# then" in text for text in written):
            raise SystemExit(f"{len(written)} of {count} notebooks were pulled as they were")
        return took
    finally:
        shutil.rmtree(directory)


async def pull(settings: BookstoreSettings, then: datetime, directory: Path) -> None:
    """Pull all of the workspace as it was."""
    async with Archive(settings) as archive:
        pulling = Pulling(archive, Directory(directory))
        async for done in pulling.run(archive.files(at=then)):
            if not done.is_well:
                raise SystemExit(done.reason)


# -- the server, and the way to it ---------------------------------------------------------------


@contextlib.contextmanager
def s3_server(url: str | None) -> Iterator[str]:
    """The URL of an S3 server: the given one, or moto's in a process of its own."""
    if url is not None:
        yield url
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1).close()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def delayed(url: str, seconds: float) -> Iterator[str]:
    """The URL of a proxy to `url`, in a process of its own, that passes on what clients send only
    after this time, and answers at once."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(url, seconds, theirs), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(url: str, seconds: float, port: Connection) -> None:
    parts = urlsplit(url)

    async def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, on = await asyncio.open_connection(parts.hostname, parts.port or 80)
        await asyncio.gather(_pass(client, on, seconds), _pass(server, back, 0))

    async def serve() -> None:
        listening = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=512)
        port.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(serve())


async def _pass(source: asyncio.StreamReader, to: asyncio.StreamWriter, seconds: float) -> None:
    """Pass bytes on, each this much later than it came."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        async for due, data in _dated(source, seconds):
            await asyncio.sleep(due - loop.time())
            to.write(data)
            await to.drain()
    to.close()


async def _dated(
    source: asyncio.StreamReader, seconds: float
) -> AsyncIterator[tuple[float, bytes]]:
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def read() -> None:
        while True:
            data = await source.read(1 << 16)
            waiting.put_nowait((loop.time() + seconds, data))
            if not data:
                return

    reading = asyncio.create_task(read())
    while (item := await waiting.get())[1]:
        yield item
    await reading


if __name__ == "__main__":
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    main()
