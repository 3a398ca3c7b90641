"""The tests' own clients behave as people at a document do, whatever the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import normalized, sample_notebook
from harness.jupyter.people import acknowledged, all_connect, all_leave, all_made, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stale_file import marks_in_file
from harness.jupyter.stores import sqlite_store

pytestmark = [pytest.mark.e2e]

PATH = "work/tides.ipynb"


@pytest.fixture
def disk(new_disk: Callable[[], Disk]) -> Disk:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    disk.file("notes.txt").write_text("Notes: ", encoding="utf-8")
    return disk


@pytest.fixture
async def server(disk: Disk) -> AsyncIterator[JupyterProcess]:
    async with JupyterProcess(disk, sqlite_store()) as process:
        yield process


async def test_a_client_sees_the_file_as_it_is(server: JupyterProcess) -> None:
    async with RTCClient("ada", PATH) as ada:
        await ada.connect(server)
        assert normalized(ada.content()) == normalized(sample_notebook())


async def test_a_mark_is_acknowledged_once_somebody_else_has_seen_it(
    server: JupyterProcess,
) -> None:
    async with people(["ada", "ben"], PATH) as (ada, ben):
        await all_connect([ada, ben], server)
        mark = ada.mark()
        assert acknowledged([ada]) == set()
        await ben.wait_for_marks({mark})
        assert acknowledged([ada, ben]) == {mark}


async def test_what_is_typed_while_disconnected_arrives_when_the_client_comes_back(
    server: JupyterProcess,
) -> None:
    async with people(["ada", "ben"], PATH) as (ada, ben):
        await all_connect([ada, ben], server)
        await ada.disconnect()
        offline, meanwhile = ada.mark(), ben.mark()
        await ada.connect(server)
        assert ada.refusals == []
        for client in (ada, ben):
            await client.wait_for_marks({offline, meanwhile})
            assert doubled(client.marks()) == {}


async def test_a_client_whose_session_is_unknown_takes_a_new_one_and_keeps_its_document(
    server: JupyterProcess, new_disk: Callable[[], Disk]
) -> None:
    async with people(["ada", "ben"], PATH) as clients:
        await all_connect(clients, server)
        for client in clients:
            client.mark()
        for client in clients:
            await client.wait_for_marks(all_made(clients))
        await all_leave(clients)
        server.sigkill()

        other = new_disk()
        other.place(PATH, sample_notebook())
        async with JupyterProcess(other, sqlite_store()) as stranger:
            await all_connect(clients, stranger)
            for client in clients:
                assert len(client.refusals) == 1
                assert client.marks().keys() >= all_made(clients)


async def test_a_client_can_have_the_file_saved(server: JupyterProcess, disk: Disk) -> None:
    async with RTCClient("ada", PATH, awareness={"autosave": False}) as ada:
        await ada.connect(server)
        mark = ada.mark()
        ada.request_save()
        await eventually(
            lambda: mark in marks_in_file(disk, PATH), within=10.0, what="the mark in the file"
        )


async def test_a_client_edits_plain_text_too(server: JupyterProcess) -> None:
    async with (
        RTCClient("ada", "notes.txt", file_format="text", file_type="file") as ada,
        RTCClient("ben", "notes.txt", file_format="text", file_type="file") as ben,
    ):
        await all_connect([ada, ben], server)
        mark = ada.mark()
        await ben.wait_for_marks({mark})
        assert ben.content() == f"Notes: {mark}"
