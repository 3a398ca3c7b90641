"""A disk that takes no more: an update is durable once the bucket has it."""
# ruff: noqa: ASYNC240 - the files are small, and looking at them is the point

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from bookstore_y.local.waiting import eventually
from bookstore_y.replication import checkpointer
from bookstore_y.replication.checkpointer import Checkpointer

from ..support import Outage, Reader, Typist
from .common import NOTES, QUIET, Server, type_into


async def fill_up(archive: Checkpointer, but_for: int = 0) -> None:
    """Let the buffer's file grow by so many pages, and no more."""

    def limit(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0] + but_for
        db.execute(f"PRAGMA max_page_count = {pages}")

    await archive.buffer._run(limit, False)


async def test_when_the_disk_is_full_an_update_is_durable_once_the_bucket_has_it(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "buffer.db"
    typist = Typist()
    states: list[str] = []
    async with server(path) as archive:
        archive.on_state = lambda state: states.append(state["buffer"])
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("on disk, "))
        await archive.checkpoint(entry)
        await fill_up(archive)
        outage.begin()
        _, durable = archive.append(entry, typist.type("x" * 20_000), b"", 1.0)
        assert durable is not None
        waiting = asyncio.ensure_future(durable)
        await eventually(lambda: "disk refuses" in states, "it is told")
        assert "disk is full" in caplog.text
        assert not waiting.done()

        outage.end()
        await asyncio.wait_for(waiting, 15)
        assert await reader.text(NOTES) == str(typist)
    assert [each.name for each in tmp_path.glob("buffer*")] == []


async def test_of_a_batch_that_fills_the_disk_every_update_is_kept_once(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    typist = Typist()
    async with server(tmp_path / "buffer.db") as archive:
        entry = await archive.open(NOTES, QUIET)
        outage.begin()
        await fill_up(archive, but_for=50)
        gate = threading.Event()
        blocked = asyncio.ensure_future(archive.buffer._run(lambda _: gate.wait(15), False))
        await asyncio.sleep(0)  # its thread writes nothing until then, and all of it at once then
        updates = [typist.type(f"{n}" * 300) for n in range(400)]
        durable = [archive.append(entry, update, b"", 1.0)[1] for update in updates]
        waiting = [asyncio.ensure_future(future) for future in durable if future is not None]
        gate.set()
        await blocked
        await eventually(lambda: archive.buffer.refused is not None, "the disk refuses")
        assert (await archive.buffer.read(entry.id)).updates() == updates
        assert len(waiting) == len(updates)
        assert not any(future.done() for future in waiting)

        outage.end()
        await asyncio.wait_for(asyncio.gather(*waiting), 15)
    assert await reader.text(NOTES) == str(typist)


async def test_a_crash_with_a_full_disk_loses_nothing_that_was_durable(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = tmp_path / "buffer.db"
    typist = Typist()
    outage.begin()
    archive = server(path)
    await archive.__aenter__()
    entry = await archive.open(NOTES, QUIET)
    _, durable = archive.append(entry, typist.type("durable"), b"", 1.0)
    assert durable is not None
    await durable
    await fill_up(archive)
    type_into(archive, entry, typist.type("x" * 20_000))
    await eventually(lambda: archive.buffer.refused is not None, "the disk refuses")
    assert Path(f"{path}-2").exists()
    # The process is gone, and what was in its memory with it.
    for task in list(archive._tasks):
        task.cancel()
    archive.buffer.close()
    checkpointer._open.discard(archive)
    outage.end()

    async with server(path) as after:
        assert await after.flush(15) == {}
    assert await reader.text(NOTES) == "durable"
