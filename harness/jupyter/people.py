"""People at one document: several clients, and what the server has accepted from them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bookstore_y.local.waiting import eventually

from .marks import author_of
from .rtc_client import RTCClient
from .session import Server


@asynccontextmanager
async def people(names: Iterable[str], path: str) -> AsyncIterator[list[RTCClient]]:
    """One client of the notebook at `path` for each name; they leave at the end."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(RTCClient(name, path)) for name in names]


async def all_connect(clients: Sequence[RTCClient], server: Server) -> None:
    """Connect all clients at once, each with the document it has."""
    await asyncio.gather(*(client.connect(server) for client in clients))


async def all_leave(clients: Sequence[RTCClient]) -> None:
    """Disconnect all clients at once; each keeps its document."""
    await asyncio.gather(*(client.disconnect() for client in clients))


async def all_agree(clients: Sequence[RTCClient], *, within: float = 30.0) -> None:
    """Wait until all clients hold the same history, and with it the same document.

    A state vector counts what was inserted. A deletion may still be on its way when they are equal.
    """
    first, *others = clients

    def agree() -> bool:
        return all(
            other.state_vector() == first.state_vector() and other.content() == first.content()
            for other in others
        )

    await eventually(agree, within=within, what="all clients to hold the same document")


async def type_without_pause(client: RTCClient, *, every: float = 0.01) -> None:
    """Type one mark `every` so many seconds until the connection closes."""
    while client.connected:
        client.mark()
        await asyncio.sleep(every)


def acknowledged(clients: Sequence[RTCClient]) -> set[str]:
    """The marks that the server has accepted: those that another client than the author holds.

    The server sends an update to the others in the same step in which it hands it to its store,
    so what somebody else has seen is what the server may be held to.
    """
    return {mark for client in clients for mark in client.marks() if author_of(mark) != client.name}


def all_made(clients: Sequence[RTCClient]) -> set[str]:
    """Every mark that any of the clients has typed, accepted or not."""
    return {mark for client in clients for mark in client.made}
