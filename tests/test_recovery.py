"""What could not be archived outlives its process, and goes to the bucket from the next one."""
# ruff: noqa: ASYNC240 - the files are small, and looking at them is the point

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from bookstore_y import BookstoreSettings, checkpointer, health, recovery
from bookstore_y.buffer import Buffer, Facts
from bookstore_y.buffer_file import FORMAT
from bookstore_y.checkpointer import Checkpointer
from bookstore_y.entry import Entry, Policy
from bookstore_y.errors import BucketUnavailable, DocumentNotFound, UpdateBufferError
from bookstore_y.keys import Document
from bookstore_y.recovery import BufferOptions, Recovery
from bookstore_y.snapshot import lineage_of

from .servers import S3Server
from .support import NEVER, Outage, Reader, Typist, config_for, text_of, until

NOTES = Document("notes")
QUIET = Policy(interval=1_000_000, max_delay=NEVER, idle_delay=NEVER, ttl=NEVER)
SOON = Policy(interval=1_000_000, max_delay=0.05, idle_delay=0.05, ttl=NEVER)

Server = Callable[..., Checkpointer]


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    return config_for(moto_server, moto_bucket)


@pytest.fixture
def settings(config: Config) -> BookstoreSettings:
    return BookstoreSettings(config=config)


@pytest.fixture
def reader(moto_server: S3Server, moto_bucket: str) -> Reader:
    return Reader(moto_server, moto_bucket)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(monkeypatch)


@pytest.fixture(autouse=True)
def _tries_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RETRY_CAP", 0.2)
    monkeypatch.setattr(recovery, "HANDOVER", 0.1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


@pytest.fixture
def server(settings: BookstoreSettings, directory: Path) -> Server:
    """A server's checkpointer; they all share one directory of recovery files."""

    def make(path: str | Path = ":memory:", **options: Any) -> Checkpointer:
        return Checkpointer(settings, BufferOptions(str(path), str(directory), **options))

    return make


def type_into(archive: Checkpointer, entry: Entry, *updates: bytes) -> None:
    for update in updates:
        archive.append(entry, update, b"", 1.0)


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.db")) if directory.exists() else []


def says(reader: Reader, text: str, path: Document = NOTES) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await reader.text(path) == text

    return check


async def all_texts(server: Server, document: Document) -> list[str]:
    """What each version in the bucket says, newest first."""
    async with server() as archive:
        bucket = archive.archive
        return [
            text_of([await bucket.load(document, version.version_id)])
            for version in await bucket.versions(document)
        ]


# -- a buffer in memory ----------------------------------------------------------------------------


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
        await until(says(reader, "not lost"), "nobody needs to open it")
        await until(lambda: not files(directory), "the file goes when all of it is in the bucket")


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
        await until(says(reader, "early"), "it is archived")
        await until(lambda: not files(directory), "and its file goes")


async def test_two_histories_in_two_files_are_both_archived_the_newer_last(
    server: Server, directory: Path, settings: BookstoreSettings, reader: Reader
) -> None:
    base = Recovery(settings, BufferOptions(recovery_dir=str(directory)))
    for number, words in enumerate(("older", "newer")):
        update = Typist().type(words)
        with closing(Buffer(base.new_file())) as buffer:
            document = buffer.new_id()
            await buffer.add(document, NOTES, Facts(lineage=lineage_of(update)))
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
        await buffer.add(buffer.new_id(), NOTES, Facts())
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


# -- a buffer in a file ----------------------------------------------------------------------------


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
        assert "in use by another process" in caplog.text
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
        await until(says(reader, "first second"), "it is merged")
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


_CRASH = """
import asyncio, os, sys
from bookstore_y.buffer import Buffer, Facts
from bookstore_y.keys import Document

async def main():
    buffer = Buffer(sys.argv[1])
    ids = [buffer.new_id() for name in sys.argv[2:]]
    for number, name in zip(ids, sys.argv[2:]):
        await buffer.add(number, Document(name), Facts())
    update = bytes.fromhex(sys.stdin.read())
    for number in ids:
        await buffer.append(number, update, b"", 1.0)[1]
    await buffer.add_move("deleted", None, ids[:1])
    await buffer.add_move("old", "new")
    os._exit(9)

asyncio.run(main())
"""


async def test_a_crash_forgets_neither_edits_nor_renames_nor_deletions(
    server: Server, tmp_path: Path, reader: Reader
) -> None:
    path = str(tmp_path / "buffer.db")
    update = Typist().type("kept")
    crash = [sys.executable, "-c", _CRASH, path, "deleted", "new"]
    done = await asyncio.to_thread(
        subprocess.run, crash, input=update.hex().encode(), check=False, timeout=60
    )
    assert done.returncode == 9

    async with server(path) as archive:
        assert await archive.flush(15) == {}
        versions = await archive.archive.versions(Document("deleted"))

    assert await reader.text("new") == "kept"
    assert await reader.text("deleted") == ""
    assert len(versions) == 1  # its last state, under the delete marker


async def test_a_file_made_after_a_deletion_is_another_document(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = tmp_path / "buffer.db"
    outage.begin()
    async with server(path) as archive:
        old = await archive.open(NOTES, QUIET)
        type_into(archive, old, Typist().type("the former"))
        old.users -= 1
        await archive.moves.delete("notes")
        new = await archive.open(NOTES, QUIET)
        assert new is not old
        type_into(archive, new, Typist().type("the new one"))
    outage.end()

    async with server(path) as archive:
        assert await archive.flush(15) == {}

    assert await reader.text(NOTES) == "the new one"
    assert await reader.count(NOTES) == 3  # with the former's last state, and its delete marker


@pytest.mark.parametrize("open_until", ["the deletion", "the end"])
async def test_a_deleted_document_does_not_come_back_from_the_buffer(
    server: Server, tmp_path: Path, reader: Reader, open_until: str
) -> None:
    path = tmp_path / "buffer.db"
    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("former"))
        await archive.checkpoint(entry)
        await archive.moves.delete("notes")
        assert await archive.flush(15) == {}
        assert await reader.text(NOTES) == ""
        if open_until == "the deletion":
            archive.close(entry)
            await until(lambda: archive.status()["documents"] == 0, "it leaves the buffer")

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        with pytest.raises(DocumentNotFound):
            await archive.load(entry)
        type_into(archive, entry, Typist().type("another"))
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "another"


async def test_an_edit_after_the_deletion_brings_a_document_back(
    server: Server, tmp_path: Path, reader: Reader
) -> None:
    path = tmp_path / "buffer.db"
    typist = Typist()
    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("still "))
        await archive.moves.delete("notes")
        assert await archive.flush(15) == {}
        type_into(archive, entry, typist.type("open"))
        assert await archive.flush(15) == {}
        assert await reader.text(NOTES) == "still open"

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "still open"


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_edits_in_the_room_of_a_deleted_file_stay_below_the_new_file_of_its_name(
    server: Server, tmp_path: Path, reader: Reader, kind: str
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    former, latter = Typist(), Typist()
    async with server(path) as archive:
        old = await archive.open(NOTES, QUIET)
        type_into(archive, old, former.type("old"))
        await archive.checkpoint(old)
        await archive.moves.delete("notes")
        await archive.moves.follow()
        new = await archive.open(NOTES, QUIET)
        type_into(archive, new, latter.type("new"))
        await archive.checkpoint(new)

        type_into(archive, old, former.type(" and late"))
        assert await archive.checkpoint(old) is None
        archive.close(old)
        assert await archive.flush(15) == {}
        assert await reader.text(NOTES) == "new"
        type_into(archive, new, latter.type(" goes on"))
        assert await archive.flush(15) == {}

    assert await reader.text(NOTES) == "new goes on"
    assert "old and late" in await all_texts(server, NOTES)


async def test_a_deleted_document_takes_no_name_from_another_after_a_crash(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = tmp_path / "buffer.db"
    former = Typist()
    async with server(path) as archive:
        old = await archive.open(NOTES, QUIET)
        type_into(archive, old, former.type("old"))
        await archive.checkpoint(old)
        await archive.moves.delete("notes")
        await archive.moves.follow()
        new = await archive.open(NOTES, QUIET)
        type_into(archive, new, Typist().type("new"))
        await archive.checkpoint(new)
        type_into(archive, old, former.type(" and late"))
        outage.begin()
    outage.end()

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "new"
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "new"
    assert "old and late" in await all_texts(server, NOTES)


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_what_takes_a_deleted_name_in_an_outage_is_not_deleted_after_a_restart(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage, kind: str
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    x, y = Document("x", "file"), Document("y", "file")
    typist = Typist()
    async with server(path) as archive:
        for document, update in ((x, Typist().type("old")), (y, typist.type("precious"))):
            entry = await archive.open(document, QUIET)
            type_into(archive, entry, update)
            await archive.checkpoint(entry)
        outage.begin()
        type_into(archive, entry, typist.type(" edit"))
        await archive.moves.delete("x")
        await archive.moves.rename("y", "x")
    outage.end()

    async with server(path) as archive:
        entry = await archive.open(x, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "precious edit"
        assert await archive.flush(15) == {}
    assert await reader.text(x) == "precious edit"
    assert await reader.text(y) == ""


# -- a disk that fills up --------------------------------------------------------------------------


async def fill_up(archive: Checkpointer) -> None:
    """Let the buffer's file grow no more."""
    await archive.buffer._run(
        lambda db: db.execute(
            f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}"
        ),
        False,
    )


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
        await until(lambda: "disk refuses" in states, "it is told")
        assert "disk is full" in caplog.text
        assert not waiting.done()

        outage.end()
        await asyncio.wait_for(waiting, 15)
        assert await reader.text(NOTES) == str(typist)
    assert [each.name for each in tmp_path.glob("buffer*")] == []


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
    await until(lambda: archive.buffer.refused is not None, "the disk refuses")
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


# -- memory ----------------------------------------------------------------------------------------


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
                await until(lambda: archive.buffer.size() < 2 * limit, "it stays below")
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
        await until(lambda: archive.status()["buffer"] == "file", "it goes on in a file")
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
        await until(says(reader, str(typist)), "it is archived")
        assert await archive.flush(15) == {}
    assert files(directory) == []


# -- the bucket and a disk that was kept -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_document_that_another_server_went_on_with_opens_as_it_is_now(
    server: Server, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    typist = Typist()
    async with server(path) as here:
        entry = await here.open(NOTES, QUIET)
        type_into(here, entry, typist.type("here"))
        await here.checkpoint(entry)
        entry.users -= 1
        if kind == "file":
            await here.__aexit__()
            here = server(path)
            await here.__aenter__()
        async with server() as there:
            elsewhere = await there.open(NOTES, QUIET)
            await there.load(elsewhere)
            type_into(there, elsewhere, typist.type(", and there"))
            await there.checkpoint(elsewhere)

        entry = await here.open(NOTES, QUIET)
        assert text_of((await here.load(entry)).updates()) == "here, and there"
        if kind == "file":
            await here.__aexit__()


async def test_the_state_is_told_once_each_time_it_changes(
    server: Server, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    states: list[tuple[str, bool]] = []
    async with server() as archive:
        archive.on_state = lambda state: states.append(
            (state["status"], state["retrying_since"] is not None)
        )
        entries = [await archive.open(Document(f"doc{n}"), SOON) for n in range(3)]
        outage.begin()
        for entry in entries:
            type_into(archive, entry, Typist().type("pending"))
        await until(lambda: bool(states), "the outage is told")
        tries = outage.refused
        await until(lambda: outage.refused > tries + 3, "it is tried again")
        outage.end()
        await until(lambda: len(states) > 1, "the end of it is told")
        await archive.flush(15)

    assert states == [("retrying", True), ("ok", False)]
    assert caplog.text.count("Nothing is archived now") == 1
    assert caplog.text.count("works again") == 1


# -- files that were saved -------------------------------------------------------------------------


_KILLED = """
import asyncio, os, signal, sys
from traitlets.config import Config
from bookstore_y import BookstoreSettings
from bookstore_y.checkpointer import Checkpointer
from bookstore_y.entry import Policy
from bookstore_y.keys import Document
from bookstore_y.recovery import BufferOptions

async def main():
    settings = BookstoreSettings(**eval(sys.argv[1]))
    archive = Checkpointer(settings, BufferOptions(recovery_dir=sys.argv[2]))
    await archive.__aenter__()
    entry = await archive.open(Document("notes"), Policy(10**6, 3600.0, 3600.0, 3600.0))
    updates = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    for number, update in enumerate(updates):
        archive.append(entry, update, b"", 1.0)
        if number == 1:
            await archive.checkpoint(entry)
        if number in (2, 3):
            entry.facts.saving = f"hash-{number}"
            archive.about_to_save(entry)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_file_was_saved_from_survives_a_kill(
    server: Server, directory: Path, config: Config, reader: Reader
) -> None:
    typist = Typist()
    updates = [typist.type(word) for word in ("a ", "b ", "c ", "saved ")]
    after = typist.type("in memory alone")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _KILLED, repr(dict(config.BookstoreSettings)), str(directory)],
        input=" ".join(update.hex() for update in [*updates, after]).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr.decode()

    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "a b c saved "
        assert entry.facts.saving == "hash-3"
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "a b c saved "
    assert files(directory) == []


async def test_the_journal_keeps_no_more_than_is_pending(server: Server, directory: Path) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("a"))
        await archive.checkpoint(entry)
        archive.about_to_save(entry)
        assert files(directory) == []  # the bucket has all that the file is saved from

        type_into(archive, entry, typist.type("b"), typist.type("c"))
        archive.about_to_save(entry)
        (file,) = files(directory)
        await archive.checkpoint(entry)
        archive.about_to_save(entry)
    assert not file.exists()


# -- processes that come and go --------------------------------------------------------------------


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


# -- what the buffer holds of a document -----------------------------------------------------------


async def test_a_document_that_began_here_opens_while_the_bucket_is_away(
    server: Server, outage: Outage
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        with pytest.raises(DocumentNotFound):
            await archive.load(entry)
        type_into(archive, entry, Typist().type("all of it"))
        await archive.checkpoint(entry)
        archive.close(entry)

        outage.begin()
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "all of it"

        await archive._evict(entry)
        with pytest.raises(BucketUnavailable):
            await archive.load(entry)
        outage.end()


async def test_a_document_opens_although_what_it_builds_on_has_expired(
    server: Server, tmp_path: Path, reader: Reader
) -> None:
    path = tmp_path / "buffer.db"
    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("mine"))
        await archive.checkpoint(entry)
        bucket, key = archive.archive.bucket, archive.archive.key(NOTES)
        await bucket.delete(key, entry.facts.version_id)
        async with server() as elsewhere:
            type_into(elsewhere, await elsewhere.open(NOTES, QUIET), Typist().type("other"))
            await elsewhere.flush(15)

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "mine"


async def test_a_document_that_left_the_buffer_while_open_leaves_nothing_when_it_closes(
    server: Server,
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("archived"))
        await archive.checkpoint(entry)
        await archive._evict(entry)
        archive.close(entry)
        await until(lambda: archive.status()["documents"] == 0, "it is forgotten")
        assert archive.buffer.known() == []


# -- what is known of a file -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "known"),
    [
        pytest.param("", ("here", ["a", "b"]), ("here", ["a", "b"]), id="nothing known"),
        pytest.param("ab", ("here", ["a"]), ("here", ["a", "b"]), id="older"),
        pytest.param("ab", ("here", ["b", "c"]), ("here", ["a", "b", "c"]), id="newer"),
        pytest.param("ab", ("there", ["x", "b"]), ("here", ["x", "a", "b"]), id="another disk"),
    ],
)
def test_what_others_know_of_a_file_is_learned(
    ours: str, theirs: tuple[str, list[str]], known: tuple[str, list[str]]
) -> None:
    """Last stays what the file was last on this disk."""
    facts = Facts(file_id="here" if ours else "", file_hashes=list(ours))
    facts.learn_of_file(*theirs)
    assert (facts.file_id, facts.file_hashes) == known


async def test_a_save_that_another_file_knows_of_is_not_forgotten(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "buffer.db"
    update = Typist().type("saved")
    for name, hashes in ((str(path), ["h1"]), (f"{path}-2", ["h1", "h2"])):
        with closing(Buffer(name)) as buffer:
            facts = Facts(lineage=lineage_of(update), file_id="disk", file_hashes=hashes)
            document = buffer.new_id()
            await buffer.add(document, NOTES, facts)
            _, durable = buffer.append(document, update, b"", 1.0)
            assert durable is not None
            await durable

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert entry.facts.file_hashes == ["h1", "h2"]


# -- whose files they are --------------------------------------------------------------------------


async def test_buffer_files_are_for_their_user_alone(
    server: Server, directory: Path, tmp_path: Path, outage: Outage
) -> None:
    outage.begin()
    path = tmp_path / "kept" / "buffer.db"
    for each in (path, ":memory:"):
        async with server(each) as archive:
            type_into(archive, await archive.open(NOTES, QUIET), Typist().type("private"))
    (file,) = files(directory)
    assert [oct(each.stat().st_mode & 0o777) for each in (file, path)] == ["0o600"] * 2
    assert [oct(each.parent.stat().st_mode & 0o777) for each in (file, path)] == ["0o700"] * 2


async def test_a_path_that_looks_like_a_uri_is_a_path(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    monkeypatch.chdir(tmp_path)
    outage.begin()
    for name in ("file::memory:", "with space, 100% and é.db"):
        async with server(name) as archive:
            type_into(archive, await archive.open(NOTES, QUIET), Typist().type("durable"))
        assert (tmp_path / name).exists()


async def test_files_that_go_meanwhile_are_no_trouble(
    server: Server, directory: Path, settings: BookstoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Path(Recovery(settings, BufferOptions(recovery_dir=str(directory))).new_file())
    monkeypatch.setattr(Recovery, "_found", lambda self: [gone])

    async with server() as archive:
        assert archive.status()["documents"] == 0
    assert files(directory) == []
