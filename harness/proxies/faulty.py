"""A TCP proxy on loopback, between the store and an S3 server, that does what networks do.

It takes in whole requests and whole responses, so each fault is exact: what the server got, and
what the client heard of it, is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .http_message import Message, plain_response, read_request, read_response

_IN_A_ROW = 3
"""Requests for one thing that are disturbed one after the other, at most."""

_STALL_SECONDS = 3.0
"""That a stall lasts if the client does not give up before."""

_STORM_SECONDS = (0.1, 0.5)
_STORMS_APART = 3.0

_FAILED = b"<Error><Code>InternalError</Code><Message>told to fail</Message></Error>"
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>told to refuse</Message></Error>"


class _Cut(Exception):
    """The connection to the client is to be closed now."""


@dataclass(frozen=True)
class _Exchange:
    """One request, and where its answer goes."""

    request: Message
    method: str
    target: str
    writer: asyncio.StreamWriter
    client_gone: Callable[[], Awaitable[bytes]]

    @property
    def of_an_object(self) -> bool:
        return self.target.split("?")[0].count("/") > 1 and "versions" not in self.target


class Proxy:
    """`async with` starts it; then `url` is where it listens, and `counts` what it did."""

    def __init__(
        self,
        upstream: str,
        chance: random.Random,
        rate: float = 0.4,
        *,
        cut_late: bool = True,
    ) -> None:
        """Disturb that part of the requests to `upstream`, by chance. `cut_late` tells whether
        a request may break off anywhere, and not only in its first line."""
        parts = urlsplit(upstream)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._chance = chance
        self._rate = rate
        self._cut_late = cut_late
        self.faulty = False
        """Whether it disturbs anything now."""
        self.counts: Counter[str] = Counter()
        """Faults by kind."""
        self.requests = 0
        self._in_a_row: Counter[str] = Counter()
        self._storm_ends = self._next_storm = 0.0
        self._connections: set[asyncio.Task[None]] = set()
        self._faults: dict[str, Callable[[_Exchange], Awaitable[None]]] = {
            "cut before": self._cut_before,
            "cut in the request": self._cut_request,
            "cut in the response": self._cut_response,
            "lost answer": self._lost_answer,
            "delay": self._delay,
            "stall before": self._stall_before,
            "stall after": self._stall_after,
            "truncated body": self._truncate,
            "flipped bit": self._flip,
            "duplicate, first answer": self._duplicate_first,
            "duplicate, second answer": self._duplicate_second,
            "500 after success": self._fail_after,
            "503 SlowDown": self._begin_storm,
        }

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 20)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_request(reader, writer):
                method, target, _ = request.words
                self.requests += 1
                exchange = _Exchange(request, method, target, writer, lambda: reader.read(1))
                await self._choose(exchange)(exchange)
                await writer.drain()
        except (_Cut, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hears of it by the end of its connection
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    # -- which fault ---------------------------------------------------------------------------

    def _choose(self, exchange: _Exchange) -> Callable[[_Exchange], Awaitable[None]]:
        about = f"{exchange.method} {exchange.target}"
        if self.faulty and self._in_a_row[about] < _IN_A_ROW:
            kind = ""
            if asyncio.get_running_loop().time() < self._storm_ends:
                kind = "503 SlowDown"
            elif self._chance.random() < self._rate:
                kind = self._chance.choice([k for k in self._faults if self._fits(k, exchange)])
            if kind:
                self._in_a_row[about] += 1
                self.counts[kind] += 1
                return self._faults[kind]
        del self._in_a_row[about]
        return self._plain

    def _fits(self, kind: str, exchange: _Exchange) -> bool:
        if kind == "flipped bit":
            return exchange.method == "GET" and exchange.of_an_object
        if kind.startswith(("duplicate", "500")):
            return exchange.method == "PUT"
        if kind == "truncated body":
            return exchange.method == "GET"
        if kind == "cut in the request":
            return exchange.method == "PUT"
        if kind == "503 SlowDown":
            return asyncio.get_running_loop().time() >= self._next_storm
        return True

    # -- what becomes of a request -------------------------------------------------------------

    async def _ask(self, exchange: _Exchange) -> Message:
        """Have the server answer, over a connection of the request's own."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        try:
            writer.write(exchange.request.raw)
            return await read_response(reader, exchange.method)
        finally:
            writer.close()

    async def _plain(self, exchange: _Exchange) -> None:
        self._answer(exchange, await self._ask(exchange))

    def _answer(self, exchange: _Exchange, response: Message) -> None:
        exchange.writer.write(response.raw)
        if response.closes:
            raise _Cut

    async def _cut_before(self, exchange: _Exchange) -> None:
        raise _Cut

    async def _cut_request(self, exchange: _Exchange) -> None:
        request = exchange.request
        raw = request.raw if self._cut_late else request.head.split(b"\r\n")[0]
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(raw[: self._chance.randrange(1, len(raw))])
        await writer.drain()
        writer.close()
        raise _Cut

    async def _cut_response(self, exchange: _Exchange) -> None:
        raw = (await self._ask(exchange)).raw
        exchange.writer.write(raw[: self._chance.randrange(1, len(raw))])
        await exchange.writer.drain()
        raise _Cut

    async def _lost_answer(self, exchange: _Exchange) -> None:
        await self._ask(exchange)
        raise _Cut

    async def _delay(self, exchange: _Exchange) -> None:
        await asyncio.sleep(self._chance.uniform(0.02, 0.3))
        await self._plain(exchange)

    async def _stall_before(self, exchange: _Exchange) -> None:
        # Until the client gives up, which is when it closes the connection.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(exchange.client_gone(), _STALL_SECONDS)
        raise _Cut

    async def _stall_after(self, exchange: _Exchange) -> None:
        await self._ask(exchange)
        await self._stall_before(exchange)

    async def _truncate(self, exchange: _Exchange) -> None:
        response = await self._ask(exchange)
        short = response.body[: self._chance.randrange(max(1, len(response.body)))]
        exchange.writer.write(response.head + short)
        await exchange.writer.drain()
        raise _Cut

    async def _flip(self, exchange: _Exchange) -> None:
        response = await self._ask(exchange)
        body = bytearray(response.body)
        if body:
            body[self._chance.randrange(len(body))] ^= 1 << self._chance.randrange(8)
        self._answer(exchange, Message(response.head, bytes(body)))

    async def _duplicate_first(self, exchange: _Exchange) -> None:
        first = await self._ask(exchange)
        await self._ask(exchange)
        self._answer(exchange, first)

    async def _duplicate_second(self, exchange: _Exchange) -> None:
        await self._ask(exchange)
        self._answer(exchange, await self._ask(exchange))

    async def _fail_after(self, exchange: _Exchange) -> None:
        await self._ask(exchange)
        failed = plain_response("500 Internal Server Error", _FAILED, exchange.method)
        exchange.writer.write(failed)

    async def _begin_storm(self, exchange: _Exchange) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._storm_ends:
            self._storm_ends = now + self._chance.uniform(*_STORM_SECONDS)
            self._next_storm = self._storm_ends + _STORMS_APART
        slow_down = plain_response("503 Slow Down", _SLOW_DOWN, exchange.method)
        exchange.writer.write(slow_down)
