"""pycrdt.websocket: a message that a room cannot apply is dropped, and nobody hears of it."""

import logging

import anyio
from pycrdt import Channel
from pycrdt.websocket import YRoom

NO_UPDATE = bytes([0, 2, 3, 1, 1, 255])
"""A synchronization message with an update of three bytes that is none."""


class Client(Channel):
    """Sends one message and leaves."""

    path = "room"

    def __init__(self) -> None:
        self.messages = [NO_UPDATE]

    async def send(self, message: bytes) -> None:
        """Take a message."""

    async def recv(self) -> bytes:
        """The message, then the end."""
        if not self.messages:
            raise StopAsyncIteration
        return self.messages.pop()

    async def __anext__(self) -> bytes:
        return await self.recv()


async def main() -> None:
    """Serve the client. By YRoom's documentation the error propagates."""
    logging.basicConfig(level=logging.WARNING)
    async with YRoom() as room:
        await anyio.wait_all_tasks_blocked()
        await room.serve(Client())
        print("served to the end: nothing raised, nothing logged")


anyio.run(main)
