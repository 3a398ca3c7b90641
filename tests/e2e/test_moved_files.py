"""Files that get another path without an event: by `mv`, or a contents manager that emits none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.people import all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW, BESIDE = "old/a.ipynb", "new/b.ipynb", "old/b.ipynb"


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)
    config["FileIdExtension"] = {
        "file_id_manager_class": "jupyter_server_fileid.manager.LocalFileIdManager"
    }
    return config


def _saved(disk: Disk, path: str) -> str:
    """What the cells of a file say; nothing while there is no file."""
    notebook = peek_notebook(disk.file(path))
    return "\n".join(sources(notebook)) if notebook else ""


def _move(disk: Disk, source: str, target: str) -> None:
    disk.file(target).parent.mkdir(parents=True, exist_ok=True)
    Path(disk.file(source)).rename(disk.file(target))


async def _archived(server: JupyterProcess, path: str, mark: str) -> None:
    bookstore = BookstoreAPI(server)

    async def newest_has_it() -> bool:
        for version in await bookstore.snapshots(path):
            held = await bookstore.version(path, version["version_id"])
            return version["path"] == path and mark in str(held["model"]["content"])
        return False

    await eventually(newest_has_it, within=30, what=f"{mark} in a version of {path}")


async def _is_one_document(
    server: JupyterProcess, path: str, clients: list[RTCClient], marks: set[str]
) -> None:
    """All who come to it, by whichever name, are in one document with all of it once."""
    await all_connect(clients, server)
    for client in clients:
        await client.wait_for_marks(marks)
        assert not doubled(client.marks())
    last = clients[0].mark(0)
    for client in clients:
        await client.wait_for_marks({last})
    await eventually(lambda: last in _saved(server.disk, path), within=20, what="the save")
    await _archived(server, path, last)
    assert len({client.cell_text(0) for client in clients}) == 1
    assert "Another program changed the file" not in server.log_text()


@pytest.mark.parametrize("moved", ["a file", "a folder"])
async def test_a_file_that_is_moved_while_it_is_open_is_one_document(
    new_disk: Callable[[], Disk], config: Config, moved: str
) -> None:
    disk = new_disk()
    disk.place(OLD, sample_notebook())
    source, target = (OLD, NEW) if moved == "a file" else ("old", "new")
    path = NEW if moved == "a file" else "new/a.ipynb"
    async with people(["ada"], OLD) as (ada,), people(["ben"], path) as (ben,):
        async with JupyterProcess(disk, config) as server:
            await all_connect([ada], server)
            marks = {ada.mark(0)}
            await _archived(server, OLD, max(marks))
            _move(disk, source, target)
            marks.add(ada.mark(0))
            await eventually(
                lambda: all(m in _saved(disk, path) for m in marks), within=20, what="the save"
            )
            await _archived(server, path, ada.made[-1])
            assert any(
                version["path"] == OLD for version in await BookstoreAPI(server).snapshots(path)
            )
            await all_leave([ada])
            await server.sigterm(30)
        async with JupyterProcess(disk, config) as server:
            await _is_one_document(server, path, [ada, ben], marks)


async def test_a_file_that_is_moved_while_no_server_runs_is_found_by_its_tabs(
    new_disk: Callable[[], Disk], config: Config
) -> None:
    """By those of the folder: the manager finds no file in a folder that is new at its start."""
    disk = new_disk()
    disk.place(OLD, sample_notebook())
    async with people(["ada"], OLD) as (ada,), people(["ben"], BESIDE) as (ben,):
        async with JupyterProcess(disk, config) as server:
            await all_connect([ada], server)
            marks = {ada.mark(0)}
            await _archived(server, OLD, max(marks))
            await all_leave([ada])
            await server.sigterm(30)
        _move(disk, OLD, BESIDE)
        marks.add(ada.mark(0))
        async with JupyterProcess(disk, config) as server:
            await all_connect([ada], server)  # the first, who says where it was
            await ada.disconnect()
            await _is_one_document(server, BESIDE, [ada, ben], marks)


async def test_a_manager_that_emits_no_events_is_followed(
    new_disk: Callable[[], Disk], config: Config
) -> None:
    del config["FileIdExtension"]
    config["ServerApp"]["contents_manager_class"] = "tests.contents.managers.Silent"
    config["FileContentsManager"] = {"delete_to_trash": False}
    disk = new_disk()
    disk.place(OLD, sample_notebook())
    async with (
        people(["ada"], OLD) as (ada,),
        people(["ben"], BESIDE) as (ben,),
        JupyterProcess(disk, config) as server,
        server.http() as http,
    ):
        await all_connect([ada], server)
        marks = {ada.mark(0)}
        await _archived(server, OLD, max(marks))
        answer = await http.patch(f"/api/contents/{OLD}", json={"path": BESIDE})
        answer.raise_for_status()
        marks.add(ada.mark(0))
        await _archived(server, BESIDE, ada.made[-1])
        await all_leave([ada])
        await _is_one_document(server, BESIDE, [ada, ben], marks)

        await all_leave([ada, ben])
        (await http.delete(f"/api/contents/{BESIDE}")).raise_for_status()
        bookstore = BookstoreAPI(server)

        async def deleted() -> bool:
            (newest, *_) = await bookstore.snapshots(BESIDE)
            return not newest["is_latest"]

        await eventually(deleted, within=20, what="a delete marker")
