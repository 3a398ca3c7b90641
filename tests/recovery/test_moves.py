"""Renames and deletions survive a crash, and concern the documents that they were of."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.buffer.salvage import Salvaged
from bookstore_y.errors import DocumentNotFound
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer

from ..support import Outage, Reader, Typist, text_of
from .common import NOTES, QUIET, Server, all_texts, files, type_into

_CRASH = """
import asyncio, os, sys
from bookstore_y.buffer.database import Buffer, DocumentRecord
from bookstore_y.keys import Document

async def main():
    buffer = Buffer(sys.argv[1])
    ids = [buffer.new_id() for name in sys.argv[2:]]
    for number, name in zip(ids, sys.argv[2:]):
        await buffer.add(number, Document(name), DocumentRecord())
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


async def test_a_deletion_that_is_taken_up_late_is_of_the_last_state_of_its_document(
    server: Server, tmp_path: Path, reader: Reader
) -> None:
    path = str(tmp_path / "buffer.db")
    update = Typist().type("kept")
    crash = [sys.executable, "-c", _CRASH, path, "deleted", "new"]
    await asyncio.to_thread(
        subprocess.run, crash, input=update.hex().encode(), check=False, timeout=60
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE moves SET at = at - 3600")

    async with server(path) as archive:
        assert await archive.flush(15) == {}
        versions = await archive.archive.versions(Document("deleted"))

    assert await reader.text("deleted") == ""
    assert len(versions) == 1


async def test_a_file_made_after_a_deletion_is_another_document(
    server: Server, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = tmp_path / "buffer.db"
    outage.begin()
    async with server(path) as archive:
        old = await archive.open(NOTES, QUIET)
        type_into(archive, old, Typist().type("the former"))
        old.closed()
        await archive.path_changes.delete("notes")
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
        await archive.path_changes.delete("notes")
        assert await archive.flush(15) == {}
        assert await reader.text(NOTES) == ""
        if open_until == "the deletion":
            archive.close(entry)
            await eventually(lambda: archive.status()["documents"] == 0, "it leaves the buffer")

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
        await archive.path_changes.delete("notes")
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
        await archive.path_changes.delete("notes")
        await archive.path_changes.follow_all()
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
        await archive.path_changes.delete("notes")
        await archive.path_changes.follow_all()
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
        await archive.path_changes.delete("x")
        await archive.path_changes.rename("y", "x")
    outage.end()

    async with server(path) as archive:
        entry = await archive.open(x, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "precious edit"
        assert await archive.flush(15) == {}
    assert await reader.text(x) == "precious edit"
    assert await reader.text(y) == ""


# -- paths that cannot be keys ---------------------------------------------------------------------


async def test_what_cannot_be_a_key_is_nothing_to_follow(server: Server, reader: Reader) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        await archive.path_changes.delete("snap.y.zst")
        await archive.path_changes.rename("a\tb", "fine")
        type_into(archive, entry, Typist().type("goes on"))
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "goes on"


async def test_a_document_renamed_to_what_cannot_be_a_key_keeps_its_old_name(
    server: Server, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(Document("folder/notes"), QUIET)
        type_into(archive, entry, typist.type("before"))
        await archive.checkpoint(entry)
        await archive.path_changes.rename("folder", "x" * 1020)
        type_into(archive, entry, typist.type(", after"))
        assert await archive.flush(15) == {}
    assert await reader.text("folder/notes") == "before, after"
    assert "keeps folder/notes under its old name" in caplog.text


async def test_a_late_deletion_spares_what_was_made_since(
    server: Server,
    settings: BookstoreSettings,
    directory: Path,
    tmp_path: Path,
    reader: Reader,
    outage: Outage,
) -> None:
    new = Document("notes", "file")
    stopping = await server().__aenter__()
    outage.begin()
    await stopping.path_changes.delete("notes")
    await stopping.__aexit__()
    outage.end()
    (file,) = files(directory)
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE moves SET at = at - 3600")
        db.commit()
    elsewhere = BufferOptions(recovery_dir=str(tmp_path / "elsewhere"))
    async with Checkpointer(settings, elsewhere) as running:
        type_into(running, await running.open(new, QUIET), Typist().type("the new one"))
        assert await running.flush(15) == {}

    async with server() as archive:
        assert await archive.flush(15) == {}
    assert await reader.text(new) == "the new one"


async def test_what_the_bucket_has_not_followed_tells_where_its_files_are_now(
    settings: BookstoreSettings, outage: Outage
) -> None:
    async with Checkpointer(settings, BufferOptions()) as checkpointer:
        moves = checkpointer.path_changes
        outage.begin()
        await moves.rename("old", "new")
        await moves.delete("new/deleted.txt")
        await moves.rename("new/a.txt", "a.txt")
        assert moves.now_at("old/b.txt") == "new/b.txt"
        assert moves.now_at("old/a.txt") == "a.txt"
        assert moves.now_at("old/deleted.txt") is None
        assert moves.now_at("elsewhere.txt") == "elsewhere.txt"
        outage.end()
        await moves.follow_all()
        assert moves.now_at("old/b.txt") == "old/b.txt"


async def test_a_damaged_file_of_a_release_that_noted_less_of_a_rename_is_read(
    tmp_path: Path,
) -> None:
    file = tmp_path / "recovery.db"
    buffer = Buffer(str(file))
    await buffer.add_move("a.txt", "b.txt")
    buffer.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("ALTER TABLE moves DROP COLUMN state")
        db.commit()
        db.execute("VACUUM")
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096  # which says where pages are referred to from
    file.write_bytes(content)
    with closing(Salvaged(file)) as salvaged:
        assert salvaged.moves() == ["the rename of a.txt to b.txt"]
