"""A buffer in memory: what a stopping server cannot archive goes to a recovery file."""
# ruff: noqa: ASYNC240 - the files are small, and looking at them is the point

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.records import DocumentRecord
from bookstore_y.buffer.recovery import BufferOptions, Recovery
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.ydoc.summary import lineage_of
from harness.servers import S3Server

from ..support import Outage, Reader, Typist, text_of
from .common import NOTES, QUIET, SOON, Server, files, says, type_into


async def test_what_a_stopping_server_cannot_archive_is_archived_by_the_next(
    server: Server, directory: Path, reader: Reader, outage: Outage
) -> None:
    typist = Typist()
    outage.begin()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("not "), typist.type("lost"))
        assert await archive.flush(0.1)
    assert len(files(directory)) == 1
    outage.end()

    async with server():
        await eventually(says(reader, "not lost"), "nobody needs to open it")
        await eventually(
            lambda: not files(directory), "the file goes when all of it is in the bucket"
        )


async def test_nothing_is_written_where_all_is_archived(
    server: Server, directory: Path, reader: Reader
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("archived"))
        assert await archive.flush(15) == {}

    assert files(directory) == []


async def test_a_document_opens_with_what_a_recovery_file_has_while_the_bucket_is_down(
    server: Server, outage: Outage
) -> None:
    typist = Typist()
    outage.begin()
    for words in ("a", "b", "c"):  # from outage to outage
        async with server() as archive:
            entry = await archive.open(NOTES, QUIET)
            type_into(archive, entry, typist.type(words))
            assert text_of((await archive.load(entry)).updates()) == str(typist)


async def test_outage_after_outage_nothing_piles_up(
    server: Server, directory: Path, outage: Outage
) -> None:
    outage.begin()
    typist = Typist()
    for _ in range(4):
        async with server() as archive:
            entry = await archive.open(NOTES, QUIET)
            type_into(archive, entry, typist.type("x"))

    (file,) = files(directory)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM updates").fetchone() == (4,)


async def test_what_was_archived_of_it_meanwhile_is_merged(
    server: Server, reader: Reader, outage: Outage
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("first"))
        await archive.checkpoint(entry)
        other = Typist(*(await archive.load(entry)).updates())
        outage.begin()
        type_into(archive, entry, typist.type(" kept"))
    outage.end()

    async with server(limit=1) as elsewhere:  # takes nothing up: it asks the bucket
        entry = await elsewhere.open(NOTES, SOON)
        type_into(elsewhere, entry, other.type(" elsewhere"))
        await elsewhere.flush(15)

    text = await reader.text(NOTES)
    assert sorted(text.split()) == ["elsewhere", "first", "kept"]


async def test_what_another_bucket_is_to_have_stays_where_it_is(
    server: Server,
    directory: Path,
    settings: BookstoreSettings,
    outage: Outage,
    moto_server: S3Server,
) -> None:
    outage.begin()
    async with server() as archive:
        type_into(archive, await archive.open(NOTES, QUIET), Typist().type("for the first"))
    outage.end()
    before = files(directory)

    settings.s3_bucket = "another-bucket"
    async with server() as archive:
        assert archive.status()["documents"] == 0

    assert files(directory) == before


async def test_what_was_typed_before_a_bucket_was_set_goes_to_the_one_that_is(
    server: Server, settings: BookstoreSettings, reader: Reader, directory: Path
) -> None:
    name, settings.s3_bucket = settings.s3_bucket, ""
    async with server() as archive:
        type_into(archive, await archive.open(NOTES, QUIET), Typist().type("early"))

    settings.s3_bucket = name
    async with server():
        await eventually(says(reader, "early"), "it is archived")
        await eventually(lambda: not files(directory), "and its file goes")


async def test_two_histories_in_two_files_are_both_archived_the_newer_last(
    server: Server, directory: Path, settings: BookstoreSettings, reader: Reader
) -> None:
    base = Recovery(settings, BufferOptions(recovery_dir=str(directory)))
    for number, words in enumerate(("older", "newer")):
        update = Typist().type(words)
        with closing(Buffer(base.new_file())) as buffer:
            document = buffer.new_id()
            await buffer.add(document, NOTES, DocumentRecord(lineage=lineage_of(update)))
            _, durable = buffer.append(document, update, b"", 1.0 + number)
            assert durable is not None
            await durable

    async with server() as archive:
        assert await archive.flush(15) == {}

    assert await reader.text(NOTES) == "newer"
    assert await reader.count(NOTES) == 2


async def test_a_file_that_is_in_use_is_left_to_its_process(
    server: Server, directory: Path, settings: BookstoreSettings, outage: Outage
) -> None:
    path = Recovery(settings, BufferOptions(recovery_dir=str(directory))).new_file()
    with closing(Buffer(path)) as buffer:
        await buffer.add(buffer.new_id(), NOTES, DocumentRecord())
        async with server() as archive:
            assert archive.status()["documents"] == 0


async def test_a_damaged_recovery_file_is_set_aside(
    server: Server,
    directory: Path,
    settings: BookstoreSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = Path(Recovery(settings, BufferOptions(recovery_dir=str(directory))).new_file())
    path.parent.mkdir(parents=True)
    path.write_bytes(b"what was a database" * 500)

    async with server():
        pass

    aside = path.with_name(f"{path.name}.damaged")
    assert aside.read_bytes() == b"what was a database" * 500
    assert str(aside) in caplog.text


async def test_a_directory_that_cannot_be_written_is_told(
    settings: BookstoreSettings,
    tmp_path: Path,
    outage: Outage,
    reader: Reader,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    archive = Checkpointer(settings, BufferOptions(recovery_dir=str(tmp_path / "file")))
    outage.begin()
    async with archive:
        type_into(archive, await archive.open(NOTES, QUIET), Typist().type("in memory"))
    assert "no recovery file can be written" in caplog.text
    outage.end()

    async with archive:  # the same process still has it
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "in memory"


async def test_a_recovery_file_that_makes_no_sense_is_left_and_the_server_starts(
    server: Server, directory: Path, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.begin()
    async with server() as archive:
        type_into(archive, await archive.open(NOTES, QUIET), Typist().type("kept"))
    outage.end()
    (file,) = files(directory)
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE documents SET path = '/no/../key'")
        db.commit()

    async with server() as archive:
        assert archive.status()["documents"] == 0
    assert files(directory) == [file]
    assert f"left in {file} is not archived" in caplog.text


async def test_nothing_is_removed_that_the_buffer_itself_calls_pending(
    server: Server, directory: Path, reader: Reader
) -> None:
    """However it was counted."""
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("miscounted"))
        entry.counted(-1, -1000)
        assert archive.status()["pending_updates"] == 0
    assert len(files(directory)) == 1

    async with server() as archive:
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "miscounted"
