"""Documents that no version was made of before their server and its disk went: the tabs in which
they are open bring them back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bookstore_y.jupyter.tab_sessions import TabSession
from bookstore_y.local.waiting import eventually
from bookstore_y.stress.session import Session
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled, find_marks
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.people import all_agree, all_connect, all_leave
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

from .bucket import Bucket
from .silent_client import silent_client

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NewDisk = Callable[[], Disk]

NOTEBOOK, TEXT = "work/Untitled.ipynb", "work/untitled.txt"


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    """Nothing is archived or saved by itself while a document is open."""
    config = s3_store(
        moto_server, moto_bucket, checkpoint_max_delay=3600.0, checkpoint_idle_delay=3600.0
    )
    config["YDocExtension"]["document_save_delay"] = 3600.0
    return config


@pytest.fixture
def usual(moto_server: S3Server, moto_bucket: str) -> Config:
    return s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)


def _person(name: str, path: str = NOTEBOOK) -> RTCClient:
    file_format, file_type = ("text", "file") if path == TEXT else ("json", "notebook")
    return RTCClient(name, path, file_format=file_format, file_type=file_type)


async def _make(server: JupyterProcess, path: str = NOTEBOOK) -> None:
    """Make a file as *File, New* does."""
    folder, _, _ = path.rpartition("/")
    async with server.http() as http:
        (await http.put(f"/api/contents/{folder}", json={"type": "directory"})).raise_for_status()
        made = await http.post(f"/api/contents/{folder}", json=_NEW[path])
        assert made.json()["path"] == path


_NEW = {NOTEBOOK: {"type": "notebook"}, TEXT: {"type": "file", "ext": ".txt"}}


async def _made_and_lost(disk: Disk, config: Config, people: list[RTCClient]) -> set[str]:
    """People make a document and type into it; then server and disk are gone."""
    path = people[0].path
    async with JupyterProcess(disk, config) as server:
        await BookstoreAPI(server).until_started()
        await _make(server, path)
        await all_connect(people, server)
        marks = {person.mark() for person in people for _ in range(5)}
        for person in people:
            await person.wait_for_marks(marks)
        assert await _versions(server, path) == []
        server.sigkill()
    await all_leave(people)
    return marks


async def _versions(server: JupyterProcess, path: str = NOTEBOOK) -> list[dict[str, Any]]:
    try:
        return await BookstoreAPI(server).snapshots(path)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return []


def _saved(disk: Disk, path: str) -> list[str]:
    file = disk.file(path)
    if path == TEXT:
        return [file.read_text()] if file.exists() else []
    return sources(peek_notebook(file) or {"cells": []})


async def _until_saved(disk: Disk, path: str, marks: set[str]) -> None:
    await eventually(
        lambda: find_marks(_saved(disk, path)) == dict.fromkeys(marks, 1),
        within=60,
        what="the file to have what was typed, once",
    )


@pytest.mark.parametrize("path", [NOTEBOOK, TEXT])
@pytest.mark.parametrize("file_ids", ["ArbitraryFileIdManager", "LocalFileIdManager"])
async def test_two_tabs_bring_back_a_document_that_nobody_else_has(
    new_disk: NewDisk, config: Config, usual: Config, path: str, file_ids: str
) -> None:
    manager = {"file_id_manager_class": f"jupyter_server_fileid.manager.{file_ids}"}
    usual["FileIdExtension"] = config["FileIdExtension"] = manager
    async with _person("ada", path) as ada, _person("ben", path) as ben, _person("cy", path) as cy:
        marks = await _made_and_lost(new_disk(), config, [ada, ben])
        cells = len(ada.texts())
        marks |= {ada.mark(), ben.mark()}  # while there is no server

        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            await all_connect([ada, ben], server)
            assert ada.refusals == ben.refusals == []
            marks |= {ada.mark(), ben.mark()}
            await cy.connect(server)
            marks.add(cy.mark())
            for person in (ada, ben, cy):
                await person.wait_for_marks(marks)
            await all_agree([ada, ben, cy])
            assert doubled(cy.marks()) == {}
            assert len(cy.texts()) == cells
            await _until_saved(disk, path, marks)
            assert await _versions(server, path)
            assert "an open tab brought it back" in server.log_text()
            await server.sigterm()
        await all_leave([ada, ben, cy])

        # From here on it is a document like any other.
        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            await all_connect([ada, ben, cy], server)
            assert ada.refusals == ben.refusals == cy.refusals == []
            marks |= {ada.mark(), ben.mark(), cy.mark()}
            for person in (ada, ben, cy):
                await person.wait_for_marks(marks)
            await _until_saved(disk, path, marks)


async def test_a_tab_that_comes_back_later_than_another_finds_the_document_that_brought(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada, _person("ben") as ben:
        marks = await _made_and_lost(new_disk(), config, [ada, ben])
        async with JupyterProcess(new_disk(), usual) as server:
            await ada.come_back(server)
            marks.add(ada.mark())
            await eventually(lambda: _versions(server), within=30, what="a version")
            server.sigkill()
        await ada.disconnect()
        marks |= {ada.mark(), ben.mark()}

        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            await ben.come_back(server)
            await ada.come_back(server)
            for person in (ada, ben):
                await person.wait_for_marks(marks)
            assert doubled(ben.marks()) == {}
            await _until_saved(disk, NOTEBOOK, marks)


async def test_who_opens_the_path_meanwhile_waits_for_what_the_tab_has(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada, _person("ben") as ben:
        marks = await _made_and_lost(new_disk(), config, [ada])
        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            async with silent_client(server, NOTEBOOK, ada.session):
                with pytest.raises(ConnectionError, match="HTTP 409"):
                    await ben.connect(server)
            await ada.come_back(server)
            await ben.connect(server)
            await ben.wait_for_marks(marks)
            assert len(ben.texts()) == len(ada.texts())
            await _until_saved(disk, NOTEBOOK, marks)


async def test_nothing_stays_of_a_document_that_its_tab_did_not_bring(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada, _person("ada's other tab") as empty:
        await _made_and_lost(new_disk(), config, [ada])
        empty.takes_session_of(ada)
        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            with contextlib.suppress(ConnectionError):  # it may be told later
                await empty.come_back(server)
            await empty.wait_closed()
            assert empty.close_code == 4500
            with pytest.raises(ConnectionError, match="HTTP 500"):
                await empty.come_back(server)
            await server.sigterm()
        assert not disk.file(NOTEBOOK).exists()
        async with JupyterProcess(new_disk(), usual) as server:
            assert await _versions(server) == []
            await ada.come_back(server)


async def test_a_file_that_is_there_is_left_alone(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada:
        await _made_and_lost(new_disk(), config, [ada])
        disk = new_disk()
        disk.place(NOTEBOOK, sample_notebook())
        async with JupyterProcess(disk, usual) as server:
            with pytest.raises(ConnectionError, match="HTTP 500"):
                await ada.come_back(server)
            assert peek_notebook(disk.file(NOTEBOOK)) == sample_notebook()


async def test_a_tab_waits_while_the_bucket_cannot_say_whether_it_has_the_document(
    new_disk: NewDisk, bucket: Bucket
) -> None:
    def configured(**traits: Any) -> Config:
        config = s3_store(bucket.server, bucket.name, **traits)
        config["BookstoreSettings"] |= {"connect_timeout": 1.0, "max_attempts": 1}
        return config

    never = configured(checkpoint_max_delay=3600.0, checkpoint_idle_delay=3600.0)
    never["YDocExtension"]["document_save_delay"] = 3600.0
    async with _person("ada") as ada:
        marks = await _made_and_lost(new_disk(), never, [ada])
        bucket.down()
        disk = new_disk()
        async with JupyterProcess(disk, configured(checkpoint_max_delay=0.3)) as server:
            with pytest.raises(ConnectionError, match="HTTP 503"):
                await ada.come_back(server)
            assert not disk.file(NOTEBOOK).exists()
            bucket.up()
            await eventually(lambda: _is_back(ada, server), within=60, what="the tab to be back")
            await _until_saved(disk, NOTEBOOK, marks)


async def _is_back(person: RTCClient, server: JupyterProcess) -> bool:
    try:
        await person.come_back(server)
    except ConnectionError:
        return False
    return True


async def test_two_documents_of_one_name_do_not_mix(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada, _person("ben") as ben:
        marks = await _made_and_lost(new_disk(), config, [ada])
        await _made_and_lost(new_disk(), config, [ben])
        for _ in range(2):
            disk = new_disk()
            async with JupyterProcess(disk, usual) as server:
                await ada.come_back(server)
                await _until_saved(disk, NOTEBOOK, marks)
                await eventually(lambda: _versions(server), within=30, what="a version")
                with pytest.raises(ConnectionError, match="HTTP 500"):
                    await ben.come_back(server)
                marks.add(ada.mark())
                await server.sigterm()
            await ada.disconnect()
            assert ada.conflicts == 0


async def test_who_may_write_no_files_brings_none(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    async with _person("ada") as ada:
        await _made_and_lost(new_disk(), config, [ada])
        usual["ServerApp"]["authorizer_class"] = "tests.rest.authorizers.NoWriting"
        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            with pytest.raises(ConnectionError, match="HTTP 500"):
                await ada.come_back(server)
        assert not disk.file(NOTEBOOK).exists()


async def test_a_session_that_was_made_up_leads_to_no_other_file(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    """What a tab says of itself is written by whoever has the page."""
    theirs, unkept = "work/theirs.ipynb", "work/unkept.ipynb"
    async with _person("ada") as ada:
        await _made_and_lost(new_disk(), config, [ada])
        before = new_disk()
        before.place(unkept, sample_notebook())
        async with JupyterProcess(before, usual) as server, _person("ben", unkept) as ben:
            await ben.connect(server)
            await eventually(lambda: _versions(server, unkept), within=30, what="a version")
            await ben.disconnect()
            async with server.http() as http:
                (await http.delete(f"/api/contents/{unkept}")).raise_for_status()
            await server.sigterm()

        disk = new_disk()
        disk.place(theirs, sample_notebook())
        made_up = [
            *((path, ada.session.file_id) for path in (theirs, unkept)),
            *((path, ada.session.file_id) for path in _NOT_FOR_NOTEBOOKS),
            *((NOTEBOOK, file_id) for file_id in ("two words", "ids-é", "x" * 3000)),
        ]
        async with JupyterProcess(disk, usual) as server:
            files = _files(disk)
            for path, file_id in made_up:
                status = await _asking(server, _as_if_of(ada.session, path, file_id))
                assert status == httpx.codes.INTERNAL_SERVER_ERROR, (path, file_id)
            assert _files(disk) == files
            assert await _versions(server, theirs) == []
            await ada.come_back(server)  # while what is hers is still brought


_NOT_FOR_NOTEBOOKS = (
    "",
    "work",
    "work/notebook.txt",
    "../above.ipynb",
    "work/../../above.ipynb",
    "/etc/above.ipynb",
    ".hidden/notebook.ipynb",
    ".bookstore/notebook.ipynb",
    "work/" + "x" * 300 + ".ipynb",
)


def _files(disk: Disk) -> dict[str, int]:
    """When each notebook below the server's root, or beside it, was written."""
    files = disk.path.rglob("*.ipynb")
    return {str(file.relative_to(disk.path)): file.stat().st_mtime_ns for file in files}


def _as_if_of(session: Session, path: str, file_id: str) -> Session:
    given = TabSession.from_id(session.session_id)
    assert given is not None
    said = replace(given, path=path).to_id("a server's")
    return replace(session, file_id=file_id, session_id=said)


async def _asking(server: JupyterProcess, session: Session) -> int:
    """The answer to a websocket's request."""
    address = session.websocket_url(server.url).replace("ws:", "http:", 1)
    async with server.http() as http:
        return (await http.get(address, headers=_UPGRADE)).status_code


async def test_a_page_of_another_site_is_led_to_no_path(
    new_disk: NewDisk, config: Config, usual: Config
) -> None:
    """A browser sends its cookies along with the websockets of any page."""
    async with _person("ada") as ada:
        await _made_and_lost(new_disk(), config, [ada])
        disk = new_disk()
        async with JupyterProcess(disk, usual) as server:
            address = ada.session.websocket_url(server.url).replace("ws:", "http:", 1)
            async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
                await browser.get(f"{server.url}/api/me", params={"token": server.token})
                answer = await browser.get(
                    address, headers={**_UPGRADE, "Origin": "https://elsewhere.example"}
                )
            assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
            assert not disk.file(NOTEBOOK).exists()


_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
