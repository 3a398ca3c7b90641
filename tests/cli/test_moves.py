"""`jupyter bookstore moves`, on what a stopped server left and on a running one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y import Archive, BookstoreSettings, S3YStore
from bookstore_y.buffer.database import Buffer
from bookstore_y.keys import Document
from bookstore_y.local.waiting import wait_until
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.schedule import Policy
from harness.jupyter.disk import Disk
from harness.proxies.denying import Denying
from harness.servers import S3Server, make_bucket

from ..rest.server import ARCHIVER, RestServer, running
from ..support import Refusals, Typist
from .commands import Commands
from .conftest import use

NOTES = Document("notes")


async def _leave(path: Path) -> None:
    """Delete a document, and stop while the bucket refuses to follow."""
    options = S3YStore("settings").buffer_options()
    async with Checkpointer(BookstoreSettings(), options) as archive:
        entry = await archive.open(NOTES, Policy())
        archive.append(entry, Typist().type("notes"), b"", 1.0)
        await archive.checkpoint(entry)
        await archive.path_changes.delete("notes")
        assert list(await archive.flush(15)) == ["the deletion of notes"]


@pytest.fixture
def left(on_moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: Refusals) -> Path:
    """A recovery file with a deletion that was refused."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    refusals.of("delete")
    asyncio.run(_leave(tmp_path))
    (file,) = (tmp_path / "data").rglob("recovery-*.db")
    return file


def _is_there() -> bool:
    async def ask() -> bool:
        async with Archive() as archive:
            return await archive.snapshots.current(NOTES) is not None

    return asyncio.run(ask())


def test_what_a_stopped_server_left_is_listed_with_the_reason(
    jupyter_bookstore: Commands, left: Path
) -> None:
    ran = jupyter_bookstore("moves")
    assert ran.code == 1
    assert "deletion of notes" in ran.out
    assert "Refused to delete" in ran.out
    assert str(left) in ran.out
    (move,) = jupyter_bookstore("moves", "--json").json()["moves"]
    assert (move["what"], move["path"], move["where"]) == ("deletion", "notes", str(left))
    assert move["state"] == "set aside"
    findings = jupyter_bookstore("doctor", "--json").json()["findings"]
    (finding,) = [each for each in findings if each["check"] == "renames and deletions"]
    assert "the deletion of notes" in finding["message"]
    assert "moves --retry" in finding["remedy"]


def test_it_is_followed_once_the_bucket_allows_it(
    jupyter_bookstore: Commands, left: Path, refusals: Refusals
) -> None:
    assert jupyter_bookstore("moves", "--retry").code == 1
    assert _is_there()
    refusals.of()
    assert "has followed all" in jupyter_bookstore.ok("moves", "--retry", "--file", str(left))
    assert not _is_there()
    assert "has followed all" in jupyter_bookstore.ok("moves")


def test_it_can_be_dropped_and_the_bucket_keeps_what_it_has(
    jupyter_bookstore: Commands, left: Path, refusals: Refusals
) -> None:
    assert jupyter_bookstore("moves", "--drop", "77").code == 3
    (move,) = jupyter_bookstore("moves", "--json").json()["moves"]
    said = jupyter_bookstore.ok("moves", "--drop", str(move["id"]))
    assert "stays in the archive" in said
    refusals.of()
    assert "has followed all" in jupyter_bookstore.ok("moves", "--retry")
    assert _is_there()


def test_a_file_that_a_server_has_open_is_left_alone(
    jupyter_bookstore: Commands, left: Path
) -> None:
    buffer = Buffer(str(left), make=False)
    assert "has followed all" in jupyter_bookstore.ok("moves")
    ran = jupyter_bookstore("moves", "--file", str(left))
    assert ran.code == 1
    assert "in use" in ran.err
    buffer.close()
    with closing(sqlite3.connect(left)) as db:
        assert db.execute("SELECT count(*) FROM moves").fetchone() == (1,)


# -- a running server ----------------------------------------------------------------------------


@pytest.fixture
def refused(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[RestServer, Denying]]:
    """A server that archives saves, before a bucket that denies DeleteObject."""
    bucket = make_bucket(moto_server)
    with Denying(moto_server) as denying:
        denying.denies = lambda method, path, query: method == "DELETE"
        use(monkeypatch, denying.server, bucket)
        with running(
            Disk(tmp_path / "disk"),
            denying.server,
            bucket,
            ServerApp={"contents_manager_class": ARCHIVER},
        ) as rest:
            yield rest, denying


def _save(rest: RestServer, name: str, text: str) -> None:
    model = {"type": "file", "format": "text", "content": text}
    rest.http.put(f"/api/contents/{name}", json=model).raise_for_status()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("change", ["delete", "rename"])
def test_a_running_server_archives_the_rest_lists_retries_and_drops(
    jupyter_bookstore: Commands, refused: tuple[RestServer, Denying], change: str
) -> None:
    rest, denying = refused
    _save(rest, "a.txt", "one")
    _save(rest, "b.txt", "one")
    wait_until(lambda: rest.get("")["pending_saves"] == 0, "both to be archived")
    if change == "delete":
        rest.http.delete("/api/contents/a.txt").raise_for_status()
    else:
        rest.http.patch("/api/contents/a.txt", json={"path": "c.txt"}).raise_for_status()
    _save(rest, "b.txt", "two")
    _save(rest, "a.txt", "a new one")
    wait_until(lambda: rest.object_or_nothing("workspace/b.txt") == "two", "others go on")
    wait_until(
        lambda: rest.object_or_nothing("workspace/a.txt") == "a new one", "and so does a new one"
    )
    wait_until(lambda: rest.get("")["set_aside_path_changes"] == 1, "it to be set aside")
    status = rest.get("")
    assert status["status"] == "retrying"
    (told,) = status["path_changes"]
    assert told["code"] == "AccessDenied"
    assert rest.get("moves")["moves"] == status["path_changes"]
    metrics = rest.http.get("/metrics").text
    assert 'bookstore_path_changes{state="set aside"} 1.0' in metrics

    where = ("--server", f"{rest.process.url}/?token={rest.process.token}")
    ran = jupyter_bookstore("moves", *where)
    assert ran.code == 1
    assert "AccessDenied" in ran.out
    denying.denies = lambda method, path, query: False
    assert "has followed all" in jupyter_bookstore.ok("moves", "--retry", *where)
    assert rest.object("workspace/a.txt") == b"a new one"
    assert rest.get("")["status"] == "ok"

    denying.denies = lambda method, path, query: method == "DELETE"
    rest.http.delete("/api/contents/b.txt").raise_for_status()
    wait_until(lambda: rest.get("")["set_aside_path_changes"] == 1, "it to be set aside")
    (told,) = rest.get("moves")["moves"]
    assert rest.ask("POST", "moves/drop", json={"id": "1"}).status_code == 400
    assert rest.ask("POST", "moves/drop", json={"id": 77}).status_code == 404
    dropped = rest.send("POST", "moves/drop", id=told["id"])
    assert (dropped["dropped"]["path"], dropped["moves"]) == ("b.txt", [])
    assert rest.get("")["status"] == "ok"
