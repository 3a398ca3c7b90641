"""Outages: a door before an S3 server that can be shut."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from urllib.parse import urlsplit

from ..servers import S3Server, free_port

_CHUNK = 65536


class Door:
    """A loopback address that leads to the server at `url` while it is open.

    Shut, it refuses every connection and cuts those that stand, as a server that is down does.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "127.0.0.1", target.port or 80)
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    def before(self, s3: S3Server) -> S3Server:
        """`s3`, as it is reached through this door."""
        return replace(s3, endpoint_url=f"http://127.0.0.1:{self._port}")

    async def open(self) -> None:
        """Let connections through, if it does not already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)

    async def close(self) -> None:
        """Cut every connection and refuse new ones, until it is opened again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

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
