"""Two people edit a notebook; the server and its disk go away; every version comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI, Json
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import normalized, peek_notebook, read_notebook, sample_notebook
from harness.jupyter.people import all_agree, all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e]

PATH = "work/tides.ipynb"
SHUTDOWN_TIMEOUT = 25.0
NewDisk = Callable[[], Disk]


async def edit_together(ada: RTCClient, ben: RTCClient) -> None:
    """Both edit at once: in one cell, in different cells, cells come and go, outputs change."""

    async def ada_edits() -> None:
        await ada.type_text(0, " Ada was here.")
        await ada.type_text(1, "\n# north gauge")
        for _ in range(10):
            ada.mark(2)
            await asyncio.sleep(0)
        ada.append_cell({"cell_type": "markdown", "metadata": {}, "source": "Ada's conclusion"})

    async def ben_edits() -> None:
        await ben.type_text(0, " So was Ben.")
        ben.add_stream_output(1, "stdout", "reading again\n")
        for _ in range(10):
            ben.mark(2)
            await asyncio.sleep(0)
        ben.delete_cell(4)

    await asyncio.gather(ada_edits(), ben_edits())
    await all_agree([ada, ben])


FROM_FILE = 0
"""The client id of what a room takes from a file (jupyter_server_ydoc's rooms.py)."""

SecondDisk = Callable[[Disk, NewDisk], Disk]


def empty(first: Disk, new_disk: NewDisk) -> Disk:
    return new_disk()


def with_the_original_file(first: Disk, new_disk: NewDisk) -> Disk:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


def with_the_saved_file(first: Disk, new_disk: NewDisk) -> Disk:
    disk = new_disk()
    disk.place(PATH, read_notebook(first.file(PATH)))
    return disk


@pytest.mark.parametrize(
    "make_disk",
    [
        empty,
        pytest.param(with_the_original_file, marks=pytest.mark.slow),
        pytest.param(with_the_saved_file, marks=pytest.mark.slow),
    ],
)
async def test_the_document_its_history_and_its_versions_survive_the_server_and_its_disk(
    new_disk: NewDisk, make_disk: SecondDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    config = s3_store(moto_server, moto_bucket)
    first_disk = new_disk()
    first_disk.place(PATH, sample_notebook())

    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(first_disk, config) as server:
            await all_connect([ada, ben], server)
            assert normalized(ada.content()) == normalized(sample_notebook())
            await edit_together(ada, ben)
            if make_disk is with_the_saved_file:
                await until_saved(first_disk, ada)
            await server.sigterm(SHUTDOWN_TIMEOUT)
            assert "Not archived" not in server.log_text()
        await all_leave([ada, ben])
        content, history = normalized(ada.content()), ada.state_vector()
        assert {ada.client_id, ben.client_id} <= history.keys()
        assert len(ada.marks()) == 20

        second_disk = make_disk(first_disk, new_disk)
        async with JupyterProcess(second_disk, config) as server:
            async with RTCClient("newcomer", PATH) as newcomer:
                await newcomer.connect(server)
                assert normalized(newcomer.content()) == content
                came_back = newcomer.state_vector()
                # All that was loaded and typed; not what the room merely noted since, as of a save.
                authors = (FROM_FILE, ada.client_id, ben.client_id)
                assert {who: came_back[who] for who in authors} == {
                    who: history[who] for who in authors
                }

                await all_connect([ada, ben], server)
                await all_agree([newcomer, ada, ben])
                assert normalized(newcomer.content()) == content
                assert doubled(newcomer.marks()) == {}
                assert ada.conflicts == ben.conflicts == 0

            versions = await BookstoreAPI(server).versions(PATH)
            assert_listed_newest_first(versions)
            assert normalized(newest_snapshot(versions, moto_server, moto_bucket)) == content

            await until_saved(second_disk, ada)
            await edit_on(ada, ben)


async def test_an_old_version_is_restored_live_as_new_edits(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.5)
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    reader = S3Reader(moto_server, moto_bucket)

    async with (
        JupyterProcess(disk, config) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
    ):
        bookstore = BookstoreAPI(server)
        await all_connect([ada, ben], server)
        await edit_together(ada, ben)
        old = normalized(ada.content())

        async def checkpointed() -> Json | None:
            for version in await bookstore.snapshots(PATH):
                held = reader.snapshot(version["key"], version["version_id"])
                if normalized(held) == normalized(ada.content()):
                    return version
            return None

        version = await eventually(checkpointed, within=15.0, what="a version of the first state")

        ada.replace(0, "# Something else entirely")
        ben.delete_cell(2)
        ben.append_cell({"cell_type": "code", "metadata": {}, "source": "1/0", "outputs": []})
        await all_agree([ada, ben])
        await eventually(checkpointed, within=15.0, what="a version of the second state")
        before = ada.state_vector()

        await bookstore.restore(PATH, version["version_id"])
        for client in (ada, ben):
            await client.wait_until(lambda: normalized(client.content()) == old)  # noqa: B023
            assert doubled(client.marks()) == {}
        await all_agree([ada, ben])
        after = ada.state_vector()
        assert all(after[who] >= clock for who, clock in before.items()), "history was put back"
        assert after != before

        restored = await eventually(checkpointed, within=15.0, what="a version of the restored")
        assert restored["is_latest"]
        assert restored["origin"] == f"restore:{version['version_id']}"
        assert_listed_newest_first(await bookstore.versions(PATH))

        await edit_on(ada, ben)


async def test_the_server_tells_the_state_of_its_bucket(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    config = s3_store(moto_server, moto_bucket)
    async with JupyterProcess(new_disk(), config) as server:
        status = await BookstoreAPI(server).status()
        assert status["status"]


async def until_saved(disk: Disk, client: RTCClient) -> None:
    """Wait until the file holds what the client sees."""

    def saved() -> bool:
        notebook = peek_notebook(disk.file(PATH))
        return notebook is not None and normalized(notebook) == normalized(client.content())

    await eventually(saved, within=20.0, what="the file to hold what was typed")


async def edit_on(ada: RTCClient, ben: RTCClient) -> None:
    """Show that both are still heard: each sees what the other types next."""
    said_by_ada, said_by_ben = ada.mark(0), ben.mark(0)
    await ada.wait_for_marks({said_by_ben})
    await ben.wait_for_marks({said_by_ada})


def assert_listed_newest_first(versions: list[Json]) -> None:
    assert versions
    expected = {"version_id", "key", "last_modified", "size", "is_latest", "kind"}
    expected |= {"label", "authors", "parent", "origin"}
    assert all(expected <= version.keys() for version in versions)
    times = [version["last_modified"] for version in versions]
    assert times == sorted(times, reverse=True)
    assert len({(version["key"], version["version_id"]) for version in versions}) == len(versions)
    for key in {version["key"] for version in versions}:
        latest = [version["is_latest"] for version in versions if version["key"] == key]
        assert latest == [True] + [False] * (len(latest) - 1)


def newest_snapshot(versions: list[Json], s3: S3Server, bucket: str) -> Any:
    newest = next(version for version in versions if version["kind"] == "snapshot")
    return S3Reader(s3, bucket).snapshot(newest["key"], newest["version_id"])
