"""What tests of the store, the buffer and the checkpointer share: people who type, and faults."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pycrdt
import pytest
from traitlets.config import Config

from bookstore_y.errors import AccessDenied, BookstoreError, BucketUnavailable
from bookstore_y.keys import Document, snapshot_key
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.objects import Written
from bookstore_y.s3.requests import Requests
from bookstore_y.ydoc.frame import decompress
from harness.servers import S3Server, connect, s3_options

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

NEVER = 3600.0
"""Seconds that no test lasts: what is due then is never due by itself."""


class Typist:
    """Someone who types into a document of their own."""

    def __init__(self, *updates: bytes) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.text = self.doc.get("text", type=pycrdt.Text)
        self.receive(*updates)

    def receive(self, *updates: bytes) -> None:
        for update in updates:
            self.doc.apply_update(update)

    def type(self, words: str) -> bytes:
        """Add `words` at the end. Returns the update."""
        before = self.doc.get_state()
        self.text += words
        return self.doc.get_update(before)

    def delete(self, start: int, end: int) -> bytes:
        """Delete these characters. Returns the update."""
        updates: list[bytes] = []
        subscription = self.doc.observe(lambda event: updates.append(event.update))
        del self.text[start:end]
        self.doc.unobserve(subscription)
        (update,) = updates
        return update

    def __str__(self) -> str:
        return str(self.text)


def text_of(updates: Iterable[bytes]) -> str:
    """What a document says to which these updates were applied."""
    return str(Typist(*updates))


def words_of(doc: pycrdt.Doc[Any]) -> str:
    return str(doc.get("text", type=pycrdt.Text))


def config_for(server: S3Server, bucket: str, **store: Any) -> Config:
    """Configuration by which nothing happens by itself, except as `store` sets S3YStore's traits.

    One try a request: the tests wait for the checkpointer's own tries.
    """
    quiet = {
        "checkpoint_interval": 1_000_000,
        "checkpoint_max_delay": NEVER,
        "checkpoint_idle_delay": NEVER,
        "document_ttl": NEVER,
    }
    return Config(
        {
            "BookstoreSettings": {
                **s3_options(server, bucket),
                "max_attempts": 1,
                "connect_timeout": 30.0,
                "conditional_writes": server.conditional_writes,  # spares each test the probe
            },
            "S3YStore": {**quiet, **store},
        }
    )


class Reader:
    """A second opinion on what the bucket holds: plain boto3, which no fault here touches."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self._s3 = _client(server)
        self._bucket = bucket

    async def text(self, path: str | Document) -> str:
        """What the current version says; nothing if there is none."""
        try:
            answer = await asyncio.to_thread(
                self._s3.get_object, Bucket=self._bucket, Key=_key(path)
            )
        except self._s3.exceptions.NoSuchKey:
            return ""
        return text_of([decompress(answer["Body"].read(), 2**30)])

    async def count(self, path: str | Document) -> int:
        """How many versions and delete markers the bucket holds of the document."""
        answer = await asyncio.to_thread(
            self._s3.list_object_versions, Bucket=self._bucket, Prefix=_key(path)
        )
        return len(answer.get("Versions", [])) + len(answer.get("DeleteMarkers", []))

    async def metadata(self, path: str | Document) -> dict[str, str]:
        """The user metadata of the current version."""
        answer = await asyncio.to_thread(self._s3.head_object, Bucket=self._bucket, Key=_key(path))
        return answer["Metadata"]


@functools.cache
def _client(server: S3Server) -> S3Client:
    return connect(server)


def _key(path: str | Document) -> str:
    return snapshot_key("workspace", Document(path) if isinstance(path, str) else path)


class Outage:
    """Takes the bucket away from the code under test, and gives it back."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.error: BookstoreError | None = None
        self.refused = 0
        self.lose_answer = False
        """Whether the next write lands, and its answer gets lost."""
        call = Requests.call

        async def faulty(requests: Requests, what: str, request: Any) -> Any:
            if self.error is not None:
                self.refused += 1
                raise self.error
            answer = await call(requests, what, request)
            if self.lose_answer and what.startswith("write"):
                self.lose_answer = False
                raise BucketUnavailable("The answer got lost.")
            return answer

        patch.setattr(Requests, "call", faulty)

    def begin(self, error: BookstoreError | None = None) -> None:
        self.error = error or BucketUnavailable("The bucket is down.")

    def end(self) -> None:
        self.error = None


class Refusals:
    """Has the bucket refuse some requests of the code under test, and serve all others."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._refused: tuple[str, ...] = ()
        call = Requests.call

        async def choosy(requests: Requests, what: str, request: Any) -> Any:
            if what.startswith(self._refused):
                self.count += 1
                raise AccessDenied(f"Refused to {what} the bucket.")
            return await call(requests, what, request)

        patch.setattr(Requests, "call", choosy)

    def of(self, *requests: str) -> None:
        """From now on refuse what begins like this in the words of an error, such as `delete`, or
        `read 'workspace/notes`. Without any, refuse nothing."""
        self._refused = requests


class Gate:
    """Holds every PUT of a snapshot: on its way to the bucket, or (`after`) on its way back."""

    def __init__(self, patch: pytest.MonkeyPatch, *, after: bool = False) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.puts = 0
        put = Bucket.put

        async def held(bucket: Bucket, key: str, *args: Any, **kwargs: Any) -> Written:
            if not key.endswith(".y.zst"):
                return await put(bucket, key, *args, **kwargs)
            self.puts += 1
            written = await put(bucket, key, *args, **kwargs) if after else None
            self.reached.set()
            await self.opened.wait()
            return written or await put(bucket, key, *args, **kwargs)

        patch.setattr(Bucket, "put", held)


@asynccontextmanager
async def refusing_server(status: int, code: str) -> AsyncIterator[str]:
    """The URL of a server that answers every request with one S3 error."""
    body = f"<Error><Code>{code}</Code><Message>told to refuse</Message></Error>".encode()
    head = (
        f"HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(head if request.startswith(b"HEAD") else head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
