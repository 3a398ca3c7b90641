"""A buffer in a file: found again, shared by nobody, set aside when it cannot be used."""
# ruff: noqa: ASYNC240 - the files are small, and looking at them is the point

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y.buffer import recovery
from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.sqlite_file import FORMAT
from bookstore_y.errors import UpdateBufferError
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually

from ..support import Outage, Reader, Typist
from .common import NOTES, QUIET, Server, says, type_into


async def test_a_server_waits_for_its_predecessor_to_let_go_of_the_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "HANDOVER", 30.0)
    path = tmp_path / "buffer.db"
    ending = Buffer(str(path))
    starting = asyncio.create_task(server(path).__aenter__())
    await asyncio.wait([starting], timeout=0.2)
    assert not starting.done()

    ending.close()
    archive = await asyncio.wait_for(starting, 15)
    assert archive.buffer.path == str(path)
    await archive.__aexit__()


async def test_a_second_server_on_one_file_takes_a_file_of_its_own(
    server: Server, tmp_path: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "buffer.db"
    async with server(path) as first, server(path) as second:
        assert second.buffer.path == f"{path}-2"
        assert "Another process uses the update buffer" in caplog.text
        for archive, name in ((first, "one"), (second, "two")):
            entry = await archive.open(Document(name), QUIET)
            type_into(archive, entry, Typist().type(name))
            await archive.flush(15)

    assert await reader.text("one") == "one"
    assert await reader.text("two") == "two"
    assert sorted(each.name for each in tmp_path.glob("buffer*")) == ["buffer.db"]


async def test_what_a_second_server_left_is_taken_up_by_the_next(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = tmp_path / "buffer.db"
    typist = Typist()
    async with server(path) as first:
        entry = await first.open(NOTES, QUIET)
        type_into(first, entry, typist.type("first "))
        await first.checkpoint(entry)
        async with server(path) as second:
            entry = await second.open(NOTES, QUIET)
            await second.load(entry)
            outage.begin()
            type_into(second, entry, typist.type("second"))
        outage.end()
    assert Path(f"{path}-2").exists()

    async with server(path):
        await eventually(says(reader, "first second"), "it is merged")
    assert not Path(f"{path}-2").exists()


@pytest.mark.parametrize("how", ["newer-format", "damaged"])
async def test_a_buffer_file_that_cannot_be_used_is_set_aside_whole(
    server: Server, tmp_path: Path, reader: Reader, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "buffer.db"
    Buffer(str(path)).close()
    if how == "damaged":
        content = bytearray(path.read_bytes())
        content[100:4000] = bytes(3900)  # SQLite's own table of what there is
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()

    for number in ("", "-2"):
        if number:
            path.write_bytes(before)
        caplog.clear()
        async with server(path) as archive:
            type_into(archive, await archive.open(NOTES, QUIET), Typist().type("goes on"))
            assert await archive.flush(15) == {}
        aside = tmp_path / f"buffer.db.{how}{number}"
        assert aside.read_bytes() == before
        assert str(aside) in caplog.text


async def test_the_database_of_another_program_is_refused(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (something TEXT)")

    with pytest.raises(UpdateBufferError, match="another program"):
        await server(path).__aenter__()

    assert [each.name for each in tmp_path.iterdir()] == ["theirs.db"]
