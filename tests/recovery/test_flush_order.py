"""A server that is stopped may be killed at any moment: what is worth most is safe first."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from bookstore_y.jupyter import flushing
from bookstore_y.jupyter.flushing import Flush
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.objects import Written
from bookstore_y.s3.requests import Requests

from ..support import NEVER, Gate, Reader, Typist
from .common import QUIET, Server, files, type_into


class Rooms:
    """A server's rooms, of which only when they are asked for what counts."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def close(self) -> None:
        self.done.append("closed")

    async def save(self, within: float) -> None:
        self.done.append("saved")

    async def finish(self, within: float) -> None:
        """There are no edits of returning tabs to keep."""

    def capture(self) -> None:
        self.done.append("captured")

    def stores(self) -> list[Any]:
        return []


def flush_of(archive: Checkpointer, rooms: Any) -> Flush:
    return Flush(rooms, rooms, archive, None, logging.getLogger("test"))


async def documents(archive: Checkpointer, *sizes: int) -> list[DocumentState]:
    entries = []
    for size in sizes:
        entry = await archive.open(Document(f"of-{size}"), QUIET)
        type_into(archive, entry, Typist().type("x" * size))
        entries.append(entry)
    return entries


async def test_small_documents_go_before_large_ones(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, order = Bucket.put, []

    async def noted(bucket: Bucket, key: str, *args: Any, **kwargs: Any) -> Written:
        order.append(key)
        return await put(bucket, key, *args, **kwargs)

    async with server() as archive:
        entries = await documents(archive, 300_000, 10, 3_000)
        assert await archive.flush(30) == {}
        for entry in entries:
            type_into(archive, entry, Typist().type("more"))
        monkeypatch.setattr(Bucket, "put", noted)
        assert await archive.flush(30) == {}
    assert len(order) == 3
    assert order[-1] == "workspace/of-300000.y.zst"


async def test_as_many_are_under_way_at_once_as_there_may_be_requests(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with server() as archive:
        await documents(archive, *range(1, 41))
        flushing = asyncio.create_task(archive.flush(30))
        await eventually(lambda: gate.puts == 40, "all are on their way")
        gate.opened.set()
        assert await flushing == {}


async def test_a_document_takes_one_request(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, asked = Requests.call, []

    async def noted(requests: Requests, what: str, request: Any) -> Any:
        asked.append(what)
        return await call(requests, what, request)

    async with server() as archive:
        entries = await documents(archive, 10, 20, 30)
        assert await archive.flush(30) == {}
        for entry in entries:
            type_into(archive, entry, Typist().type("more"))
        monkeypatch.setattr(Requests, "call", noted)
        assert await archive.flush(30) == {}
    assert len(asked) == 3, asked


async def test_a_recovery_file_is_there_before_the_bucket_has_answered(
    server: Server, directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "PATIENCE", NEVER)
    gate = Gate(monkeypatch)
    rooms = Rooms()
    archive = server()
    async with archive:
        await documents(archive, 10, 20)
        running = asyncio.create_task(flush_of(archive, rooms).run(30))
        await gate.reached.wait()
        await eventually(lambda: bool(files(directory)), "the file is there")
        assert rooms.done == ["closed"]  # what can be made again waits
        gate.opened.set()
        assert await running == {}
    assert rooms.done == ["closed", "saved", "captured"]
    assert files(directory) == []
    assert await reader.text("of-20") == "x" * 20


async def test_files_are_saved_although_the_bucket_does_not_answer(
    server: Server, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "PATIENCE", 0.05)
    gate = Gate(monkeypatch)
    rooms = Rooms()
    async with server() as archive:
        await documents(archive, 10)
        running = asyncio.create_task(flush_of(archive, rooms).run(30))
        await eventually(lambda: "saved" in rooms.done, "the files are saved")
        assert gate.puts == 1  # which is not broken off
        gate.opened.set()
        assert await running == {}
        assert gate.puts == 1
    assert files(directory) == []


async def test_what_another_extension_writes_as_it_stops_is_archived(
    server: Server, reader: Reader
) -> None:
    rooms = Rooms()
    async with server() as archive:
        entry = (await documents(archive, 10))[0]

        async def stop_the_other() -> None:
            await eventually(lambda: "saved" in rooms.done, "the flush has got far")
            type_into(archive, entry, Typist().type("last words"))

        other = asyncio.create_task(stop_the_other())
        assert await flush_of(archive, rooms).run(30, {other}) == {}
    assert "last words" in await reader.text("of-10")
