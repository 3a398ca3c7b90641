"""Rooms whose file goes, comes back, or changes under them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.people import all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server, connect

from .bucket import Bucket

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"


@pytest.fixture
def disk(new_disk: Callable[[], Disk]) -> Disk:
    """A disk with a notebook on it."""
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


def _soon(server: S3Server, bucket: str, **traits: Any) -> Config:
    """Documents are archived soon, and rooms that everybody has left close soon."""
    config = s3_store(server, bucket, checkpoint_max_delay=0.3, **traits)
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    return config


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    return _soon(moto_server, moto_bucket)


async def _all_archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return bool(status["documents"]) and not status["pending_updates"]

    await eventually(archived, within=15, what="all of it to be archived")


async def _delete(server: JupyterProcess) -> None:
    async with server.http() as http:
        (await http.delete(f"/api/contents/{PATH}")).raise_for_status()


def _is_marked(server: S3Server, bucket: str) -> bool:
    """Whether the bucket says that the document is deleted."""
    listed = connect(server).list_object_versions(Bucket=bucket)
    return any(marker["IsLatest"] for marker in listed.get("DeleteMarkers", []))


def _saved(disk: Disk) -> str:
    """What the cells of the file say; nothing while there is no file."""
    notebook = peek_notebook(disk.file(PATH))
    return "\n".join(sources(notebook)) if notebook else ""


async def test_a_file_uploaded_after_a_deletion_has_nothing_of_the_room_that_is_still_open(
    disk: Disk, config: Config, moto_server: S3Server, moto_bucket: str
) -> None:
    reader = S3Reader(moto_server, moto_bucket)
    async with (
        JupyterProcess(disk, config) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
        server.http() as http,
    ):
        bookstore = BookstoreAPI(server)
        await all_connect([ada], server)
        ada.append(0, "of the former file")
        await eventually(lambda: "of the former file" in _saved(disk), within=15, what="the save")
        await _all_archived(server)
        await _delete(server)
        await eventually(
            lambda: _is_marked(moto_server, moto_bucket), within=15, what="a delete marker"
        )
        former = {version["version_id"] for version in await bookstore.versions(PATH)}

        uploaded = sample_notebook()
        uploaded["cells"][0]["source"] = "the uploaded one"
        model = {"type": "notebook", "content": uploaded}
        (await http.put(f"/api/contents/{PATH}", json=model)).raise_for_status()
        await all_connect([ben], server)
        ada.append(0, ", typed on")
        ben.append(0, ", edited")
        await eventually(lambda: ", edited" in _saved(disk), within=15, what="the save")

        async def archived() -> str | None:
            (newest, *_) = await bookstore.snapshots(PATH)
            held = reader.snapshot(newest["key"], newest["version_id"])["cells"][0]["source"]
            return held if ", edited" in held else None

        assert await eventually(archived, within=15, what="a version") == "the uploaded one, edited"
        assert ben.cell_text(0) == "the uploaded one, edited"
        assert "former" not in _saved(disk)
        assert any(
            "of the former file"
            in reader.snapshot(version["key"], version["version_id"])["cells"][0]["source"]
            for version in await bookstore.snapshots(PATH)
            if version["version_id"] in former
        )


@pytest.mark.parametrize("last", ["notebook", "file"])
async def test_a_lost_file_comes_back_from_the_room_that_was_written_last(
    disk: Disk, new_disk: Callable[[], Disk], config: Config, last: str
) -> None:
    async def write_in(room: str, server: JupyterProcess) -> None:
        """See it in the file and in the bucket, and the room closed."""
        closed = server.log_text().count(f"Deleting file {PATH}")
        words = f"By the {room}. "
        kind = ("json", "notebook") if room == "notebook" else ("text", "file")
        async with RTCClient("ada", PATH, file_format=kind[0], file_type=kind[1]) as ada:
            await ada.connect(server)
            source = str(ada.texts()[0])
            ada.insert(0, source.index("Tides"), words)  # all before it is ASCII
            await eventually(lambda: words in _saved(disk), within=15, what="the save")
            await _all_archived(server)
        await eventually(
            lambda: server.log_text().count(f"Deleting file {PATH}") > closed,
            within=15,
            what="the room to close",
        )

    async with JupyterProcess(disk, config) as server:
        await write_in("file" if last == "notebook" else "notebook", server)
        await write_in(last, server)
        await server.sigterm()
    saved = _saved(disk)
    assert "By the notebook." in saved
    assert "By the file." in saved

    fresh = new_disk()
    async with JupyterProcess(fresh, config) as server, people(["cleo"], PATH) as (cleo,):
        await all_connect([cleo], server)
        assert "\n".join(str(text) for text in cleo.texts()) == saved
        assert _saved(fresh) == saved


@asynccontextmanager
async def _mute_server() -> AsyncIterator[str]:
    """The URL of a server that takes requests and never answers them."""
    writers = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("how", ["undelete", "restore", "restore what it says"])
async def test_what_is_typed_into_a_deleted_document_is_there_when_it_is_back(
    disk: Disk, config: Config, how: str
) -> None:
    """Those who are in it are sent to the room of the new file, and have all they typed there."""
    async with (
        JupyterProcess(disk, config) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
    ):
        bookstore = BookstoreAPI(server)
        await all_connect([ada], server)
        marks = {ada.mark(0)}
        await eventually(lambda: all(m in _saved(disk) for m in marks), within=15, what="the save")
        await _all_archived(server)
        await _delete(server)
        typed = set() if how == "restore what it says" else {ada.mark(0), ada.mark(0)}
        await _all_archived(server)
        if how == "undelete":
            await bookstore.undelete(PATH)
            there = marks | typed
        else:
            (newest, *_) = await bookstore.snapshots(PATH)
            await bookstore.restore(PATH, newest["version_id"])
            there = marks
        await ada.wait_closed(15)
        assert ada.close_code == 1003
        assert "open it again" in ada.close_reason
        assert all(mark in _saved(disk) for mark in there)

        await all_connect([ben], server)
        await ben.wait_for_marks(there)
        more = ben.mark(0)
        await eventually(lambda: more in _saved(disk), within=15, what="the save")
        assert not doubled(ben.marks())


async def test_a_document_that_is_just_being_opened_is_not_restored(
    disk: Disk, config: Config
) -> None:
    async with _mute_server() as url, people(["ada"], PATH) as (ada,):
        config["BookstoreSettings"]["s3_endpoint_url"] = url
        async with JupyterProcess(disk, config) as server:
            bookstore = BookstoreAPI(server)
            connecting = asyncio.create_task(ada.connect(server))

            async def opening() -> bool:
                return bool((await bookstore.status())["documents"])

            await eventually(opening, within=15, what="the room to ask the bucket")
            with pytest.raises(httpx.HTTPStatusError) as refused:
                await bookstore.restore(PATH, "any")
            assert refused.value.response.status_code == httpx.codes.CONFLICT
            assert "being opened" in refused.value.response.json()["message"]
            assert not connecting.done()
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)


async def test_a_file_changed_by_other_means_while_its_room_runs_is_no_surprise_after_a_crash(
    disk: Disk, config: Config
) -> None:
    """The room takes the change over; what is typed on top of it is newer than the file."""
    config["S3YStore"]["db_path"] = str(disk.data / "buffer.db")
    config["YDocExtension"]["document_save_delay"] = 600
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(disk, config) as server:
            await all_connect([ada, ben], server)
            before = ada.mark(0)
            await ben.wait_for_marks({before})
            changed = sample_notebook()
            changed["cells"][0]["source"] = "by other means: "
            disk.place(PATH, changed)
            await ada.wait_until(lambda: ada.cell_text(0) == "by other means: ")
            marks = {ada.mark(0), ada.mark(0)}
            await ben.wait_for_marks(marks)
            await _all_archived(server)
            server.sigkill()
        await all_leave([ada, ben])
        text = ada.cell_text(0)
        assert _saved(disk).startswith("by other means: \n")

        async with JupyterProcess(disk, config) as server, people(["cleo"], PATH) as (cleo,):
            await all_connect([cleo], server)
            assert cleo.cell_text(0) == text
            await all_connect([ada, ben], server)
            late = ada.mark(0)
            for client in (ben, cleo):
                await client.wait_for_marks({late})
                assert client.cell_text(0) == text + late
                assert doubled(client.marks()) == {}
            assert text in _saved(disk)


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "open"])
async def test_a_deletion_while_the_bucket_is_down_is_followed_after_a_restart(
    disk: Disk, bucket: Bucket, opened: bool
) -> None:
    config = _soon(bucket.server, bucket.name, db_path=str(disk.data / "buffer.db"))
    config["BookstoreSettings"] |= {
        "connect_timeout": 1.0,
        "max_attempts": 1,
        "shutdown_timeout": 4.0,
    }
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(disk, config) as server:
            await all_connect([ada], server)
            ada.append(0, "worth keeping")
            await eventually(lambda: "worth keeping" in _saved(disk), within=15, what="the save")
            await _all_archived(server)
            if not opened:
                await ada.disconnect()
                await eventually(
                    lambda: f"Deleting file {PATH}" in server.log_text(),
                    within=15,
                    what="the room to close",
                )
            bucket.down()
            await _delete(server)
            await server.sigterm()
            assert f"the deletion of {PATH}" in server.log_text()
        bucket.up()
        assert not _is_marked(bucket.server, bucket.name)

        async with JupyterProcess(disk, config) as server:
            await eventually(
                lambda: _is_marked(bucket.server, bucket.name),
                within=30,
                what="a delete marker",
            )
            with pytest.raises((ConnectionError, TimeoutError, httpx.HTTPStatusError)):
                await ben.connect(server, within=3)
            assert not disk.file(PATH).exists()
            (version, *_) = await BookstoreAPI(server).snapshots(PATH)
            held = S3Reader(bucket.server, bucket.name).snapshot(
                version["key"], version["version_id"]
            )
            assert "worth keeping" in held["cells"][0]["source"]


@asynccontextmanager
async def _dead_room(server: JupyterProcess, ada: RTCClient) -> AsyncIterator[BookstoreAPI]:
    """Ada is in the room of a file that was deleted, and its name taken by an upload."""
    bookstore = BookstoreAPI(server)
    await all_connect([ada], server)
    ada.append(0, " of the former file")
    await eventually(
        lambda: "of the former file" in _saved(server.disk), within=15, what="the save"
    )
    await _all_archived(server)
    await _delete(server)
    async with server.http() as http:
        for words in ("the uploaded one", "the uploaded one, saved again"):
            uploaded = sample_notebook()
            uploaded["cells"][0]["source"] = words
            model = {"type": "notebook", "content": uploaded}
            (await http.put(f"/api/contents/{PATH}", json=model)).raise_for_status()
    ada.append(0, ", typed on")
    yield bookstore


@pytest.mark.parametrize("opened", [True, False], ids=["open", "closed"])
async def test_what_is_asked_for_goes_to_the_living_file_and_not_to_a_dead_room(
    disk: Disk, config: Config, moto_server: S3Server, moto_bucket: str, opened: bool
) -> None:
    """A deleted notebook is open in a tab still, and another one has its name."""
    config["ServerApp"]["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    async with (
        JupyterProcess(disk, config) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
        _dead_room(server, ada) as bookstore,
    ):
        if opened:
            await all_connect([ben], server)
            ben.append(0, ", edited")
        said = "the uploaded one, saved again" + (", edited" if opened else "")
        if opened:
            await eventually(lambda: said in _saved(disk), within=15, what="the save")

        async def saved_versions() -> list[tuple[str, str]]:
            found: list[tuple[str, str]] = []
            for version in await bookstore.versions(PATH):
                if version["kind"] == "save":
                    held = await bookstore.version(PATH, version["version_id"])
                    found.append((version["version_id"], sources(held["model"]["content"])[0]))
            return found

        async def uploaded() -> str | None:
            return next(
                (v for v, text in await saved_versions() if text == "the uploaded one"), None
            )

        first = await eventually(uploaded, within=15, what="the upload as a version")

        difference = await bookstore.diff(PATH, first)
        assert "saved again" in str(difference)
        assert "typed on" not in str(difference)

        published = await bookstore.publish(PATH, live=True)
        _, _, name, key = published["s3_path"].split("/", 3)
        assert name == moto_bucket
        body = connect(moto_server).get_object(Bucket=name, Key=key)["Body"].read()
        assert said in body.decode()

        await bookstore.undelete(PATH)
        assert said in _saved(disk)

        await bookstore.restore(PATH, first)
        await eventually(
            lambda: _saved(disk).startswith("the uploaded one\n"), within=15, what="the restored"
        )
        if opened:
            await ben.wait_until(lambda: ben.cell_text(0) == "the uploaded one")
        assert ada.connected
        assert "of the former file, typed on" in ada.cell_text(0)
        assert "uploaded" not in ada.cell_text(0)
        await ada.disconnect()

        async def kept() -> bool:
            snapshots = [
                await bookstore.version(PATH, version["version_id"])
                for version in await bookstore.snapshots(PATH)
            ]
            return any("of the former file, typed on" in str(each["model"]) for each in snapshots)

        await eventually(kept, within=30, what="what was typed into the dead room")
        async with people(["cleo"], PATH) as (cleo,):
            await all_connect([cleo], server)
            assert cleo.cell_text(0) == "the uploaded one"
        assert "Another program changed the file" not in server.log_text()
