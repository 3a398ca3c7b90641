"""A rename or a deletion that the bucket refuses holds up nothing else, and loses nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y.errors import BookstoreError, BucketError, DocumentNotFound
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.replication.file_uploads import FileUploads
from bookstore_y.replication.live import Live
from bookstore_y.replication.path_changes import NoSuchChange
from bookstore_y.replication.pending_upload import Save

from ..support import Reader, Refusals, Typist, text_of
from .common import NOTES, QUIET, Server, all_texts, files, type_into

MOVED = Document("moved")
OTHER = Document("other")


async def archived(archive: Checkpointer, document: Document, *updates: bytes) -> DocumentState:
    entry = await archive.open(document, QUIET)
    type_into(archive, entry, *updates)
    await archive.checkpoint(entry)
    return entry


async def closed(archive: Checkpointer, entry: DocumentState) -> None:
    """Have a document leave the buffer."""
    archive.close(entry)
    await archive.forget(entry.document)
    assert entry.document not in archive.entries


async def says(archive: Checkpointer, document: Document) -> str:
    """What a document says to who opens it."""
    entry = await archive.open(document, QUIET)
    try:
        return text_of((await archive.load(entry)).updates())
    finally:
        archive.close(entry)


async def set_aside(archive: Checkpointer) -> None:
    await eventually(
        lambda: not archive.path_changes.due and archive.path_changes.waiting, "it to be set aside"
    )


async def followed(archive: Checkpointer, refusals: Refusals) -> None:
    """Have the bucket follow what it refused so far."""
    refusals.of()
    assert await archive.path_changes.try_again() == []


# -- others --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["delete", "rename"])
async def test_others_are_archived_and_opened_meanwhile_and_after_a_restart(
    server: Server, reader: Reader, refusals: Refusals, change: str
) -> None:
    refusals.of("delete")
    async with server() as archive:
        await archived(archive, NOTES, Typist().type("refused"))
        other = await archived(archive, OTHER, Typist().type("one"))
        if change == "delete":
            await archive.path_changes.delete("notes")
        else:
            await archive.path_changes.rename("notes", "moved")
        type_into(archive, other, Typist().type(" two"))
        await archive.checkpoint(other)  # at once, while the change is still being tried
        await archived(archive, Document("new"), Typist().type("new"))
        await set_aside(archive)
        assert list(await archive.flush(15)) == archive.path_changes.names()

    async with server() as archive:
        await archived(archive, Document("newer"), Typist().type("newer"))
        assert "two" in await says(archive, OTHER)
        assert archive.path_changes.waiting
        await followed(archive, refusals)
    assert await reader.text(NOTES) == ""
    assert await reader.text("newer") == "newer"


async def test_one_object_that_cannot_be_read_keeps_no_other_in_its_directory(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    old = [Document(f"old/{name}", "file") for name in "abc"]
    new = [Document(f"new/{name}", "file") for name in "abc"]
    async with server() as archive:
        for document in old:
            await closed(archive, await archived(archive, document, Typist().type("text")))
        refusals.of("read 'workspace/old/b", "copy 'workspace/old/b")
        await archive.path_changes.rename("old", "new")
        await set_aside(archive)
        assert [await reader.text(each) for each in new] == ["text", "", "text"]
        assert [await reader.text(each) for each in old] == ["", "text", ""]
        await followed(archive, refusals)
    assert [await reader.text(each) for each in new] == ["text"] * 3


async def test_a_stop_says_of_each_change_why_it_was_not_followed(
    server: Server, refusals: Refusals
) -> None:
    refusals.of("read 'workspace/notes", "copy 'workspace/notes")
    async with server() as archive:
        await closed(archive, await archived(archive, NOTES, Typist().type("text")))
        await archive.path_changes.rename("notes", "moved")
        await set_aside(archive)
        await archive.path_changes.delete("moved")
        late = await archive.flush(15)
        rename, deletion = archive.path_changes.names()
        assert "'workspace/notes.y.zst'" in late[rename]
        assert late[deletion] == f"It waits for {rename}."


async def test_a_change_that_is_never_answered_is_set_aside_too(
    server: Server, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: object) -> None:
        raise KeyError("never to happen")

    async with server() as archive:
        await archived(archive, NOTES, Typist().type("there"))
        with monkeypatch.context() as patch:
            patch.setattr(type(archive.archive.bucket), "delete", broken)
            await archive.path_changes.delete("notes")
            await set_aside(archive)
        (change,) = archive.path_changes.listed()
        assert "Please report this" in change["reason"]
        await archive.path_changes.try_again()
    assert await reader.text(NOTES) == ""


# -- a deletion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_new_document_takes_the_name_of_one_whose_deletion_is_refused(
    server: Server, tmp_path: Path, reader: Reader, refusals: Refusals, kind: str
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    async with server(path) as archive:
        await closed(archive, await archived(archive, NOTES, Typist().type("the former")))
        refusals.of("delete")
        await archive.path_changes.delete("notes")
        await set_aside(archive)
        with pytest.raises(DocumentNotFound):
            await says(archive, NOTES)
        await closed(archive, await archived(archive, NOTES, Typist().type("the new one")))
        assert await says(archive, NOTES) == "the new one"

    async with server(path) as archive:
        assert await says(archive, NOTES) == "the new one"
        await followed(archive, refusals)
    assert await reader.text(NOTES) == "the new one"
    assert await all_texts(server, NOTES) == ["the new one", "the former"]


async def test_a_deletion_is_followed_in_the_end(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    refusals.of("delete")
    async with server() as archive:
        entry = await archived(archive, NOTES, Typist().type("gone"))
        await archive.path_changes.delete("notes")
        await set_aside(archive)
        archive.close(entry)
        assert await reader.text(NOTES) == "gone"
    refusals.of()
    async with server() as archive:
        await eventually(lambda: not archive.path_changes.waiting, "it to be tried at the start")
        with pytest.raises(DocumentNotFound):
            await says(archive, NOTES)
    assert await reader.text(NOTES) == ""


async def test_an_edit_after_a_refused_deletion_brings_the_document_back(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    typist = Typist()
    refusals.of("delete")
    async with server() as archive:
        entry = await archived(archive, NOTES, typist.type("still "))
        await archive.path_changes.delete("notes")
        await set_aside(archive)
        type_into(archive, entry, typist.type("open"))
        await archive.checkpoint(entry)
        await followed(archive, refusals)
    assert await reader.text(NOTES) == "still open"


async def test_names_are_used_again_and_again_while_no_deletion_is_allowed(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    """As with *New → Notebook* and a rename, each time: all begin as `Untitled.ipynb`."""
    untitled = Document("untitled")
    refusals.of("delete")
    async with server() as archive:
        for name in "abcd":
            entry = await archive.open(untitled, QUIET)
            with pytest.raises(DocumentNotFound):
                await archive.load(entry)
            typist = Typist()
            type_into(archive, entry, typist.type(name))
            await archive.checkpoint(entry)
            await archive.path_changes.rename("untitled", name)
            type_into(archive, entry, typist.type(" goes on"))
            await archive.checkpoint(entry)
            archive.close(entry)
        await set_aside(archive)
        for name in "abcd":
            assert await reader.text(name) == f"{name} goes on"
        await followed(archive, refusals)
    assert await reader.text(untitled) == ""


async def test_what_was_deleted_does_not_move_on_with_its_directory(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    async with server() as archive:
        for name in ("kept", "gone"):
            document = Document(f"old/{name}", "file")
            await closed(archive, await archived(archive, document, Typist().type(name)))
        refusals.of("delete")
        await archive.path_changes.delete("old/gone")
        await set_aside(archive)
        await archive.path_changes.rename("old", "new")
        await set_aside(archive)
        await followed(archive, refusals)
    assert await reader.text(Document("new/kept", "file")) == "kept"
    assert await reader.text(Document("new/gone", "file")) == ""
    assert await reader.text(Document("old/gone", "file")) == ""


# -- a rename ------------------------------------------------------------------------------------


async def test_a_renamed_document_goes_on_while_its_old_key_cannot_be_deleted(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    typist = Typist()
    refusals.of("delete")
    async with server() as archive:
        entry = await archived(archive, NOTES, typist.type("before"))
        await archive.path_changes.rename("notes", "moved")
        await set_aside(archive)
        type_into(archive, entry, typist.type(", after"))
        await archive.checkpoint(entry)
        count = await reader.count(MOVED)
        await archive.path_changes.try_again()
        assert await reader.count(MOVED) == count  # what is copied is copied
        await closed(archive, entry)
        assert await says(archive, MOVED) == "before, after"
        with pytest.raises(DocumentNotFound):
            await says(archive, NOTES)
        await followed(archive, refusals)
    assert await reader.text(MOVED) == "before, after"
    assert await reader.text(NOTES) == ""
    assert await all_texts(server, MOVED) == ["before, after", "before", "before"]


@pytest.mark.parametrize("buffered", ["whole", "evicted"])
async def test_a_renamed_document_has_versions_of_its_own_while_the_old_cannot_be_read(
    server: Server, reader: Reader, refusals: Refusals, buffered: str
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archived(archive, NOTES, typist.type("before"))
        if buffered == "evicted":
            await archive._evict(entry)
            entry.live_attached(Live(typist.doc, lambda: True))
        refusals.of("read 'workspace/notes", "copy 'workspace/notes")
        await archive.path_changes.rename("notes", "moved")
        await set_aside(archive)
        type_into(archive, entry, typist.type(", after"))
        await archive.checkpoint(entry)
        assert await reader.text(MOVED) == "before, after"
        await followed(archive, refusals)
    assert await reader.text(MOVED) == "before, after"
    assert await reader.text(NOTES) == ""
    assert await all_texts(server, MOVED) == ["before, after", "before"]  # its history goes on


async def test_a_document_is_found_under_its_former_name_until_the_rename_is_followed(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    async with server() as archive:
        await closed(archive, await archived(archive, NOTES, Typist().type("before")))
        refusals.of("write 'workspace/moved", "copy")
        await archive.path_changes.rename("notes", "moved")
        await set_aside(archive)
        await archive.path_changes.rename("moved", "again")
        assert await says(archive, Document("again")) == "before"
        refusals.of("read 'workspace/notes")
        await archive.forget(Document("again"))
        with pytest.raises(BucketError):  # which is not "not found"
            await says(archive, Document("again"))
        await followed(archive, refusals)
    assert await reader.text("again") == "before"
    assert await reader.text(MOVED) == await reader.text(NOTES) == ""


# -- saved files ---------------------------------------------------------------------------------


async def saved(saves: FileUploads, path: str, body: bytes) -> None:
    saves.submit(path, Save(body))
    await saves.settle(path)


async def bodies(archive: Checkpointer, path: str) -> list[str]:
    """What each saved version of a file says, newest first."""
    versions = (await archive.archive.history(path, kinds=("save",))).versions
    contents = [await archive.archive.content(version) for version in versions]
    return [str(content.content) for content in contents]


async def test_a_new_file_takes_the_name_of_one_whose_deletion_is_refused(
    server: Server, refusals: Refusals
) -> None:
    async with server() as archive:
        saves = archive.path_changes.saves = FileUploads(archive)
        await saved(saves, "notes.txt", b"the same")
        refusals.of("delete")
        await archive.path_changes.delete("notes.txt")
        await set_aside(archive)
        assert archive.path_changes.former("notes.txt") is None
        await saved(saves, "notes.txt", b"the same")
        assert archive.path_changes.former("notes.txt") == "notes.txt"
        await followed(archive, refusals)
        assert await archive.archive.files_under("notes.txt") == ["notes.txt"]
        assert await bodies(archive, "notes.txt") == ["the same", "the same"]


async def test_a_renamed_file_is_saved_on_and_gets_its_history_back(
    server: Server, refusals: Refusals
) -> None:
    async with server() as archive:
        saves = archive.path_changes.saves = FileUploads(archive)
        await saved(saves, "notes.txt", b"one")
        refusals.of("copy", "read 'workspace/notes.txt")  # or it is read and written instead
        await archive.path_changes.rename("notes.txt", "moved.txt")
        await set_aside(archive)
        assert archive.path_changes.former("moved.txt") == "notes.txt"
        await saved(saves, "moved.txt", b"two")
        assert archive.path_changes.former("moved.txt") == "moved.txt"
        assert await bodies(archive, "moved.txt") == ["two"]
        await followed(archive, refusals)
        assert await archive.archive.files_under("notes.txt") == []
        found = await bodies(archive, "moved.txt")
        assert found[0] == "two"
        assert "one" in found


# -- what a person can do ------------------------------------------------------------------------


async def test_what_was_refused_is_listed_with_the_reason(
    server: Server, refusals: Refusals
) -> None:
    refusals.of("delete")
    async with server() as archive:
        await archived(archive, NOTES, Typist().type("refused"))
        await archive.path_changes.delete("notes")
        await set_aside(archive)
        (change,) = archive.path_changes.listed()
        assert (change["what"], change["path"], change["target"]) == ("deletion", "notes", None)
        assert change["state"] == "set aside"
        assert "Refused to delete" in change["reason"]
        assert change["since"] is not None
        assert archive.status()["status"] == "retrying"
        before = change["since"]
    async with server() as archive:
        (change,) = archive.path_changes.listed()
        assert change["since"] == before


async def test_a_dropped_change_leaves_the_bucket_as_it_is(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    refusals.of("delete")
    async with server() as archive:
        await archived(archive, NOTES, Typist().type("kept"))
        await archive.path_changes.delete("notes")
        await set_aside(archive)
        (change,) = archive.path_changes.listed()
        await archive.path_changes.drop(change["id"])
        assert archive.path_changes.listed() == []
        with pytest.raises(NoSuchChange):
            await archive.path_changes.drop(change["id"])
        assert await archive.flush(15) == {}
        assert archive.status()["status"] == "ok"
    refusals.of()
    async with server() as archive:
        assert not archive.path_changes.waiting
    assert await reader.text(NOTES) == "kept"


async def test_a_rename_is_not_dropped_while_edits_build_on_it_alone(
    server: Server, reader: Reader, refusals: Refusals
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archived(archive, NOTES, typist.type("before"))
        await archive._evict(entry)
        type_into(archive, entry, typist.type(", after"))
        refusals.of("read 'workspace/notes", "copy")
        await archive.path_changes.rename("notes", "moved")
        await set_aside(archive)
        with pytest.raises(BookstoreError, match="can't be dropped"):
            await archive.path_changes.drop(archive.path_changes.listed()[0]["id"])
        await followed(archive, refusals)
        await archive.checkpoint(entry)
    assert await reader.text(MOVED) == "before, after"


# -- files of other releases ---------------------------------------------------------------------


async def test_a_buffer_file_of_an_earlier_release_is_taken_up(
    server: Server, directory: Path, reader: Reader, refusals: Refusals
) -> None:
    refusals.of("delete")
    async with server() as archive:
        await archived(archive, NOTES, Typist().type("gone"))
        await archive.path_changes.delete("notes")
        await set_aside(archive)
    (file,) = files(directory)
    with closing(sqlite3.connect(file)) as db:
        # What that release asks of it, and what it makes.
        row = db.execute("SELECT id, source, target, documents, at FROM moves").fetchone()
        assert row[1:3] == ("notes", None)
        db.execute("ALTER TABLE moves DROP COLUMN state")
        db.execute("INSERT INTO moves (source, target, documents, at) VALUES ('a', 'b', '[]', 1)")
        db.commit()
    refusals.of()
    async with server() as archive:
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == ""
