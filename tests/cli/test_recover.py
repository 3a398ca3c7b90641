"""`jupyter bookstore recover`: one recovery file, taken up by hand."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.keys import Document
from bookstore_y.replication.checkpointer import Checkpointer
from harness.servers import S3Server, make_bucket, s3_options

from ..recovery.common import QUIET, files, type_into
from ..support import Reader, Typist
from .command import Bookstore

NAMES = ("one", "two", "three")


@pytest.fixture
def bookstore(
    moto_server: S3Server, moto_bucket: str, capsys: pytest.CaptureFixture[str]
) -> Bookstore:
    return Bookstore(moto_server, moto_bucket, capsys)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


Leave = Callable[..., Path]


@pytest.fixture
def leave(directory: Path, moto_server: S3Server, moto_bucket: str) -> Leave:
    """Has a server leave a file, with the last words of three documents; returns it."""

    def left(bucket: str = moto_bucket, edits: int = 1) -> Path:
        options: dict[str, Any] = s3_options(moto_server, bucket)

        async def run() -> None:
            settings = BookstoreSettings(**options)
            archive = Checkpointer(settings, BufferOptions(recovery_dir=str(directory)))
            async with archive:
                for name in NAMES:
                    entry = await archive.open(Document(name), QUIET)
                    typist = Typist()
                    type_into(archive, entry, typist.type("archived "))
                    await archive.checkpoint(entry)
                    for number in range(edits):
                        type_into(archive, entry, typist.type(f"pending{number} "))

        asyncio.run(run())
        (file,) = files(directory)
        return file

    return left


def says(edits: int) -> str:
    return "archived " + "".join(f"pending{number} " for number in range(edits))


def text(reader: Reader, name: str) -> str:
    return asyncio.run(reader.text(name))


def test_it_shows_what_a_file_holds_and_changes_nothing(
    bookstore: Bookstore, leave: Leave, reader: Reader
) -> None:
    file = leave()
    told = bookstore.json("recover", file, "--list")
    assert told["fit"] == "same"
    assert [(each["path"], each["updates"]) for each in told["documents"]] == [
        (name, 1) for name in sorted(NAMES)
    ]
    assert all(each["outcome"] == "pending" for each in told["documents"])
    shown = bookstore("recover", file, "--dry-run")
    assert shown.code == 0
    assert "3 documents" in shown.out
    assert file.exists()
    assert text(reader, "one") == "archived "


def test_it_archives_and_removes_the_file_and_twice_doubles_nothing(
    bookstore: Bookstore, leave: Leave, reader: Reader, tmp_path: Path
) -> None:
    file = leave()
    again = Path(shutil.copy(file, tmp_path / "copy.db"))
    told = bookstore.json("recover", file)
    assert {each["outcome"] for each in told["documents"]} == {"written"}
    assert told["removed"]
    assert not file.exists()

    told = bookstore.json("recover", again, "--keep")
    assert not told["removed"]
    assert again.exists()
    for name in NAMES:
        assert text(reader, name) == says(1)
        assert asyncio.run(reader.count(name)) == 2


def test_what_is_of_another_bucket_goes_into_this_one_only_if_told_to(
    bookstore: Bookstore, leave: Leave, reader: Reader, moto_server: S3Server
) -> None:
    file = leave(make_bucket(moto_server))
    refused = bookstore("recover", file)
    assert refused.code != 0
    assert "--other-bucket" in refused.err
    assert file.exists()
    assert text(reader, "one") == ""

    assert bookstore("recover", file, "--other-bucket").code == 0
    assert text(reader, "one") == says(1)
    assert not file.exists()


def test_edits_without_what_they_build_on_stay_in_the_file(
    bookstore: Bookstore, leave: Leave, reader: Reader, moto_server: S3Server
) -> None:
    """As a server that is killed leaves them: the rest is in its bucket."""
    file = leave(make_bucket(moto_server))
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("DELETE FROM bases")
        db.execute(
            "UPDATE documents SET facts = replace(facts, '\"whole\":true', '\"whole\":false')"
        )
        db.execute(
            "DELETE FROM updates WHERE seq <= "
            "(SELECT persisted FROM documents WHERE documents.id = document)"
        )
    told = bookstore.json("recover", file, "--other-bucket")
    assert {each["outcome"] for each in told["documents"]} == {"failed"}
    assert file.exists()
    assert text(reader, "one") == ""


def test_a_file_that_a_server_lives_on_is_refused(bookstore: Bookstore, leave: Leave) -> None:
    file = leave()
    with closing(sqlite3.connect(file)) as server:
        server.execute("PRAGMA locking_mode = EXCLUSIVE")
        server.execute("BEGIN EXCLUSIVE")
        refused = bookstore("recover", file)
        assert refused.code != 0
        assert "Another process uses" in refused.err


def test_what_is_no_recovery_file_is_refused(bookstore: Bookstore, tmp_path: Path) -> None:
    assert bookstore("recover", tmp_path / "nowhere.db").code == 2
    theirs = tmp_path / "theirs.db"
    with closing(sqlite3.connect(theirs)) as db:
        db.execute("CREATE TABLE theirs (something TEXT)")
    assert "another program" in bookstore("recover", theirs).err
    (tmp_path / "text.db").write_text("not a database " * 1000)
    assert bookstore("recover", tmp_path / "text.db").code == 1


def test_a_file_without_its_list_of_tables_is_read(
    bookstore: Bookstore, leave: Leave, reader: Reader
) -> None:
    file = leave()
    content = bytearray(file.read_bytes())
    content[100:4000] = bytes(3900)
    file.write_bytes(content)

    ran = bookstore("recover", file)
    assert ran.code == 1  # it may have held more than could be read
    assert "damaged" in ran.err
    assert file.exists()
    for name in NAMES:
        assert text(reader, name) == says(1)


def test_of_a_file_with_a_damaged_page_all_else_is_read(
    bookstore: Bookstore, leave: Leave, reader: Reader
) -> None:
    edits = 400
    file = leave(edits=edits)
    with closing(sqlite3.connect(file)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'updates'").fetchone()[0]
    content = bytearray(file.read_bytes())
    page = 4096
    leaves = [
        number
        for number in range(root, len(content) // page)
        if content[number * page] == 13
        and content.count(b"pending", number * page, (number + 1) * page)
    ]
    damaged = leaves[len(leaves) // 2]
    content[damaged * page : (damaged + 1) * page] = b"\xff" * page
    file.write_bytes(content)

    told = bookstore.json("recover", file)
    assert told["lost"]
    assert file.exists()
    lost = [name for name in NAMES if text(reader, name) != says(edits)]
    assert len(lost) <= 2  # a page holds the updates of one, or of two
    assert sum(each["updates"] for each in told["documents"]) > 2 * edits
