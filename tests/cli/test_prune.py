"""`jupyter bookstore prune`."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import Any

import pytest

from bookstore_y import Archive, Version
from bookstore_y.errors import AccessDenied, DocumentNotFound
from bookstore_y.keys import Document
from bookstore_y.s3.bucket import Bucket
from bookstore_y.tools.pruning import Plan, Pruning, Removed
from bookstore_y.tools.retention import Policy
from harness.servers import S3Server, connect

from ..conformance.documents import Writer, text_in
from .command import Bookstore

ONLY_WHAT_MUST_STAY = [
    *("--keep-all", "0", "--hourly", "0", "--daily", "0", "--monthly", "0"),
]


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


def edit(bookstore: Bookstore, path: str, *texts: str) -> list[Version]:
    """Save these texts one after the other; their versions, oldest first."""
    return [bookstore.save(path, text) for text in texts]


def texts(bookstore: Bookstore, path: str) -> list[str]:
    """What the versions of a file say, newest first."""

    async def read(archive: Archive) -> list[str]:
        page = await archive.history(path, limit=100)
        contents = [await archive.read(path, version.version_id) for version in page.versions]
        return [content.raw().decode() for content in contents]

    return bookstore.archive(read)


def is_deleted(bookstore: Bookstore, path: str) -> bool:
    try:
        bookstore.archive(lambda archive: archive.read(path))
    except DocumentNotFound:
        return True
    return False


def test_what_is_planned_is_removed_and_the_rest_stays(on_any_server: Bookstore) -> None:
    bookstore = on_any_server
    versions = edit(bookstore, "a.txt", "one", "two", "three", "four")
    edit(bookstore, "b/c.txt", "old", "new")

    async def label(archive: Archive) -> None:
        await archive.label("a.txt", versions[1].version_id, "submitted")

    bookstore.archive(label)
    shown = bookstore("prune", "--dry-run", *ONLY_WHAT_MUST_STAY)
    assert shown.code == 0
    assert "3 versions" in shown.out
    planned = bookstore.json("prune", "--dry-run", *ONLY_WHAT_MUST_STAY)
    assert sorted(v["path"] for v in planned["planned"]) == ["a.txt", "a.txt", "b/c.txt"]
    assert texts(bookstore, "a.txt") == ["four", "three", "two", "one"]

    done = bookstore.json("prune", "--yes", *ONLY_WHAT_MUST_STAY)
    assert done["removed"] == 3
    assert done["not_removed"] == []
    assert texts(bookstore, "a.txt") == ["four", "two"]
    assert texts(bookstore, "b/c.txt") == ["new"]
    assert "nothing to prune" in bookstore("prune", "--yes", *ONLY_WHAT_MUST_STAY).out


def test_by_default_nothing_recent_goes(bookstore: Bookstore) -> None:
    edit(bookstore, "a.txt", "one", "two")
    assert "nothing to prune" in bookstore("prune", "--yes").out


def test_snapshots_are_pruned_too_and_only_where_asked(bookstore: Bookstore) -> None:
    for path in ("here/a.txt", "hereby.txt"):
        for text in ("one", "two"):
            bookstore.checkpoint(path, text)
    bookstore("prune", "here", "--yes", *ONLY_WHAT_MUST_STAY)
    assert texts(bookstore, "here/a.txt") == ["two"]
    assert texts(bookstore, "hereby.txt") == ["two", "one"]


def test_a_renamed_file_keeps_its_history(on_any_server: Bookstore) -> None:
    bookstore = on_any_server
    edit(bookstore, "x/old.txt", "one", "two")
    bookstore.archive(lambda archive: archive.renaming.rename_file("x/old.txt", "y/new.txt"))
    edit(bookstore, "y/new.txt", "three", "four")
    bookstore("prune", "/", "--yes", "--deleted", "0", *ONLY_WHAT_MUST_STAY)
    # The last under the old name, and the first under the new one, which points back to it.
    assert texts(bookstore, "y/new.txt") == ["four", "two", "two"]


def test_a_rename_is_no_deletion(bookstore: Bookstore) -> None:
    edit(bookstore, "old.txt", "one", "two")
    bookstore.archive(lambda archive: archive.renaming.rename_file("old.txt", "new.txt"))
    assert "nothing to prune" in bookstore("prune", "/", "--yes", "--deleted", "0").out
    assert texts(bookstore, "new.txt") == ["two", "two", "one"]


def test_a_renamed_document_keeps_its_history_when_the_old_directory_is_pruned(
    bookstore: Bookstore,
) -> None:
    old, new = Document("x/old.txt", "file"), Document("y/new.txt", "file")
    for text in ("one", "two"):
        bookstore.checkpoint(old.path, text)
    bookstore.archive(lambda archive: archive.renaming.rename(old, new))
    bookstore("prune", "x", "--yes", "--deleted", "0", *ONLY_WHAT_MUST_STAY)
    assert texts(bookstore, "y/new.txt") == ["two", "two"]


def test_a_deleted_file_can_be_undeleted_after_pruning(on_any_server: Bookstore) -> None:
    bookstore = on_any_server
    edit(bookstore, "a.txt", "one", "two")
    bookstore.archive(lambda archive: archive.delete_file("a.txt"))
    assert bookstore.json("prune", "--yes", *ONLY_WHAT_MUST_STAY)["removed"] == 1
    assert is_deleted(bookstore, "a.txt")
    bookstore.archive(lambda archive: archive.undelete("a.txt"))
    assert texts(bookstore, "a.txt")[0] == "two"


def test_a_file_that_was_deleted_for_long_enough_goes_altogether(
    on_any_server: Bookstore,
) -> None:
    bookstore = on_any_server
    edit(bookstore, "a.txt", "one", "two")
    bookstore.archive(lambda archive: archive.delete_file("a.txt"))
    keep = ["--keep-all", "0"]
    assert bookstore.json("prune", "--yes", "--deleted", "0", *keep)["removed"] == 3
    listed: Any = connect(bookstore.server).list_object_versions(Bucket=bookstore.bucket)
    assert "Versions" not in listed
    assert "DeleteMarkers" not in listed


def test_what_was_published_stays(
    moto_server: S3Server, moto_bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for prefix in ("workspace/", ""):
        bookstore = Bookstore(moto_server, moto_bucket, capsys, workspace_prefix=prefix)
        for text in ("one", "two"):
            bookstore.checkpoint("a.txt", text)
            bookstore.archive(lambda archive: archive.publish("a.txt"))
        s3 = connect(moto_server)
        before = s3.list_object_versions(Bucket=moto_bucket, Prefix="published/")["Versions"]
        assert bookstore.json("prune", "--yes", *ONLY_WHAT_MUST_STAY)["removed"] == 1
        after = s3.list_object_versions(Bucket=moto_bucket, Prefix="published/")["Versions"]
        assert after == before
    one = Bookstore(moto_server, moto_bucket, capsys, workspace_prefix="published")
    ran = one("prune", "--yes", *ONLY_WHAT_MUST_STAY)
    assert ran.code == 2
    assert "published_prefix" in ran.err


def test_without_anybody_to_ask_nothing_is_removed(bookstore: Bookstore) -> None:
    edit(bookstore, "a.txt", "one", "two")
    for options in ([], ["--json"]):
        ran = bookstore("prune", *ONLY_WHAT_MUST_STAY, *options)
        assert ran.code == 2
        assert "--yes" in ran.err
    assert texts(bookstore, "a.txt") == ["two", "one"]


@pytest.mark.parametrize(
    ("answer", "left"), [("n\n", 2), ("", 2), ("\n", 2), ("y\n", 1), ("Yes\n", 1)]
)
def test_a_person_is_asked(
    bookstore: Bookstore, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    edit(bookstore, "a.txt", "one", "two")
    person = io.StringIO(answer)
    monkeypatch.setattr(person, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", person)
    ran = bookstore("prune", *ONLY_WHAT_MUST_STAY)
    # stdout may be a file, which asks nobody.
    assert ran.err.startswith("Remove 1 version for good? [y/N] ")
    assert "[y/N]" not in ran.out
    assert ran.code == (0 if left == 1 else 1)
    assert len(texts(bookstore, "a.txt")) == left


def test_one_that_cannot_be_removed_does_not_stop_the_others(
    bookstore: Bookstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, _ = edit(bookstore, "locked.txt", "one", "two")
    edit(bookstore, "free.txt", "one", "two")
    bookstore.archive(lambda archive: archive.delete_file("locked.txt"))
    delete = Bucket.delete

    async def refusing(self: Bucket, key: str, version_id: str | None = None) -> None:
        if version_id == locked.version_id:
            raise AccessDenied("It is locked.")
        await delete(self, key, version_id)

    monkeypatch.setattr(Bucket, "delete", refusing)
    ran = bookstore("prune", "--yes", "--deleted", "0", *ONLY_WHAT_MUST_STAY, "--json")
    assert ran.code == 1
    assert "It is locked." in ran.err
    assert texts(bookstore, "free.txt") == ["two"]
    # The marker stays that hides what could not go.
    assert is_deleted(bookstore, "locked.txt")


def test_labels_that_cannot_be_read_keep_everything(
    bookstore: Bookstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(bookstore, "a.txt", "one", "two")

    async def denied(self: Bucket, key: str, version_id: str) -> dict[str, str]:
        raise AccessDenied("The credentials were refused.")

    monkeypatch.setattr(Bucket, "tags", denied)
    ran = bookstore("prune", "--yes", *ONLY_WHAT_MUST_STAY)
    assert ran.code == 4
    assert "s3:GetObjectVersionTagging" in ran.err
    assert texts(bookstore, "a.txt") == ["two", "one"]


ZERO = Policy(*[Policy().keep_all * 0] * 5)


async def carry_out(archive: Archive, plan: Plan) -> list[Removed]:
    return [removed async for removed in Pruning(archive).remove(plan)]


def test_what_happens_after_planning_is_heeded(bookstore: Bookstore) -> None:
    labelled, _, _ = edit(bookstore, "labelled.txt", "one", "two", "three")
    edit(bookstore, "deleted.txt", "one", "two")
    edit(bookstore, "gone.txt", "one", "two")

    async def work(archive: Archive) -> list[Removed]:
        await archive.delete_file("deleted.txt")
        plan = await Pruning(archive).plan(ZERO)
        assert plan.count == 2 + 3 + 1
        await archive.label("labelled.txt", labelled.version_id, "wanted")
        await archive.undelete("deleted.txt")
        for entry in next(key for key in plan.keys if key.place.path == "gone.txt").going:
            await archive.bucket.delete(entry.key, entry.version_id)
        return await carry_out(archive, plan)

    removed = bookstore.archive(work)
    assert {done.key.place.path for done in removed if done.spared} == {"labelled.txt"}
    assert not [done for done in removed if done.reason and not done.spared]
    assert texts(bookstore, "labelled.txt") == ["three", "one"]
    assert texts(bookstore, "deleted.txt")[0] == "two"
    assert texts(bookstore, "gone.txt") == ["two"]


def test_a_server_goes_on_whose_parent_was_pruned(on_any_server: Bookstore) -> None:
    async def work(archive: Archive) -> str:
        one = Writer("")
        await one.type("one").save(archive)
        two = Writer(origin=one)
        for word in (" two", " three", " four"):
            await two.type(word).save(archive)
            await asyncio.sleep(0.01)
        plan = await Pruning(archive).plan(ZERO)
        assert one.parent in [e.version_id for key in plan.keys for e in key.going]
        await carry_out(archive, plan)
        await one.type("!").save(archive)
        return await text_in(archive)

    text: Any = on_any_server.archive(work)
    for word in ("one", " two", " three", " four", "!"):
        assert text.count(word) == 1
