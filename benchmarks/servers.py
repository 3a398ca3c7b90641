"""The S3 server, and a network that delays: each in a process of its own, so that neither takes
any time of the event loop that is measured."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from harness.servers import NAMES, S3Server, ServerError, Servers


@contextlib.contextmanager
def s3_server(name_or_url: str) -> Iterator[dict[str, str]]:
    """What `BookstoreSettings` needs to reach a server, by trait name: one of `NAMES`, which is
    started, or one that runs at a URL, with a key pair from the AWS chain.

    Raises `ServerError` when it cannot be started.
    """
    if name_or_url not in NAMES:
        yield {"s3_endpoint_url": name_or_url}
        return
    with _process(_serve_s3, name_or_url) as server:
        if not isinstance(server, S3Server):
            raise ServerError(str(server))
        yield {
            "s3_endpoint_url": server.endpoint_url,
            "s3_access_key_id": server.access_key,
            "s3_secret_access_key": server.secret_key,
            "s3_region_name": server.region,
        }


@contextlib.contextmanager
def delayed(s3: dict[str, str], seconds: float) -> Iterator[dict[str, str]]:
    """The way to the same server through a proxy that passes on what clients send only after this
    time, and answers at once."""
    with _process(_serve_delayed, s3["s3_endpoint_url"], seconds) as port:
        yield {**s3, "s3_endpoint_url": f"http://127.0.0.1:{port}"}


@contextlib.contextmanager
def _process(target: object, *args: object) -> Iterator[object]:
    """What `target` sends first, from a process that lives as long as this block."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(target, theirs, *args)
    )
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()  # it ends when it finds that closed, also when this process was killed
        process.join()


def _run(target: object, pipe: Connection, *args: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target(pipe, *args)  # type: ignore[operator]


def _wait(pipe: Connection) -> None:
    """Until the other end is closed."""
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.recv()


def _serve_s3(pipe: Connection, name: str) -> None:
    servers = Servers()
    try:
        try:
            pipe.send(servers.get(name))
        except ServerError as error:
            pipe.send(str(error))
            return
        _wait(pipe)
    finally:
        servers.stop()


def _serve_delayed(pipe: Connection, url: str, seconds: float) -> None:
    parts = urlsplit(url)

    async def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, on = await asyncio.open_connection(parts.hostname, parts.port or 80)
        await asyncio.gather(_pass(client, on, seconds), _pass(server, back, 0))

    async def serve() -> None:
        listening = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=512)
        pipe.send(listening.sockets[0].getsockname()[1])
        await asyncio.to_thread(_wait, pipe)

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
            try:
                data = await source.read(1 << 16)
            except ConnectionError:
                data = b""
            waiting.put_nowait((loop.time() + seconds, data))
            if not data:
                return

    reading = asyncio.create_task(read())
    while (item := await waiting.get())[1]:
        yield item
    await reading
