"""SlowBucket: an S3 server that is far away; each request takes its time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ..servers import S3Server
from .http_message import Message, read_request, read_response


@dataclass
class SlowBucket:
    """An S3 server behind a proxy. `seconds` may be changed at any time."""

    server: S3Server
    seconds: float
    """From a request to its answer, half of it before the request reaches the server."""
    requests: list[str] = field(default_factory=list)
    """Method and target of those that reached the server, in order."""
    at: list[float] = field(default_factory=list)
    """When each did, by the monotonic clock in seconds."""


@asynccontextmanager
async def slow_bucket(
    server: S3Server, seconds: float = 0.0, names: tuple[str, str] | None = None
) -> AsyncIterator[SlowBucket]:
    """`server`, so many seconds away. With `names`, its bucket of the second name goes by the
    first here, like a replica whose versions have the same ids."""
    parts = urlsplit(server.endpoint_url)
    serving: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            while request := await read_request(reader, writer):
                await asyncio.sleep(slow.seconds / 2)
                if reader.at_eof():
                    break  # whoever sent it ended before all of it was on its way
                slow.requests.append(" ".join(request.words[:2]))
                slow.at.append(time.monotonic())
                far, to_far = await asyncio.open_connection(parts.hostname, parts.port)
                to_far.write(_renamed(request, names))
                response = await read_response(far, request.words[0])
                to_far.close()
                await asyncio.sleep(slow.seconds / 2)
                writer.write(response.raw)
                await writer.drain()
                if response.closes:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked is gone, or the test has ended
        finally:
            serving.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    slow = SlowBucket(replace(server, endpoint_url=url), seconds)
    try:
        yield slow
    finally:
        listening.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def _renamed(request: Message, names: tuple[str, str] | None) -> bytes:
    if names is None:
        return request.raw
    shown, real = names
    return request.head.replace(f" /{shown}".encode(), f" /{real}".encode(), 1) + request.body
