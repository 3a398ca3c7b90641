"""pycrdt.websocket: a room that cannot keep up drops updates, for its clients and its store."""

import anyio
from pycrdt import Channel, Text
from pycrdt.websocket import YRoom

EDITS = 70_000


class Client(Channel):
    """Counts what it is sent."""

    path = "room"
    received = 0

    async def send(self, message: bytes) -> None:
        """Take a message."""
        self.received += 1

    async def recv(self) -> bytes:
        """Wait: this client types nothing."""
        await anyio.sleep_forever()
        raise AssertionError

    async def __anext__(self) -> bytes:
        return await self.recv()


async def main() -> None:
    """Edit the room's document faster than the room passes it on."""
    async with YRoom() as room, anyio.create_task_group() as group:
        client = Client()
        group.start_soon(room.serve, client)
        await anyio.wait_all_tasks_blocked()
        client.received = 0
        text = room.ydoc.get("text", type=Text)
        for _ in range(EDITS):
            text += "x"
        await anyio.wait_all_tasks_blocked()
        print(f"{client.received} of {EDITS} updates")
        group.cancel_scope.cancel()


anyio.run(main)
