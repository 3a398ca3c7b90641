"""Memory in an outage: ten minutes of updates, as fast as they can be written, without a bucket.

A process of its own has the documents open, with its buffer in memory; this one watches how much
it takes, gives the bucket back, and reads all of it with a plain client.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import pycrdt
from traitlets.config import Config

from bookstore_y import S3YStore
from bookstore_y.ydoc.frame import decompress

from ..servers import S3Server, connect, free_port, make_bucket, s3_options
from .scenario import Context, Result, Stopwatch

DOCUMENTS = 50
UPDATES = 10 * 60 * 200
"""Ten minutes at 200 a second, over all documents together."""
LIMIT_MB = 100
"""What the process may take beyond what it took before the outage."""
OUTPUT_BYTES = 3000

_WARM_UP = 250
_SECONDS = 120.0
_MEGABYTE = 1_000_000
_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Outage:
    """What is written, and what the bucket says meanwhile."""

    name: str
    silent: bool = False
    """Whether the endpoint takes connections and does not answer, in place of refusing them."""
    output_every: int = 0
    """Each so many updates, one is an output of `OUTPUT_BYTES`; 0: all are typing."""


OUTAGES = [
    Outage("outage: typing, S3 refuses"),
    Outage("outage: typing, S3 silent", silent=True),
    Outage("outage: every 10th is an output, S3 refuses", output_every=10),
]


async def run(context: Context) -> list[Result]:
    """One process and one outage after the other."""
    return [await _one(context, outage) for outage in OUTAGES]


async def _one(context: Context, outage: Outage) -> Result:
    watch = Stopwatch()
    s3 = context.servers.get("moto")
    bucket = make_bucket(s3)
    result = Result(outage.name, s3.name)
    try:
        async with (
            Door(s3.endpoint_url) as door,
            _writer(context, outage, door.before(s3), bucket) as writer,
        ):
            process, said = psutil.Process(writer.pid), Lines(writer)
            await said.wait_for("warm")
            before = process.memory_info().rss
            await door.close(silent=outage.silent)
            writing = asyncio.create_task(said.tell("write", "written"))
            peak = await _peak(process, writing)
            seconds = (await writing)["seconds"]
            await door.open()
            archiving = asyncio.create_task(said.tell("archive", "archived"))
            later = await _peak(process, archiving)
            archived = await archiving
            if await asyncio.wait_for(writer.wait(), _SECONDS):
                result.failures.append(f"the process ended with {writer.returncode}")
    except (TimeoutError, EOFError) as error:
        result.failures.append(f"{type(error).__name__}: {error}")
        result.seconds = watch.seconds
        return result
    growth = (peak - before) / _MEGABYTE
    result.acknowledged = UPDATES + DOCUMENTS * _WARM_UP
    result.notes += [
        f"{growth:.0f} MB above the {before / _MEGABYTE:.0f} MB before, after {UPDATES:,} updates "
        f"in {seconds:.0f} s",
        f"all archived {archived['seconds']:.1f} s after the bucket was back, "
        f"at most {(later - before) / _MEGABYTE:.0f} MB above",
    ]
    if growth >= LIMIT_MB:
        result.failures.append(f"memory grew by {growth:.0f} MB; the limit is {LIMIT_MB}")
    for counts, expected in await asyncio.to_thread(_read_back, s3, bucket):
        result.lost += len(expected - counts.keys())
        result.doubled += sum(count > 1 for count in counts.values())
    result.unhandled = archived["tracebacks"]
    result.seconds = watch.seconds
    return result


async def _peak(process: psutil.Process, until: asyncio.Task[Any]) -> int:
    """The most memory that `process` has while the task runs."""
    peak = 0
    while not until.done():
        with contextlib.suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        await asyncio.wait([until], timeout=0.01)
    return peak


def _read_back(s3: S3Server, bucket: str) -> Iterator[tuple[Counter[int], set[int]]]:
    """How often each update is in the bucket, and those that have to be, for each document."""
    client = connect(s3)
    for document in range(DOCUMENTS):
        answer = client.get_object(Bucket=bucket, Key=f"workspace/{_path(document)}.y.zst")
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        doc.apply_update(decompress(answer["Body"].read(), 2**30))
        text = str(doc.get("text", type=pycrdt.Text))
        numbers = Counter(int(number) for number in _NUMBER.findall(text))
        yield numbers, set(range(_WARM_UP + UPDATES // DOCUMENTS))
    client.close()


def _path(document: int) -> str:
    return f"outage/{document}.txt"


class Lines:
    """What a process says, a JSON object a line, and what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    async def wait_for(self, event: str) -> dict[str, Any]:
        """The next line, which has to be this event. Raises `EOFError` and `TimeoutError`."""
        line = await asyncio.wait_for(self._out.readline(), _SECONDS)
        said: dict[str, Any] = json.loads(line) if line else {}
        if said.get("event") != event:
            raise EOFError(f"the process said {line!r} in place of {event!r}")
        return said

    async def tell(self, command: str, event: str) -> dict[str, Any]:
        """Tell it to do something, and wait for the event that ends it."""
        self._in.write(f"{command}\n".encode())
        await self._in.drain()
        return await self.wait_for(event)


@asynccontextmanager
async def _writer(
    context: Context, outage: Outage, s3: S3Server, bucket: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = {
        "s3": s3_options(s3, bucket),
        "recovery_dir": str(context.directory(f"outage-{bucket}")),
        "output_every": outage.output_every,
        "seed": context.seed,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, json.dumps(arguments)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# -- the process under test ------------------------------------------------------------------------


async def write_through_an_outage(
    s3: dict[str, Any], recovery_dir: str, output_every: int, seed: int
) -> None:
    """Write, each time this is told to on standard input, and say so on standard output."""
    config = Config(
        {
            "BookstoreSettings": {**s3, "max_attempts": 1},
            "S3YStore": {"recovery_dir": recovery_dir},
        }
    )
    tracebacks: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: tracebacks.append(what))
    authors = [Author(output_every, seed + document) for document in range(DOCUMENTS)]
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(S3YStore(_path(document), config=config))
            for document in range(DOCUMENTS)
        ]
        await _write(stores, authors, _WARM_UP)
        await _archive(stores)
        gc.collect()
        _say("warm")
        await asyncio.to_thread(sys.stdin.readline)
        watch = Stopwatch()
        await _write(stores, authors, UPDATES // DOCUMENTS)
        _say("written", seconds=watch.seconds)
        await asyncio.to_thread(sys.stdin.readline)
        watch = Stopwatch()
        await _archive(stores)
        _say("archived", seconds=watch.seconds, tracebacks=len(tracebacks))


async def _write(stores: list[S3YStore], authors: list[Author], each: int) -> None:
    for _ in range(each):
        for store, author in zip(stores, authors, strict=True):
            await store.write(author.update())
            await asyncio.sleep(0)


async def _archive(stores: list[S3YStore]) -> None:
    for store in stores:
        await store.checkpoint()


def _say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


class Author:
    """Makes the updates of one document, numbered, without having all of it in memory."""

    def __init__(self, output_every: int, seed: int) -> None:
        self._output_every = output_every
        self._random = random.Random(seed)
        self._count = 0
        self._new_doc()

    def update(self) -> bytes:
        """The next update."""
        filler = ""
        if self._output_every and self._count % self._output_every == 0:
            self._new_doc()  # another client, who has seen nothing of what the others wrote
            filler = self._random.randbytes(OUTPUT_BYTES // 2).hex()
        before = self._doc.get_state()
        self._text += f"[{self._count}]{filler}"
        self._count += 1
        return self._doc.get_update(before)

    def _new_doc(self) -> None:
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self._text = self._doc.get("text", type=pycrdt.Text)


# -- the outage ------------------------------------------------------------------------------------

_CHUNK = 65536


class Door:
    """A loopback address that leads to the server at `url` while it is open.

    Shut, it refuses every connection and cuts those that stand, as a server that is down does;
    or it takes connections and says nothing, as one does that hangs.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "127.0.0.1", target.port or 80)
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._silent = False
        self._passing: set[asyncio.Task[None]] = set()

    def before(self, s3: S3Server) -> S3Server:
        """`s3`, as it is reached through this door."""
        return replace(s3, endpoint_url=f"http://127.0.0.1:{self._port}")

    async def open(self) -> None:
        """Let connections through, if it does not already."""
        if self._silent:
            await self.close()
        if self._server is None:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)

    async def close(self, *, silent: bool = False) -> None:
        """Cut every connection, and refuse new ones or say nothing, until it is opened again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        self._silent = silent
        if silent:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)

    async def __aenter__(self) -> Door:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            if self._silent:
                await asyncio.Event().wait()
            there, back = await asyncio.open_connection(*self._target)
            with contextlib.closing(back):
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone, or the door was shut; asyncio would report either
        finally:
            self._passing.discard(task)
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


def main() -> None:
    """Be the process under test; the one argument is of JSON."""
    parser = argparse.ArgumentParser(description="The process under test of the memory scenario.")
    parser.add_argument("arguments", type=json.loads)
    asyncio.run(write_through_an_outage(**parser.parse_args().arguments))


if __name__ == "__main__":
    main()
