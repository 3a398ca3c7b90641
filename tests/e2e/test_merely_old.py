"""A file that is merely old, or says the same, changes nothing in the document it belongs to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled, find_marks
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.old_files import LOADS_OTHERWISE, code, notebook
from harness.jupyter.people import people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server, connect

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/old.ipynb"
NewDisk = Callable[[], Disk]
kinds = pytest.mark.parametrize("kind", LOADS_OTHERWISE)


def in_file(disk: Disk) -> dict[str, Any]:
    """The traits of a store whose buffer is a file on `disk`."""
    return {"db_path": str(disk.data / "buffer.db")}


def files_on(disk: Disk) -> dict[str, bytes]:
    """What the files of a disk say."""
    return {path.name: path.read_bytes() for path in disk.root.iterdir() if path.is_file()}


def marks_in_file(disk: Disk) -> set[str]:
    """The marks in the file; none of one of nbformat 3, which nobody has saved."""
    saved = peek_notebook(disk.file(PATH))
    return set(find_marks(sources(saved))) if saved and "cells" in saved else set()


async def everything_archived(server: JupyterProcess) -> None:
    """Wait until nothing is pending."""
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return bool(status["documents"]) and not status["pending_updates"]

    await eventually(archived, within=30, what="all of it to be archived")


async def accepted(ann: RTCClient, ben: RTCClient, count: int) -> set[str]:
    """Marks in a cell that was there and in a new one, which another person has seen."""
    ann.append_cell(code("", id="added"))
    marks = {ann.mark(index) for _ in range(count) for index in (0, len(ann.texts()) - 1)}
    await ben.wait_for_marks(marks)
    return marks


async def check_that_all_is_there(
    server: JupyterProcess, disk: Disk, ann: RTCClient, marks: set[str]
) -> None:
    """A newcomer, one who was there all the while, and the file have every mark once."""
    await ann.connect(server)
    async with RTCClient("newcomer", PATH) as newcomer:
        await newcomer.connect(server)
        await newcomer.wait_for_marks(marks)
        await ann.wait_for_marks(marks)
        for client in (ann, newcomer):
            assert doubled(client.marks()) == {}
        assert sources(ann.content()) == sources(newcomer.content())
    await eventually(lambda: marks_in_file(disk) == marks, within=30, what="the file")
    assert "Another program changed the file" not in server.log_text()


@kinds
async def test_what_was_typed_before_the_first_save_survives_a_kill(
    kind: str, new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    disk.place(PATH, LOADS_OTHERWISE[kind])
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.5, **in_file(disk))
    never = {"YDocExtension": {**config["YDocExtension"], "document_save_delay": 600}}
    async with people(["ann", "ben"], PATH) as (ann, ben):
        async with JupyterProcess(disk, {**config, **never}) as server:
            await ann.connect(server)
            await ben.connect(server)
            marks = await accepted(ann, ben, 5)
            await everything_archived(server)
            server.sigkill()
            await ann.wait_closed()
            await ben.wait_closed()
        assert not marks_in_file(disk)
        async with JupyterProcess(disk, config) as server:
            async with RTCClient("first", PATH) as first:
                await first.connect(server)
                await first.wait_for_marks(marks)
            await check_that_all_is_there(server, disk, ann, marks)


@pytest.mark.parametrize("kind", ["new", "format 3"])
async def test_the_original_file_on_a_fresh_disk_is_merely_old(
    kind: str, new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    first, fresh = new_disk(), new_disk()
    for disk in (first, fresh):
        disk.place(PATH, LOADS_OTHERWISE[kind])
    config = s3_store(moto_server, moto_bucket)
    async with people(["ann", "ben"], PATH) as (ann, ben):
        async with JupyterProcess(first, config) as server:
            await ann.connect(server)
            await ben.connect(server)
            marks = await accepted(ann, ben, 5)
            await server.sigterm(30)
            await ann.wait_closed()
            await ben.wait_closed()
        async with JupyterProcess(fresh, config) as server:
            await check_that_all_is_there(server, fresh, ann, marks)


@pytest.mark.parametrize("kind", ["new", "format 4.4"])
async def test_what_a_tab_typed_while_the_server_was_away_is_there(
    kind: str, new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    disk.place(PATH, LOADS_OTHERWISE[kind])
    config = s3_store(moto_server, moto_bucket, **in_file(disk))
    async with RTCClient("ann", PATH) as ann:
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            if kind != "new":  # a save signs it: from then on its cells are loaded as trusted
                ann.mark(0)
                await eventually(lambda: bool(marks_in_file(disk)), within=30, what="a save")
                await everything_archived(server)
            await server.sigterm(30)
            await ann.wait_closed()
        for _ in range(40):
            ann.mark(0)
        async with JupyterProcess(disk, config) as server:
            await check_that_all_is_there(server, disk, ann, set(ann.made))


async def test_opening_and_closing_without_an_edit_makes_no_version(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    """But the first, which is what its history begins with; and no file is written, though the
    tabs that come back bring what earlier rooms noted in the document."""
    disk = new_disk()
    notebooks = {**LOADS_OTHERWISE, "sample": sample_notebook()}
    texts = {"crlf": b"a\r\nb\r\n", "bom": b"\xef\xbb\xbfa\nb", "bare": b"a"}
    for name, content in notebooks.items():
        disk.place(f"{name}.ipynb", content)
    for name, body in texts.items():
        disk.file(f"{name}.txt").write_bytes(body)
    clients = [RTCClient("ann", f"{name}.ipynb") for name in notebooks] + [
        RTCClient("ann", f"{name}.{kind}", file_format="text", file_type=type_)
        for name in texts
        for kind, type_ in (("txt", "file"), ("txt", "drawing"))
    ]
    before = files_on(disk)
    config = s3_store(moto_server, moto_bucket, checkpoint_idle_delay=0.2, document_ttl=0.5)
    config["YDocExtension"] |= {"document_cleanup_delay": 0, "document_save_delay": 0}
    async with JupyterProcess(disk, config) as server:
        api = BookstoreAPI(server)

        async def closed() -> bool:
            return not (await api.status())["documents"]

        for _ in range(3):
            for client in clients:
                await client.connect(server)
            await everything_archived(server)
            for client in clients:
                await client.disconnect()
            await eventually(closed, within=60, what="all rooms to be closed")
        assert "Saving the content" not in server.log_text()
    listed = connect(moto_server).list_object_versions(Bucket=moto_bucket)["Versions"]
    counts = Counter(version["Key"] for version in listed if ".bookstore/" not in version["Key"])
    assert len(counts) == len(clients)
    assert set(counts.values()) == {1}
    assert files_on(disk) == before


@pytest.mark.parametrize("buffered", [False, True], ids=["in memory", "in a file"])
async def test_nothing_doubles_when_all_but_the_file_is_lost_right_after_its_save(
    buffered: bool, new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    disk, fresh = new_disk(), new_disk()
    disk.place(PATH, notebook())
    traits = in_file(disk) if buffered else {}
    async with people(["ann", "ben"], PATH) as (ann, ben):
        async with JupyterProcess(disk, s3_store(moto_server, moto_bucket, **traits)) as server:
            await ann.connect(server)
            await ben.connect(server)
            marks = await accepted(ann, ben, 3)
            await eventually(
                lambda: marks_in_file(disk) == marks, within=30, what="a save", interval=0.005
            )
            server.sigkill()
            await ann.wait_closed()
            await ben.wait_closed()
        fresh.file(PATH).parent.mkdir()
        shutil.copy(disk.file(PATH), fresh.file(PATH))
        async with JupyterProcess(fresh, s3_store(moto_server, moto_bucket)) as server:
            await ben.connect(server)
            await check_that_all_is_there(server, fresh, ann, marks)


async def test_a_save_does_not_wait_for_a_bucket_that_is_gone(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    config: Config = s3_store(moto_server, moto_bucket)
    async with JupyterProcess(disk, config) as server, RTCClient("ann", PATH) as ann:
        await ann.connect(server)
        await everything_archived(server)
        client = connect(moto_server)
        listed = client.list_object_versions(Bucket=moto_bucket)
        for version in listed.get("Versions", []):
            client.delete_object(
                Bucket=moto_bucket, Key=version["Key"], VersionId=version["VersionId"]
            )
        client.delete_bucket(Bucket=moto_bucket)
        for _ in range(2):
            ann.mark(0)
            await eventually(lambda: marks_in_file(disk) == set(ann.made), within=30, what="a save")


async def test_a_notebook_whose_file_has_no_cells_is_restored(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    config = s3_store(moto_server, moto_bucket)
    config["ServerApp"]["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    async with JupyterProcess(disk, config) as server, server.http() as http:
        api = BookstoreAPI(server)
        for count, content in enumerate([notebook(code("good", id="a")), notebook()], start=1):
            model = {"type": "notebook", "format": "json", "content": content}
            (await http.put("/api/contents/old.ipynb", json=model)).raise_for_status()

            async def is_archived(count: int = count) -> bool:
                async with server.http() as asking:
                    answer = await asking.get("/api/bookstore/versions/old.ipynb")
                return answer.is_success and len(answer.json()["versions"]) == count

            await eventually(is_archived, within=30, what=f"version {count}")
        versions = await api.versions("old.ipynb")
        await api.restore("old.ipynb", versions[-1]["version_id"])
    restored = peek_notebook(disk.file("old.ipynb"))
    assert restored is not None
    assert sources(restored) == ["good"]
