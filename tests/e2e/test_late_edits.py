"""What a tab typed while it was away is a version, though its file was changed by other means."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import find_marks
from harness.jupyter.notebooks import read_notebook, sample_notebook, sources
from harness.jupyter.old_files import KERNEL, code, notebook
from harness.jupyter.people import people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"
NewDisk = Callable[[], Disk]
Json = dict[str, Any]

MODERN = sample_notebook()
WITHOUT_IDS = notebook(code("one"), code("two"), minor=4, **KERNEL)
"""A reset replaces all of its cells."""


def changed(body: Json) -> Json:
    """As another program leaves the notebook: the first cell is another one."""
    other = copy.deepcopy(body)
    other["cells"][0] = {**other["cells"][1], "source": "by another program"}
    if "id" in other["cells"][0]:
        other["cells"][0]["id"] = "other"
    return other


@pytest.fixture
def disk(new_disk: NewDisk) -> Disk:
    return new_disk()


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    config = s3_store(moto_server, moto_bucket, checkpoint_idle_delay=0.3)
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    return config


async def everything_archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return bool(status["documents"]) and not status["pending_updates"]

    await eventually(archived, within=30, what="all of it to be archived")


async def late_version(server: JupyterProcess) -> Json:
    """The version of what came too late, when there is one, and the document is current again."""

    async def made() -> Json | None:
        versions = await BookstoreAPI(server).snapshots(PATH)
        late = (each for each in versions[1:] if each["origin"].startswith("late:"))
        return next(late, None)

    return await eventually(made, within=30, what="a version of late edits")


async def check_late_version(
    server: JupyterProcess, disk: Disk, body: Json, marks: set[str]
) -> None:
    """There is a version with the marks; the document, its file, and the log are as they should."""
    api = BookstoreAPI(server)
    version = await late_version(server)
    said = (await api.version(PATH, version["version_id"]))["model"]["content"]
    assert find_marks(sources(said)).keys() == marks
    assert len(said["cells"]) == len(body["cells"])
    assert not version["is_latest"]
    newest = (await api.snapshots(PATH))[0]
    held = (await api.version(PATH, newest["version_id"]))["model"]["content"]
    assert sources(held) == sources(changed(body))
    assert sources(read_notebook(disk.file(PATH))) == sources(changed(body))

    async def told() -> list[Json]:
        return list((await api.status())["notices"])

    (notice,) = await eventually(told, within=30, what="a notice")
    assert (notice["path"], notice["version_id"]) == (PATH, version["version_id"])
    assert any(
        version["version_id"] in line for line in server.log_text().splitlines() if "[W" in line
    )


@pytest.mark.parametrize("body", [MODERN, WITHOUT_IDS], ids=["with ids", "format 4.4"])
@pytest.mark.parametrize("first", [True, False], ids=["at once", "to a later room"])
async def test_a_tab_that_was_away_when_the_file_was_changed(
    body: Json, first: bool, disk: Disk, config: Config
) -> None:
    disk.place(PATH, body)
    async with people(["ann", "ben"], PATH) as (ann, ben):
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            await everything_archived(server)
            await server.sigterm(30)
            await ann.wait_closed()
        disk.place(PATH, changed(body))
        for _ in range(20):
            ann.mark(0)
        async with JupyterProcess(disk, config) as server:
            if not first:  # the room that was reset is closed before the tab comes back
                await ben.connect(server)
                assert sources(ben.content()) == sources(changed(body))
                await ben.disconnect()
                await everything_gone(server)
            await ann.connect(server)
            assert sources(ann.content()) == sources(changed(body))
            await check_late_version(server, disk, body, set(ann.made))
            version = await late_version(server)
            await BookstoreAPI(server).restore(PATH, version["version_id"])
            await ann.wait_for_marks(set(ann.made))


async def everything_gone(server: JupyterProcess) -> None:
    """Wait until no room is open."""

    async def closed() -> bool:
        async with server.http() as http:
            answer = await http.get("/api/bookstore")
        return not answer.json()["pending_updates"] and "deleted" in server.log_text()

    await eventually(closed, within=30, what="the room to be closed")


async def test_a_server_that_stops_keeps_them_first(disk: Disk, config: Config) -> None:
    disk.place(PATH, WITHOUT_IDS)
    async with RTCClient("ann", PATH) as ann:
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            await everything_archived(server)
            await server.sigterm(30)
            await ann.wait_closed()
        disk.place(PATH, changed(WITHOUT_IDS))
        ann.mark(0)
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            await server.sigterm(30)
            await ann.wait_closed()
        async with JupyterProcess(disk, config) as server:
            version = await late_version(server)
            model = (await BookstoreAPI(server).version(PATH, version["version_id"]))["model"]
            assert find_marks(sources(model["content"])).keys() == set(ann.made)


async def test_what_is_typed_into_cells_that_stay_is_merged_and_no_version_of_its_own(
    disk: Disk, config: Config
) -> None:
    disk.place(PATH, MODERN)
    async with RTCClient("ann", PATH) as ann:
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            await everything_archived(server)
            await server.sigterm(30)
            await ann.wait_closed()
        disk.place(PATH, changed(MODERN))
        ann.mark(2)
        async with JupyterProcess(disk, config) as server:
            await ann.connect(server)
            await ann.wait_for_marks(set(ann.made))
            await everything_archived(server)
            await ann.disconnect()
            await server.sigterm(30)
        async with JupyterProcess(disk, config) as server:
            versions = await BookstoreAPI(server).snapshots(PATH)
            assert not any(each["origin"].startswith("late:") for each in versions)
            assert (await BookstoreAPI(server).status())["notices"] == []
