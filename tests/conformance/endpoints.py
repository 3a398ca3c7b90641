"""Endpoints that misbehave: no S3 server, or one behind a bad line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL of a loopback server that answers connections with `handler`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def answering(status: str, headers: dict[str, str], body: bytes = b"") -> AsyncIterator[str]:
    """The URL of a server that gives every request the same answer and hangs up."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(head if request.startswith(b"HEAD ") else head + body)
        await writer.drain()

    async with serving(handler) as url:
        yield url


class BadLine:
    """A line to an S3 server that loses the answers to some PUTs, after the server acted."""

    def __init__(self, server_url: str) -> None:
        self._to = urlsplit(server_url)
        self.answers_to_lose = 0
        self.lost = 0
        self.after_loss: Callable[[], Awaitable[object]] | None = None
        """What else happens between a lost answer and the second try."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on, and its answer back unless it gets lost."""
        request = await reader.readuntil(b"\r\n\r\n")
        if _EXPECT.search(request):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # One exchange a connection: its end is the answer's end, whatever its framing.
        head = _CONNECTION.sub(b"", _EXPECT.sub(b"", request)).removesuffix(b"\r\n")
        length = _LENGTH.search(request)
        body = await reader.readexactly(int(length[1])) if length else b""
        answer = await self._forward(head + b"Connection: close\r\n\r\n" + body)
        if request.startswith(b"PUT ") and self.lost < self.answers_to_lose:
            self.lost += 1
            if self.after_loss is not None:
                await self.after_loss()
        else:
            writer.write(answer)
            await writer.drain()

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


_EXPECT = re.compile(rb"(?i)expect: *100-continue\r\n")
_CONNECTION = re.compile(rb"(?i)connection: [^\r]*\r\n")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
