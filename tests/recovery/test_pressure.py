"""A buffer in memory stays below its limit, however long the outage."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually

from ..support import Outage, Reader, Typist, text_of
from .common import NOTES, QUIET, Server, files, says, type_into


async def test_past_its_limit_pending_updates_are_squashed(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    limit = 400_000
    typist = Typist()
    async with server(limit=limit) as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("begin "))
        await archive.checkpoint(entry)
        outage.begin()
        for number in range(20_000):
            type_into(archive, entry, typist.type(f"{number} "))
            if number % 500 == 0:
                await eventually(lambda: archive.buffer.size() < 2 * limit, "it stays below")
        assert 0 < archive.status()["pending_updates"] < 20_000
        assert files(directory) == []
        assert text_of((await archive.load(entry)).updates()) == str(typist)
        outage.end()
        assert await archive.flush(15) == {}

    assert await reader.text(NOTES) == str(typist)


async def test_what_is_too_much_even_then_goes_on_in_a_file(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    limit = 400_000
    typists = [Typist() for _ in range(4)]
    outage.begin()
    async with server(limit=limit) as archive:
        entries = [await archive.open(Document(f"doc{n}"), QUIET) for n in range(4)]
        for number in range(40):
            for entry, typist in zip(entries, typists, strict=True):
                type_into(archive, entry, typist.type(f"<{number}>" + "y" * 10_000))
            await asyncio.sleep(0)
        await eventually(lambda: archive.status()["buffer"] == "file", "it goes on in a file")
        (file,) = files(directory)
        assert file.stat().st_size > limit
        for entry, typist in zip(entries, typists, strict=True):
            type_into(archive, entry, typist.type("end"))
            assert text_of((await archive.load(entry)).updates()) == str(typist)
        outage.end()
        assert await archive.flush(15) == {}

    assert files(directory) == []
    for number, typist in enumerate(typists):
        assert await reader.text(f"doc{number}") == str(typist)


async def test_a_recovery_file_over_the_limit_is_gone_on_with_where_it_is(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    typist = Typist()
    outage.begin()
    async with server() as archive:
        type_into(archive, await archive.open(NOTES, QUIET), typist.type("z" * 100_000))
    (file,) = files(directory)

    async with server(limit=50_000) as archive:
        assert archive.buffer.path == str(file)
        outage.end()
        await eventually(says(reader, str(typist)), "it is archived")
        assert await archive.flush(15) == {}
    assert files(directory) == []
