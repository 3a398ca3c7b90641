"""Tabs that were open all the while come back to a new server, by the address that they have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.people import all_agree, all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.session import request_session
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

from .bucket import Bucket

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"
MOVED = "done/tides 2026.ipynb"
NewDisk = Callable[[], Disk]

FILE_IDS = pytest.mark.parametrize("file_ids", ["ArbitraryFileIdManager", "LocalFileIdManager"])


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    return s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)


async def _archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return bool(status["documents"]) and not status["pending_updates"]

    await eventually(archived, within=30, what="all of it to be archived")


def _saved(disk: Disk, path: str = PATH) -> str:
    notebook = peek_notebook(disk.file(path))
    return "\n".join(sources(notebook)) if notebook else ""


async def _until_saved(disk: Disk, marks: set[str], path: str = PATH) -> None:
    await eventually(
        lambda: all(_saved(disk, path).count(mark) == 1 for mark in marks),
        within=30,
        what="the file to have what was typed",
    )


@FILE_IDS
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_tabs_bring_back_what_they_have_after_the_disk_was_lost(
    new_disk: NewDisk, config: Config, how: str, file_ids: str
) -> None:
    config["FileIdExtension"] = {
        "file_id_manager_class": f"jupyter_server_fileid.manager.{file_ids}"
    }
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(first, config) as server:
            await all_connect([ada, ben], server)
            marks = {ada.mark(), ben.mark()}
            await ada.wait_for_marks(marks)
            await _archived(server)
            marks |= {ada.mark(), ben.mark()}
            if how == "SIGTERM":
                await server.sigterm()
            else:
                server.sigkill()
        await all_leave([ada, ben])
        marks |= {person.mark() for person in (ada, ben) for _ in range(10)}

        async with JupyterProcess(second, config) as server:
            await all_connect([ada, ben], server)
            assert ada.refusals == ben.refusals == []
            marks |= {ada.mark(), ben.mark()}
            for person in (ada, ben):
                await person.wait_for_marks(marks)
            await all_agree([ada, ben])
            assert doubled(ada.marks()) == {}
            await _until_saved(second, marks)


async def test_tabs_of_two_disks_meet_in_one_document(new_disk: NewDisk, config: Config) -> None:
    async with people(["ada", "ben", "cleo"], PATH) as (ada, ben, cleo):
        disk = new_disk()
        disk.place(PATH, sample_notebook())
        for person in (ada, ben):
            async with JupyterProcess(disk, config) as server:
                await person.connect(server)
                person.mark()
                await _archived(server)
                await server.sigterm()
            await person.disconnect()
            disk = new_disk()
        assert ada.session.file_id != ben.session.file_id

        async with JupyterProcess(disk, config) as server:
            await all_connect([ada, ben, cleo], server)
            assert ada.refusals == ben.refusals == []
            marks = {*ada.made, *ben.made, ada.mark(), ben.mark(), cleo.mark()}
            for person in (ada, ben, cleo):
                await person.wait_for_marks(marks)
            await all_agree([ada, ben, cleo])
            assert doubled(ada.marks()) == {}
            assert (await BookstoreAPI(server).status())["documents"] == 1
            await _until_saved(disk, marks)


async def test_a_tab_finds_its_document_that_was_renamed_meanwhile(
    new_disk: NewDisk, config: Config
) -> None:
    first, second, third = new_disk(), new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(first, config) as server:
            await all_connect([ada, ben], server)
            marks = {ada.mark(), ben.mark()}
            await ada.wait_for_marks(marks)
            await _archived(server)
            await server.sigterm()
        await all_leave([ada, ben])

        async with JupyterProcess(second, config) as server:
            await ada.connect(server)
            await _rename(server, PATH, "between.ipynb")
            await _rename(server, "between.ipynb", MOVED)
            marks.add(ada.mark())
            await _until_saved(second, marks, MOVED)
            await server.sigterm()
        await ada.disconnect()

        async with JupyterProcess(third, config) as server:
            await all_connect([ada, ben], server)
            assert ada.refusals == ben.refusals == []
            marks |= {ada.mark(), ben.mark()}
            await ada.wait_for_marks(marks)
            await ben.wait_for_marks(marks)
            assert doubled(ben.marks()) == {}
            await _until_saved(third, marks, MOVED)
            assert not third.file(PATH).exists()


async def test_a_tab_of_a_deleted_document_is_not_led_to_another_of_its_name(
    new_disk: NewDisk, config: Config
) -> None:
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(first, config) as server:
            await ada.connect(server)
            ada.append(0, "of the former")
            await _archived(server)
            await ada.disconnect()
            async with server.http() as http:
                (await http.delete(f"/api/contents/{PATH}")).raise_for_status()
            await _archived_moves(server)
            first.place(PATH, sample_notebook())
            await ben.connect(server)
            mark = ben.mark()
            await _archived(server)
            await server.sigterm()
        await ben.disconnect()

        async with JupyterProcess(second, config) as server:
            with pytest.raises(ConnectionError, match="HTTP 500"):
                await ada.come_back(server)
            await ben.come_back(server)
            await ben.wait_for_marks({mark})
            assert "of the former" not in ben.cell_text(0)


async def test_a_tab_waits_while_the_bucket_cannot_be_asked(
    new_disk: NewDisk, bucket: Bucket
) -> None:
    config = s3_store(bucket.server, bucket.name, checkpoint_max_delay=0.3)
    config["BookstoreSettings"] |= {"connect_timeout": 1.0, "max_attempts": 1}
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with people(["ada"], PATH) as (ada,):
        async with JupyterProcess(first, config) as server:
            await ada.connect(server)
            marks = {ada.mark()}
            await _archived(server)
            await server.sigterm()
        await ada.disconnect()
        marks.add(ada.mark())

        bucket.down()
        async with JupyterProcess(second, config) as server:
            with pytest.raises(ConnectionError, match="HTTP 503"):
                await ada.come_back(server)
            bucket.up()
            await _until_let_in(ada, server)
            await _until_saved(second, marks)


async def test_a_tab_keeps_what_it_has_while_its_room_cannot_be_opened(
    new_disk: NewDisk, bucket: Bucket
) -> None:
    """JupyterLab lets go of a document that is refused with 1003, and of all typed into it."""
    config = s3_store(bucket.server, bucket.name, checkpoint_max_delay=0.3)
    config["BookstoreSettings"] |= {"connect_timeout": 1.0, "max_attempts": 1}
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with people(["ada"], PATH) as (ada,):
        async with JupyterProcess(disk, config) as server:
            await ada.connect(server)
            marks = {ada.mark()}
            await _archived(server)
            await server.sigterm()
        await ada.disconnect()
        marks.add(ada.mark())

        bucket.down()
        async with JupyterProcess(disk, config) as server:
            with pytest.raises(ConnectionError, match="closed with 4500"):
                await ada.come_back(server)
            bucket.up()
            await _until_let_in(ada, server)
            await _until_saved(disk, marks)


@pytest.mark.parametrize("kept", [True, False], ids=["the disk kept", "the disk lost"])
async def test_a_page_of_another_release_gives_what_it_has_before_it_is_loaded_again(
    new_disk: NewDisk, config: Config, kept: bool
) -> None:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with people(["ada", "ben"], PATH) as (ada, ben):
        async with JupyterProcess(disk, config) as server:
            await ada.connect(server)
            marks = {ada.mark()}
            await _archived(server)
            await server.sigterm()
        await ada.disconnect()
        marks.add(ada.mark())

        ada.session_is_of(server="2.9.9")
        disk = disk if kept else new_disk()
        async with JupyterProcess(disk, config) as server:
            await ada.come_back(server)
            await ada.wait_closed()
            assert ada.close_code == 1003
            assert json.loads(ada.close_reason)["reason"] == "version_mismatch"
            await ben.connect(server)
            await ben.wait_for_marks(marks)

            # The page tries again until the person has answered, and is not told twice.
            await ada.come_back(server)
            marks.add(ada.mark())
            await ben.wait_for_marks(marks)


async def test_a_page_of_another_model_is_refused(new_disk: NewDisk, config: Config) -> None:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with people(["ada"], PATH) as (ada,):
        async with JupyterProcess(disk, config) as server:
            await ada.connect(server)
            await _archived(server)
            await server.sigterm()
        await ada.disconnect()
        ada.session_is_of(model="1.0.0")
        async with JupyterProcess(new_disk(), config) as server:
            with pytest.raises(ConnectionError, match=r"1003.*unknown_session"):
                await ada.come_back(server)


@pytest.mark.parametrize("session", ["another server's", ""])
async def test_an_id_that_nobody_knows_is_answered_as_by_collaboration_itself(
    new_disk: NewDisk, config: Config, session: str
) -> None:
    disk = new_disk()
    async with JupyterProcess(disk, config) as server, server.http() as http:
        answer = await http.get(
            "/api/collaboration/room/json:notebook:0b1c4a1e-6f0c-4d2e-9d6f-6a2f6d4c7a11",
            params={"sessionId": session},
            headers=_UPGRADE,
        )
        assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
        assert "No path found for file ID" in server.log_text()


async def test_who_has_not_logged_in_is_told_so_whatever_the_room(
    new_disk: NewDisk, config: Config
) -> None:
    """A tab whose server was restarted has a token, or a cookie, of the former one."""
    async with JupyterProcess(new_disk(), config) as server, server.http() as http:
        answer = await http.get(
            "/api/collaboration/room/json:notebook:0b1c4a1e-6f0c-4d2e-9d6f-6a2f6d4c7a11",
            headers={**_UPGRADE, "Authorization": "token of yesterday"},
        )
        assert answer.status_code == httpx.codes.FORBIDDEN
        assert "No path found" not in server.log_text()


async def test_a_tab_that_is_there_before_the_archive_is_open_gets_its_document(
    new_disk: NewDisk, config: Config
) -> None:
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with people(["ada"], PATH) as (ada,):
        async with JupyterProcess(first, config) as server:
            await ada.connect(server)
            mark = ada.mark()
            await _archived(server)
            await server.sigterm()
        await ada.disconnect()

    server = JupyterProcess(second, config)
    server.start()
    try:
        async with RTCClient("ben", PATH) as ben:

            async def session() -> Any:
                try:
                    return await request_session(server, PATH, "json", "notebook")
                except httpx.TransportError:
                    return None

            await eventually(session, within=60, what="the port to answer", interval=0.001)
            await ben.connect(server)
            await ben.wait_for_marks({mark})
    finally:
        server.sigkill()


async def _until_let_in(client: RTCClient, server: JupyterProcess) -> None:
    async def let_in() -> bool:
        try:
            await client.come_back(server)
        except ConnectionError:
            return False
        return True

    await eventually(let_in, within=60, what="the tab to be let in")


_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def _rename(server: JupyterProcess, source: str, target: str) -> None:
    async with server.http() as http:
        folder = target.rpartition("/")[0]
        if folder:
            await http.put(f"/api/contents/{folder}", json={"type": "directory"})
        answer = await http.patch(f"/api/contents/{source}", json={"path": target})
        answer.raise_for_status()


async def _archived_moves(server: JupyterProcess) -> None:
    """Wait until the bucket has followed what was renamed and deleted."""
    api = BookstoreAPI(server)

    async def followed() -> bool:
        status = await api.status()
        return not status["pending_updates"] and not status.get("moves")

    await eventually(followed, within=30, what="the bucket to follow")
