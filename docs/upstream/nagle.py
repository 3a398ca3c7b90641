"""jupyter-server-ydoc: small messages wait for the acknowledgement of those before.

Its websocket handler does not call Tornado's `set_nodelay(True)`, so the kernel holds a small
message back while one before it is not acknowledged, which the other end puts off for up to 40 ms.
"""

import asyncio
import socket
import time

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

ROUNDS = 20


class Room(WebSocketHandler):
    """Answers each message by three, as a room does when others are typing."""

    def initialize(self, nodelay: bool) -> None:
        """Take what the route says."""
        self.nodelay = nodelay

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin."""
        if self.nodelay:
            self.set_nodelay(True)

    async def on_message(self, message: str | bytes) -> None:
        """Answer."""
        for _ in range(3):
            await self.write_message(b"update", binary=True)
            await asyncio.sleep(0.001)


async def slowest(url: str) -> float:
    """Milliseconds from a message to the last of its answers, at most."""
    connection = await websocket_connect(url)
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        await connection.write_message(b"edit", binary=True)
        for _ in range(3):
            await connection.read_message()
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    connection.close()
    return 1000 * max(took)


async def main() -> None:
    """Measure both."""
    routes = [("/plain", Room, {"nodelay": False}), ("/nodelay", Room, {"nodelay": True})]
    (listening,) = bind_sockets(0, "127.0.0.1", socket.AF_INET)
    HTTPServer(Application(routes)).add_socket(listening)
    port = listening.getsockname()[1]
    for name in ("plain", "nodelay"):
        print(f"{name}: {await slowest(f'ws://127.0.0.1:{port}/{name}'):.0f} ms")


asyncio.run(main())
