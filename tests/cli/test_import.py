"""`jupyter bookstore import`."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from jupyter_server_fileid.manager import ArbitraryFileIdManager, LocalFileIdManager
from jupyter_ydoc import ydocs
from pycrdt.store import SQLiteYStore

from bookstore_y import Archive, Version
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.errors import BucketUnavailable
from bookstore_y.keys import Document
from bookstore_y.ydoc import content
from bookstore_y.ydoc.summary import lineage_of
from harness.servers import S3Server

from .command import Bookstore, notebook


@pytest.fixture
def bookstore(
    moto_server: S3Server, moto_bucket: str, capsys: pytest.CaptureFixture[str]
) -> Bookstore:
    return Bookstore(moto_server, moto_bucket, capsys)


@pytest.fixture
def on_any_server(
    s3_server: S3Server, bucket_name: str, capsys: pytest.CaptureFixture[str]
) -> Bookstore:
    return Bookstore(s3_server, bucket_name, capsys)


class Room:
    """A document as a server builds it from its file, the updates since, and who types."""

    def __init__(self, type: str, body: Any) -> None:
        self.type = type
        built: pycrdt.Doc[Any] = pycrdt.Doc(client_id=0)
        ydocs[type](built).set(body)
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.document = ydocs[type](self.doc)
        self.doc.apply_update(built.get_update())
        self.lineage = lineage_of(content.base_of(self.doc))
        self.updates = [self.doc.get_update()]
        self.doc.observe(lambda event: self.updates.append(event.update))

    def type_in(self, *words: str) -> Room:
        for word in words:
            text = self.doc["source"] if self.type == "file" else self.doc["cells"][0]["source"]
            text += word
        return self

    @property
    def said(self) -> Any:
        return self.document.get()


def write_store(
    database: Path, *stores: tuple[str, list[bytes]], setup: Callable[[Any], None] = lambda s: None
) -> Path:
    """Have pycrdt's own store write these updates under these names."""

    class Store(SQLiteYStore):
        db_path = str(database)

    async def write() -> None:
        for name, updates in stores:
            store: Any = Store(path=name)
            async with store:
                await store.db_initialized.wait()
                setup(store)
                for update in updates:
                    await store.write(update)

    asyncio.run(write())
    return database


def said(bookstore: Bookstore, path: str) -> Any:
    return bookstore.archive(lambda archive: archive.read(path)).content


def versions(bookstore: Bookstore, path: str) -> list[Version]:
    return bookstore.archive(lambda archive: archive.versions(path, details=True))


ID = "0b0f9f3e-8a46-4b6d-9c5e-7f6f3a7f5d11"


# -- stores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("manager", [ArbitraryFileIdManager, LocalFileIdManager])
def test_documents_come_under_their_paths(
    on_any_server: Bookstore, tmp_path: Path, manager: Any
) -> None:
    bookstore = on_any_server
    root = tmp_path / "work"
    (root / "r\u00e9sum\u00e9s").mkdir(parents=True)
    names = ["r\u00e9sum\u00e9s/a b.ipynb", "notes.md"]
    for name in names:
        (root / name).touch()
    ids = manager(root_dir=str(root), db_path=str(tmp_path / "ids.db"))
    one, two = (ids.index(name) for name in names)
    del ids
    first, second = Room("notebook", notebook("1")), Room("file", "text")
    first.type_in(" + 1", " + 2")
    second.type_in(", more")
    database = write_store(
        root / ".jupyter_ystore.db",
        (f".notebook:{one}.y", first.updates),
        (f".file:{two}.y", second.updates),
    )
    ran = bookstore("import", database, "--file-ids", tmp_path / "ids.db")
    assert ran.err == ""
    assert ran.code == 0
    assert said(bookstore, names[0])["cells"][0]["source"] == "1 + 1 + 2"
    assert said(bookstore, names[1]) == "text, more"
    (version,) = versions(bookstore, names[0])
    assert version.type == "notebook"
    assert version.origin.startswith("import:.jupyter_ystore.db@")


def imported(bookstore: Bookstore, database: Path, *options: str) -> dict[str, Any]:
    """The one document of a database, as the command tells of it."""
    (document,) = bookstore.json("import", database, "--map", f"{ID}=a.txt", *options)["documents"]
    assert isinstance(document, dict)
    return document


def test_those_who_come_back_merge(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "begun")
    away: pycrdt.Doc[Any] = pycrdt.Doc()
    room.type_in(" together")
    for update in room.updates:
        away.apply_update(update)
    room.type_in(" online")
    text = away.get("source", type=pycrdt.Text)
    text += " offline"
    imported(bookstore, write_store(tmp_path / "db", (f".file:{ID}.y", room.updates)))
    away.apply_update(bookstore.archive(lambda archive: archive.load("a.txt")))
    for word in ("begun", " together", " online", " offline"):
        assert str(text).count(word) == 1


def test_a_document_that_the_bucket_has_in_the_same_history_is_merged(
    on_any_server: Bookstore, tmp_path: Path
) -> None:
    bookstore = on_any_server
    ours, theirs = Room("file", "the file"), Room("file", "the file")
    ours.type_in(" of ours")
    theirs.type_in(" of theirs")

    async def save(archive: Archive) -> None:
        facts = VersionMetadata(lineage=ours.lineage)
        await archive.save(Document("a.txt", "file"), ours.doc.get_update(), facts)

    bookstore.archive(save)
    database = write_store(tmp_path / "db", (f".file:{ID}.y", theirs.updates))
    assert imported(bookstore, database)["outcome"] == "written"
    text = said(bookstore, "a.txt")
    for words in ("the file", " of ours", " of theirs"):
        assert text.count(words) == 1
    assert imported(bookstore, database)["outcome"] == "same"
    assert len(versions(bookstore, "a.txt")) == 2


def test_what_was_squashed_since_the_first_import_is_of_the_same_history(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    room = Room("file", "text").type_in(" one")
    imported(bookstore, write_store(tmp_path / "db", (f".file:{ID}.y", room.updates)))
    room.type_in(" two")
    squashed = write_store(tmp_path / "later", (f".file:{ID}.y", [room.doc.get_update()]))
    assert imported(bookstore, squashed)["outcome"] == "written"
    assert said(bookstore, "a.txt") == "text one two"


def test_an_import_that_was_broken_off_goes_on(
    bookstore: Bookstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, paths = [], []
    for index in range(6):
        name = str(uuid.uuid4())
        stores.append((f".file:{name}.y", Room("file", f"text {index}").updates))
        paths += ["--map", f"{name}={index}.txt"]
    database = write_store(tmp_path / "db", *stores)
    save = Archive.save
    saved = 0

    async def failing(self: Archive, *args: Any, **kwargs: Any) -> Any:
        nonlocal saved
        saved += 1
        if saved > 3:
            raise BucketUnavailable("The bucket is down.")
        return await save(self, *args, **kwargs)

    monkeypatch.setattr(Archive, "save", failing)
    ran = bookstore("import", database, *paths)
    assert ran.code == 1
    assert ran.err.count("The bucket is down.") == 3
    monkeypatch.undo()
    assert bookstore.json("import", database, *paths)["counts"] == {"same": 3, "written": 3}
    assert bookstore.json("import", database, *paths)["counts"] == {"same": 6}
    assert [len(versions(bookstore, f"{index}.txt")) for index in range(6)] == [1] * 6


def test_another_history_in_the_bucket_is_left_alone(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "imported").type_in("!")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates))
    bookstore.checkpoint("a.txt", "archived")
    told = imported(bookstore, database)
    assert told["outcome"] == "skipped"
    assert "another history" in told["reason"]
    assert len(versions(bookstore, "a.txt")) == 1


def test_forced_an_older_history_becomes_a_version_beneath(
    on_any_server: Bookstore, tmp_path: Path
) -> None:
    bookstore = on_any_server
    room = Room("file", "imported").type_in("!")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates))
    with sqlite3.connect(database) as db:
        db.execute("UPDATE yupdates SET timestamp = timestamp - 1000")
    bookstore.checkpoint("a.txt", "archived")
    assert imported(bookstore, database, "--force")["outcome"] == "beneath"
    assert said(bookstore, "a.txt") == "archived"
    listed = versions(bookstore, "a.txt")
    assert len(listed) == 3
    (old,) = [version for version in listed if version.origin.startswith("import:")]
    content = bookstore.archive(lambda archive: archive.read("a.txt", old.version_id))
    assert content.content == "imported!"
    assert imported(bookstore, database, "--force")["outcome"] == "same"
    assert len(versions(bookstore, "a.txt")) == 3


def test_forced_a_newer_history_becomes_the_current_version(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    bookstore.checkpoint("a.txt", "archived")
    room = Room("file", "imported").type_in("!")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates))
    with sqlite3.connect(database) as db:
        db.execute("UPDATE yupdates SET timestamp = timestamp + 1000")
    assert imported(bookstore, database, "--force")["outcome"] == "written"
    assert said(bookstore, "a.txt") == "imported!"


def test_what_was_saved_later_or_deleted_is_not_put_aside(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    room = Room("file", "imported")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates))
    with sqlite3.connect(database) as db:
        db.execute("UPDATE yupdates SET timestamp = timestamp - 1000")
    bookstore.save("a.txt", "saved later")
    assert "newer version" in imported(bookstore, database)["reason"]
    bookstore.archive(lambda archive: archive.delete_file("a.txt"))
    assert "was deleted" in imported(bookstore, database)["reason"]
    bookstore.archive(lambda archive: archive.save_file("a.txt", b"imported"))
    assert imported(bookstore, database)["outcome"] == "written"


def test_a_file_id_that_nobody_knows(bookstore: Bookstore, tmp_path: Path) -> None:
    database = write_store(tmp_path / "db", (f".file:{ID}.y", Room("file", "text").updates))
    ran = bookstore("import", database)
    assert ran.code == 1
    assert ID in ran.err
    assert "file_id_manager.db" in ran.err
    assert bookstore("import", database, "--map", f"{ID}=../x").code == 1


def test_updates_that_do_not_decode_are_named(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text").type_in(" more")
    database = write_store(
        tmp_path / "db", (f".file:{ID}.y", [room.updates[0], b"\xff\xffnonsense", room.updates[1]])
    )
    told = imported(bookstore, database)
    assert told["outcome"] == "written"
    assert "1 of its 3 updates cannot be read" in told["reason"]
    assert said(bookstore, "a.txt") == "text more"
    nothing = write_store(tmp_path / "none", (f".file:{ID}.y", [b"\xff\xffnonsense"]))
    assert "None of its 1 updates" in imported(bookstore, nothing)["reason"]


def test_an_update_whose_beginning_is_missing(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text").type_in(" more", " yet more")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates[2:]))
    told = imported(bookstore, database)
    assert told["outcome"] == "failed"
    assert "build on updates that are not" in told["reason"]
    database = write_store(tmp_path / "part", (f".file:{ID}.y", [room.updates[0], room.updates[2]]))
    assert "build on updates that are not" in imported(bookstore, database)["reason"]
    assert said(bookstore, "a.txt") == "text"


def test_compressed_updates(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text").type_in(*(f" {index}" for index in range(10)))

    def compress(store: Any) -> None:
        store.register_compression_callbacks(zlib.compress, zlib.decompress)
        store.checkpoint_interval = 3

    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates), setup=compress)
    assert imported(bookstore, database)["reason"] is None
    assert said(bookstore, "a.txt") == room.said


def test_a_database_of_qystore(bookstore: Bookstore, tmp_path: Path) -> None:
    brotli = pytest.importorskip("brotli")
    room = Room("notebook", notebook("1")).type_in(*(f" + {index}" for index in range(10)))

    def compress(store: Any) -> None:
        store.register_compression_callbacks(
            lambda data: brotli.compress(data, quality=1), brotli.decompress
        )

    name = f".notebook:{ID}.y"
    database = write_store(tmp_path / ".q_ystore.db", (name, room.updates), setup=compress)
    with sqlite3.connect(database) as db:  # whose checkpoints are not compressed
        checkpoint = (name, room.doc.get_update(), time.time())
        db.execute("INSERT OR REPLACE INTO ycheckpoints VALUES (?, ?, ?)", checkpoint)
    bookstore("import", database, "--map", f"{ID}=a.ipynb")
    assert said(bookstore, "a.ipynb")["cells"][0]["source"] == room.said["cells"][0]["source"]


def test_what_squashing_has_lost_is_taken_from_the_checkpoint(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    """SQLiteYStore 0.1.5 without compression squashes all updates into an empty one."""
    room = Room("file", "text").type_in(" one", " two", " three")
    name = f".file:{ID}.y"
    database = write_store(tmp_path / "db", (name, room.updates[-1:]))
    with sqlite3.connect(database) as db:
        db.execute("INSERT INTO yupdates VALUES (?, ?, ?, 1.0)", (name, b"\0\0", b""))
        checkpoint = (name, room.doc.get_update(), time.time())
        db.execute("INSERT OR REPLACE INTO ycheckpoints VALUES (?, ?, ?)", checkpoint)
    assert imported(bookstore, database)["reason"] is None
    assert said(bookstore, "a.txt") == "text one two three"


def test_documents_of_programs_without_rooms(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text")
    write_store(tmp_path / "db", ("my document", room.updates))
    assert bookstore("import", tmp_path / "db").code == 0

    async def load(archive: Archive) -> bytes:
        return await archive.load(Document("my document"))

    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(bookstore.archive(load))
    assert str(doc.get("source", type=pycrdt.Text)) == "text"


def test_an_older_schema_without_checkpoints_or_times(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text").type_in(" more")
    with sqlite3.connect(tmp_path / "db") as db:
        db.execute("CREATE TABLE yupdates (path TEXT NOT NULL, yupdate BLOB, metadata BLOB)")
        rows = [(f"file:{ID}", update, b"") for update in room.updates]
        db.executemany("INSERT INTO yupdates VALUES (?, ?, ?)", rows)
    assert imported(bookstore, tmp_path / "db")["outcome"] == "written"
    assert said(bookstore, "a.txt") == "text more"


def test_what_is_no_ystore(bookstore: Bookstore, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE t (x)")
    assert "no table 'yupdates'" in bookstore("import", tmp_path / "other.db").err
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"nonsense" * 500)
    assert "cannot be read" in bookstore("import", tmp_path / "damaged.db").err
    assert bookstore("import", tmp_path / "nothing.db").code == 2
    database = write_store(tmp_path / "db", (f".file:{ID}.y", Room("file", "text").updates))
    ran = bookstore("import", database, "--file-ids", database)
    assert ran.code == 1
    assert "no table 'Files'" in ran.err
    assert bookstore("import", database, "--map", "nothing").code == 2


@pytest.mark.parametrize("name", [".jupyter_ystore.db", "x.db", "X.SQLite", "x.sqlite3"])
@pytest.mark.parametrize("body", [b"", b"SQLite for", b"<html>not found</html>"])
def test_what_is_called_a_database_and_is_none(
    bookstore: Bookstore, tmp_path: Path, name: str, body: bytes
) -> None:
    (tmp_path / name).write_bytes(body)
    ran = bookstore("import", tmp_path / name)
    assert ran.code == 1
    assert name in ran.err
    assert "--as-file" in ran.err
    assert bookstore.json("ls")["files"] == []
    assert bookstore("import", tmp_path / name, "--as-file").code == 0
    assert bookstore("show", name, "--raw").out == body.decode()


def test_a_database_can_be_archived_as_a_file(bookstore: Bookstore, tmp_path: Path) -> None:
    database = write_store(tmp_path / "a.db", (f".file:{ID}.y", Room("file", "text").updates))
    assert bookstore.json("import", database, "--as-file")["counts"] == {"written": 1}
    bookstore("pull", "a.db", tmp_path / "pulled")
    assert (tmp_path / "pulled/a.db").read_bytes() == database.read_bytes()


def test_dry_run_of_a_store(bookstore: Bookstore, tmp_path: Path) -> None:
    room = Room("file", "text")
    database = write_store(tmp_path / "db", (f".file:{ID}.y", room.updates))
    before = database.read_bytes()
    ran = bookstore("import", database, "--map", f"{ID}=a.txt", "--dry-run")
    assert ran.code == 0
    assert "a.txt" in ran.out
    assert imported(bookstore, database)["outcome"] == "written"  # not "same"
    assert database.read_bytes() == before


# -- trees ---------------------------------------------------------------------------------------


def grow(root: Path, **files: str) -> Path:
    for name, body in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    return root


def test_a_tree_is_saved_as_it_is(on_any_server: Bookstore, tmp_path: Path) -> None:
    bookstore = on_any_server
    root = grow(tmp_path / "tree", a_dot_ipynb="not\u00a0JSON", d__b="b", d__e__c="c", empty="")
    (root / "na\u00efve + 100%.txt").write_bytes(b"\xff\x00")
    assert bookstore("import", root, "--to", "team/x").code == 0
    bookstore("pull", "/", tmp_path / "pulled")
    pulled = tmp_path / "pulled/team/x"
    assert {p.relative_to(pulled): p.read_bytes() for p in pulled.rglob("*") if p.is_file()} == {
        p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()
    }
    page = bookstore.archive(lambda archive: archive.history("team/x/d/b", limit=5, details=True))
    assert [version.origin for version in page.versions] == ["import:tree"]
    again = bookstore.json("import", root, "--to", "team/x")
    assert again["counts"] == {"same": 5}


def test_what_is_left_out_of_a_tree(bookstore: Bookstore, tmp_path: Path) -> None:
    root = grow(
        tmp_path / "tree",
        a="a",
        _dot_hidden="x",
        _dot_git__config="x",
        _dot_ipynb_checkpoints__a="x",
    )
    (root / "link").symlink_to(root / "a")
    (root / "directory").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    said = bookstore.json("import", root, "--dry-run")
    assert said["counts"] == {"written": 1, "left out": 6}
    ran = bookstore("import", root, "--hidden", "--json")
    assert ran.code == 0
    written = {file["path"] for file in ran.document["files"] if file["outcome"] == "written"}
    assert written == {"a", ".hidden", ".git/config"}


def test_what_cannot_be_imported_is_named(bookstore: Bookstore, tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", a="a", large="x" * 2000)
    (root / "bad.y.zst").write_text("reserved")
    (root / os.fsdecode(b"latin-\xe9")).write_text("x")
    (root / "line\nend").write_text("x")
    ran = bookstore("import", root, "--max-size", "1k")
    assert ran.code == 1
    for name in ("large (skipped)", "bad.y.zst (failed)", "latin-", "line\\nend (failed)"):
        assert name in ran.err
    assert said(bookstore, "a") == "a"


def test_what_is_newer_in_the_bucket_stays(bookstore: Bookstore, tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", older="mine", newer="mine", deleted="mine", alike="alike")
    hour_ago = time.time() - 3600
    for name in ("older", "deleted", "alike"):
        os.utime(root / name, (hour_ago, hour_ago))
    os.utime(root / "newer", (time.time() + 60, time.time() + 60))
    bookstore.fill(dict.fromkeys(("older", "newer", "deleted"), "theirs"))
    bookstore.archive(lambda archive: archive.delete_file("deleted"))
    bookstore.checkpoint("alike", "alike")
    files = {file["path"]: file for file in bookstore.json("import", root)["files"]}
    assert {path: file["outcome"] for path, file in files.items()} == {
        "older": "skipped",
        "newer": "written",
        "deleted": "skipped",
        "alike": "same",
    }
    assert "was deleted in the bucket" in files["deleted"]["reason"]
    assert said(bookstore, "older") == "theirs"
    assert said(bookstore, "newer") == "mine"
    assert bookstore("import", root, "--force").code == 0
    assert said(bookstore, "older") == said(bookstore, "deleted") == "mine"


def test_a_notebook_that_a_room_has_already(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.checkpoint("a.ipynb", notebook("1 + 1"), "notebook")
    bookstore("pull", "/", tmp_path)
    os.utime(tmp_path / "a.ipynb", (1e9, 1e9))
    assert bookstore.json("import", tmp_path)["counts"] == {"same": 1}


def test_one_file(bookstore: Bookstore, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert bookstore("import", tmp_path / "a.txt", "--to", "d").code == 0
    assert said(bookstore, "d/a.txt") == "text"


def test_nothing_to_import(bookstore: Bookstore, tmp_path: Path) -> None:
    ran = bookstore("import", tmp_path)
    assert ran.code == 1
    assert "nothing to import" in ran.err
    assert bookstore("import", tmp_path / "not there").code == 2
    assert bookstore("import", tmp_path, "--max-size", "many").code == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read it")
def test_what_may_not_be_read(bookstore: Bookstore, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked/a").write_text("")
    (tmp_path / "a.db").write_text("")
    (tmp_path / "locked").chmod(0)
    (tmp_path / "a.db").chmod(0)
    assert "Permission denied" in bookstore("import", tmp_path / "locked/a").err
    assert "Permission denied" in bookstore("import", tmp_path / "a.db").err


def test_what_is_no_file(bookstore: Bookstore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", Path(os.devnull)):
        ran = bookstore("import", source)
        assert ran.code == 2
        assert f"{source} is neither a file nor a directory" in ran.err
    (tmp_path / "file").write_text("")
    for unusable in (tmp_path / "file/below", tmp_path / ("n" * 300)):
        assert bookstore("import", unusable).code == 2
