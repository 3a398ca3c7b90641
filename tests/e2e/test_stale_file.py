"""What was typed and not yet saved to the file when the server stopped is not lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import normalized, read_notebook, sample_notebook
from harness.jupyter.people import all_agree, all_connect, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stale_file import (
    Stopped,
    marks_in_file,
    seen_by_a_newcomer,
    type_until_sigterm,
)
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"
SHUTDOWN_TIMEOUT = 25.0
NewDisk = Callable[[], Disk]


@dataclass(frozen=True)
class Restart:
    """Onto what the server is started again, and where its buffer was."""

    name: str
    kept: bool = True
    original_file: bool = False
    buffer_on_disk: bool = False

    def traits(self, disk: Disk) -> dict[str, Any]:
        """What the store is configured with on `disk`."""
        return {"db_path": str(disk.data / "buffer.db")} if self.buffer_on_disk else {}

    def second_disk(self, first: Disk, new_disk: NewDisk) -> Disk:
        """The disk of the second server."""
        if self.kept:
            return first
        disk = new_disk()
        if self.original_file:
            disk.place(PATH, sample_notebook())
        return disk


RESTARTS = [
    Restart("kept disk, buffer in memory"),
    Restart("kept disk, buffer on disk", buffer_on_disk=True),
    Restart("fresh disk with the original file", kept=False, original_file=True),
    Restart("fresh disk without any file", kept=False),
]


@dataclass
class Scene:
    """Three people and the server that was stopped while they typed."""

    disk: Disk
    clients: list[RTCClient]
    stopped: Stopped
    config: Config = field(repr=False)


async def play_until_the_stop(
    disk: Disk, clients: list[RTCClient], config: Config, marks: int
) -> Scene:
    disk.place(PATH, sample_notebook())
    async with JupyterProcess(disk, config) as server:
        stopped = await type_until_sigterm(server, clients, marks, exit_within=SHUTDOWN_TIMEOUT)
        assert stopped.seconds is not None, f"did not exit in time:\n{server.log_tail()}"
        assert "Not archived" not in server.log_text()
    assert len(stopped.accepted) >= marks
    return Scene(disk, clients, stopped, config)


@pytest.mark.parametrize("restart", RESTARTS, ids=lambda restart: restart.name)
async def test_every_accepted_mark_is_there_after_the_restart(
    restart: Restart, new_disk: NewDisk, moto_server: S3Server, moto_bucket: str, marks: int
) -> None:
    disk = new_disk()
    config = s3_store(moto_server, moto_bucket, **restart.traits(disk))
    async with people("abc", PATH) as clients:
        scene = await play_until_the_stop(disk, clients, config, marks)
        accepted, made = scene.stopped.accepted, scene.stopped.made

        second = restart.second_disk(disk, new_disk)
        second_config = s3_store(moto_server, moto_bucket, **restart.traits(second))
        async with JupyterProcess(second, second_config) as server:
            visible = await seen_by_a_newcomer(server, PATH)
            assert accepted - visible.keys() == set(), "accepted, then lost"
            assert doubled(visible) == {}

            await eventually(
                lambda: accepted <= marks_in_file(second, PATH).keys(),
                within=30.0,
                what="the file on disk to be brought forward",
            )

            await all_connect(clients, server)
            for client in clients:
                await client.wait_for_marks(made)
                assert doubled(client.marks()) == {}
                assert client.conflicts == 0
            await all_agree(clients)


async def test_a_file_changed_by_other_means_wins_and_the_log_names_what_it_replaced(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str, marks: int
) -> None:
    disk = new_disk()
    config = s3_store(moto_server, moto_bucket)
    changed = sample_notebook()
    changed["cells"][1]["source"] = "print('written by a script, with no server near')"
    async with people("abc", PATH) as clients:
        scene = await play_until_the_stop(disk, clients, config, marks)
        accepted = scene.stopped.accepted
        disk.place(PATH, changed)

        async with JupyterProcess(disk, config) as server, RTCClient("newcomer", PATH) as newcomer:
            await newcomer.connect(server)
            assert normalized(newcomer.content()) == normalized(changed)
            assert normalized(read_notebook(disk.file(PATH))) == normalized(changed)

            bookstore = BookstoreAPI(server)
            named = await eventually(
                lambda: versions_named_in_a_warning(server, bookstore),
                within=10.0,
                what="a warning that names the version which the file replaced",
            )
            await bookstore.restore(PATH, named[0])
            await newcomer.wait_for_marks(accepted)
            assert doubled(newcomer.marks()) == {}


async def test_old_clients_do_not_double_anything_in_a_file_that_was_changed_by_other_means(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str, marks: int
) -> None:
    disk = new_disk()
    config = s3_store(moto_server, moto_bucket)
    changed = sample_notebook()
    changed["cells"][1]["source"] = "print('written by a script, with no server near')"
    async with people("abc", PATH) as clients:
        scene = await play_until_the_stop(disk, clients, config, marks)
        disk.place(PATH, changed)
        async with JupyterProcess(disk, config) as server:
            await all_connect(clients, server)
            await all_agree(clients)
            unheard = scene.stopped.made - scene.stopped.accepted
            for client in clients:
                assert client.marks().keys() <= unheard, "what the file replaced came back"
                assert doubled(client.marks()) == {}
                assert len(client.texts()) == len(changed["cells"])
                assert changed["cells"][1]["source"] in client.cell_text(1)


async def versions_named_in_a_warning(server: JupyterProcess, bookstore: BookstoreAPI) -> list[str]:
    """Ids of the document's versions that a line of level W or above of the log has."""
    loud = [line for line in server.log_text().splitlines() if line.startswith(("[W", "[E"))]
    ids = [version["version_id"] for version in await bookstore.versions(PATH)]
    return [version_id for version_id in ids if any(version_id in line for line in loud)]
