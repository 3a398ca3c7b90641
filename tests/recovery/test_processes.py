"""Processes that start while others stop, are cancelled, or just end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.recovery import Recovery
from bookstore_y.keys import Document

from ..support import Outage, Reader, Typist
from .common import NOTES, QUIET, Server, files, type_into


async def test_a_recovery_file_is_nobody_elses_while_its_writer_may_remove_it(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    """A rolling restart: the old server still flushes while the new one starts."""
    outage.begin()
    async with server() as old:
        type_into(old, await old.open(NOTES, QUIET), Typist().type("of the old one"))
        await old.keep()
        (file,) = files(directory)
        async with server(limit=1) as new:
            assert new.buffer.path != str(file)
            outage.end()
            assert await old.flush(15) == {}
            assert not file.exists()
            type_into(new, await new.open(Document("new"), QUIET), Typist().type("of the new one"))
            outage.begin()
    outage.end()

    async with server() as after:
        assert await after.flush(15) == {}
    assert await reader.text("new") == "of the new one"
    assert await reader.text(NOTES) == "of the old one"


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_start_that_is_cancelled_leaves_everything_for_the_next(
    server: Server,
    tmp_path: Path,
    reader: Reader,
    outage: Outage,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    outage.begin()
    async with server(path) as archive:
        type_into(archive, await archive.open(NOTES, QUIET), Typist().type("kept"))
    outage.end()
    opened = asyncio.Event()
    loop = asyncio.get_running_loop()
    open_recovery = Recovery.open

    def slow(recovery: Recovery) -> Buffer:
        buffer = open_recovery(recovery)
        loop.call_soon_threadsafe(opened.set)
        return buffer

    monkeypatch.setattr(Recovery, "open", slow)
    archive = server(path)
    starting = asyncio.create_task(archive.__aenter__())
    await opened.wait()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)

    async with archive:
        assert archive.buffer.path == str(path)
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "kept"


_ENDS = """
import asyncio, sys
from traitlets.config import Config
from pycrdt import Doc, Text
from pycrdt.websocket import YRoom
from bookstore_y import S3YStore

async def main():
    config = Config({"BookstoreSettings": eval(sys.argv[1]), "S3YStore": {
        "recovery_dir": sys.argv[2], "checkpoint_idle_delay": 3600.0}})
    doc = Doc()
    room = YRoom(ydoc=doc, ystore=S3YStore("notes", config=config))
    running = asyncio.create_task(room.start())
    await room.started.wait()
    await room.ystore.started.wait()
    doc["text"] = Text("typed")
    while room.ystore.entry is None or not room.ystore.entry.pending:
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


async def test_a_program_that_ends_with_a_room_open_loses_nothing(
    server: Server, directory: Path, config: Config, reader: Reader
) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _ENDS, repr(dict(config.BookstoreSettings)), str(directory)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()

    async with server() as archive:
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "typed"


async def test_a_running_server_takes_up_what_another_leaves_behind(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    stopping = await server().__aenter__()
    async with server() as running:
        entry = await running.open(NOTES, QUIET)
        type_into(running, entry, Typist().type("here "))
        await running.checkpoint(entry)
        there = await stopping.open(NOTES, QUIET)
        typist = Typist(*(await stopping.load(there)).updates())
        outage.begin()
        type_into(stopping, there, typist.type("and there"))
        await stopping.keep()
        await running.take_up()  # it is still in use
        assert len(files(directory)) == 1
        await stopping.__aexit__()
        outage.end()

        await running.take_up()
        assert await reader.text(NOTES) == "here and there"
        assert files(directory) == []
