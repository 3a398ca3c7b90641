"""pycrdt.websocket: a room and its clients in this process, who leave and come back."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pycrdt import Channel, Doc, Provider, Text
from pycrdt.websocket import WebsocketServer

from ._result import LayerResult, judged
from ._writer import Writer, all_edits, writers_of

_ROOM = "room"
_CONVERGE_WITHIN = 20.0
_STAY = 10
"""Edits after which, on average, a client leaves and comes back; it types while it is away."""


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """`edits` edits by `clients` clients of one room."""
    return anyio.run(_run, clients, edits, seed)


class _Pipe(Channel):
    """One end of a connection in memory."""

    def __init__(
        self, to: MemoryObjectSendStream[bytes], of: MemoryObjectReceiveStream[bytes]
    ) -> None:
        self._to = to
        self._of = of

    @property
    def path(self) -> str:
        return _ROOM

    async def send(self, message: bytes) -> None:
        try:
            await self._to.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # as a websocket whose other end is gone: what is sent is lost

    async def recv(self) -> bytes:
        return await self._of.receive()

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    def close(self) -> None:
        """End the connection; the other end reads what was sent, and then its end."""
        self._to.close()
        self._of.close()


async def _run(clients: int, edits: int, seed: int) -> LayerResult:
    began = time.monotonic()
    docs = [Doc[Any]() for _ in range(clients)]
    writers = writers_of(clients, seed)
    log = logging.getLogger(__name__)
    server = WebsocketServer(auto_clean_rooms=False, log=log)
    async with server, anyio.create_task_group() as serving:
        await server.get_room(_ROOM)
        async with anyio.create_task_group() as group:
            for number, (writer, doc) in enumerate(zip(writers, docs, strict=True)):
                share = edits // clients + (number < edits % clients)
                group.start_soon(_write, server, serving, writer, doc, share)
        async with anyio.create_task_group() as group:
            for doc in docs:
                group.start_soon(_stay, server, serving, doc)
            room = server.rooms[_ROOM].ydoc
            with anyio.move_on_after(_CONVERGE_WITHIN):
                while len({_content(doc) for doc in [*docs, room]}) > 1:  # noqa: ASYNC110 - of any document
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    copies: dict[str, str | Exception] = {"room": _content(room)}
    for writer, doc in zip(writers, docs, strict=True):
        copies[writer.name] = _content(doc)
    done = all_edits(writers)
    return judged("pycrdt-websocket", clients, began, done, copies)


async def _write(
    server: WebsocketServer, serving: TaskGroup, writer: Writer, doc: Doc[Any], edits: int
) -> None:
    left = edits
    text = doc.get("text", type=Text)
    while left:
        async with _connected(server, serving, doc):
            while left and writer.chance.randrange(_STAY):
                await _edit(writer, text)
                left -= 1
        for _ in range(min(left, writer.chance.randint(0, 2))):
            await _edit(writer, text)
            left -= 1


async def _edit(writer: Writer, text: Text) -> None:
    writer.edit(text)
    await anyio.sleep(writer.chance.choice((0.0, 0.0, 0.001)))


async def _stay(server: WebsocketServer, serving: TaskGroup, doc: Doc[Any]) -> None:
    async with _connected(server, serving, doc):
        await anyio.sleep_forever()


@asynccontextmanager
async def _connected(
    server: WebsocketServer, serving: TaskGroup, doc: Doc[Any]
) -> AsyncIterator[None]:
    of_client, of_server = _pipe()
    serving.start_soon(server.serve, of_server)
    try:
        async with Provider(doc, of_client) as provider:
            await provider.synced.wait()
            yield
    finally:
        of_client.close()


def _pipe() -> tuple[_Pipe, _Pipe]:
    to_server, at_server = anyio.create_memory_object_stream[bytes](1000)
    to_client, at_client = anyio.create_memory_object_stream[bytes](1000)
    return _Pipe(to_server, at_client), _Pipe(to_client, at_server)


def _content(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))
