"""The bucket is away: what people see, and what is left of their work after a restart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_websocket

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.people import all_agree, all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stale_file import seen_by_a_newcomer
from harness.jupyter.stores import Config, s3_store

from .bucket import Bucket

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"
STATE = "https://schema.jupyter.org/bookstore_y/state/v1"


@pytest.fixture
def disk(new_disk: Callable[[], Disk]) -> Disk:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


def _config(bucket: Bucket, **traits: Any) -> Config:
    config = s3_store(bucket.server, bucket.name, checkpoint_max_delay=0.5, **traits)
    impatient = {"connect_timeout": 1.0, "max_attempts": 1, "shutdown_timeout": 4.0}
    return {**config, "BookstoreSettings": {**config["BookstoreSettings"], **impatient}}


@asynccontextmanager
async def _states(server: JupyterProcess) -> AsyncIterator[Callable[[], Any]]:
    """What a front end hears of the archive's state, as the events come."""
    url = server.url.replace("http", "ws", 1) + f"/api/events/subscribe?token={server.token}"
    async with connect_websocket(url) as socket:

        async def following() -> dict[str, Any]:
            while True:
                event: dict[str, Any] = json.loads(await socket.recv())
                if event["schema_id"] == STATE:
                    return event

        yield following


async def _all_archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        pending: int = (await api.status())["pending_updates"]
        return pending == 0

    await eventually(archived, within=30, what="all of it to be archived")


async def test_an_outage_is_told_and_editing_goes_on(disk: Disk, bucket: Bucket) -> None:
    async with (
        JupyterProcess(disk, _config(bucket)) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
        _states(server) as following,
    ):
        api = BookstoreAPI(server)
        await all_connect([ada, ben], server)
        bucket.down()
        mark = ada.mark()
        await ben.wait_for_marks({mark})

        event = await following()
        assert event["status"] == "retrying"
        assert event["retrying_since"] > 0
        assert "Could not" in event["error"]
        status = await api.status()
        assert (status["status"], status["pending_documents"]) == ("retrying", 1)
        assert status["retrying_since"] == event["retrying_since"]
        async with server.http() as http:
            metrics = (await http.get("/metrics")).text
        assert "bookstore_retrying 1.0" in metrics

        bucket.up()
        assert (await following())["status"] == "ok"

        await _all_archived(server)


@pytest.mark.parametrize(
    ("saved", "stop"),
    [
        pytest.param(False, "sigterm", id="unsaved, SIGTERM"),
        pytest.param(True, "sigterm", id="saved, SIGTERM"),
        pytest.param(True, "sigkill", id="saved, SIGKILL"),
    ],
)
async def test_what_a_stopping_server_cannot_archive_is_there_after_a_restart(
    disk: Disk, bucket: Bucket, saved: bool, stop: str
) -> None:
    """With a buffer in memory, on a disk that stays; a SIGKILL leaves what was saved."""
    config = _config(bucket)
    names = ["ada", "ben"]
    async with people(names, PATH) as clients:
        async with JupyterProcess(disk, config) as server:
            await all_connect(clients, server)
            before = disk.file(PATH).read_text()
            bucket.down()
            made = {client.mark() for client in clients}
            for client in clients:
                await client.wait_for_marks(made)
            if saved:
                clients[0].request_save()
                await eventually(
                    lambda: disk.file(PATH).read_text() != before, within=15, what="the save"
                )
            if stop == "sigterm":
                await server.sigterm()
                assert "kept in" in server.log_text()
            else:
                server.sigkill()
        await all_leave(clients)

        bucket.up()
        async with JupyterProcess(disk, config) as server:
            seen = await seen_by_a_newcomer(server, PATH)
            assert made <= set(seen)
            await all_connect(clients, server)
            await all_agree(clients)
            assert doubled(clients[0].marks()) == {}
            assert made <= set(clients[0].marks())
            await _all_archived(server)


async def test_restart_after_restart_the_newest_edits_are_there(disk: Disk, bucket: Bucket) -> None:
    """A file that is what was archived last is no change by other means, ever."""
    config = _config(bucket)
    async with people(["ada", "ben"], PATH) as clients:
        for stop in ("sigterm", "sigkill", "sigterm"):
            async with JupyterProcess(disk, config) as server:
                await all_connect(clients, server)
                made = {client.mark() for client in clients for _ in range(20)}
                for client in clients:
                    await client.wait_for_marks(made)
                await _all_archived(server)
                await all_leave(clients)
                if stop == "sigterm":
                    await server.sigterm()
        async with JupyterProcess(disk, config) as server:
            seen = await seen_by_a_newcomer(server, PATH)
            assert {mark for client in clients for mark in client.made} <= set(seen)
            assert doubled(seen) == {}
