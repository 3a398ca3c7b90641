"""A client that opens a document and then no longer answers, like a laptop that fell asleep."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from bookstore_y.stress.session import Session
from harness.jupyter.session import Server, request_session


@asynccontextmanager
async def silent_client(
    server: Server, path: str, session: Session | None = None
) -> AsyncIterator[None]:
    """Have a websocket open in the room of the notebook at `path` from which nobody reads; with a
    `session` that the client was given before, or a new one."""
    session = session or await request_session(server, path, "json", "notebook")
    address = urlsplit(session.websocket_url(server.url))
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    request = [
        f"GET {address.path}?{address.query} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: token {server.token}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write("\r\n".join([*request, "", ""]).encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30.0)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(answer.decode())
        # The first message is sent when the room is ready.
        await asyncio.wait_for(reader.readexactly(2), 30.0)
        yield
    finally:
        writer.close()
