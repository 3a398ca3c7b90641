"""As much of HTTP/1.1 as a proxy needs that takes in whole messages (RFC 9112)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One request or response as it came, byte by byte."""

    head: bytes
    """With the empty line at its end."""
    body: bytes
    """As it was framed, so with the sizes of chunks between."""

    @property
    def words(self) -> list[str]:
        """The words of the first line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    def header(self, name: str) -> str:
        """The value of a header in lower case; empty if there is none."""
        return _headers(self.head).get(name, "")

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this message."""
        return "close" in self.header("connection") or b"HTTP/1.0" in self.head[:20]


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """The next request on a connection; None when the client has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        if headers.get("expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            head = _without(head, b"expect")
        return Message(head, await _body(reader, headers))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def read_response(reader: asyncio.StreamReader, method: str) -> Message:
    """The response to a request of that method. Raises `IncompleteReadError`."""
    head = await reader.readuntil(b"\r\n\r\n")
    while head.split(b" ", 2)[1] == b"100":
        head = await reader.readuntil(b"\r\n\r\n")
    if method == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304"):
        return Message(head, b"")
    headers = _headers(head)
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return Message(head, await reader.read())
    return Message(head, await _body(reader, headers))


def plain_response(status: str, body: bytes, method: str) -> bytes:
    """A response of an S3 server, from scratch."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head if method == "HEAD" else head + body


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", "0")))
    parts = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def _without(head: bytes, name: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(name + b":"))
