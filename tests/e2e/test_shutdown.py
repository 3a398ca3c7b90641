"""A server that is told to stop does so in time, however it is told and whoever is connected."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import Callable, Coroutine

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.people import all_connect, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import s3_store
from harness.proxies.slow_bucket import slow_bucket
from harness.servers import S3Server

from .silent_client import silent_client

pytestmark = [pytest.mark.e2e]

PATH = "work/tides.ipynb"
KEY = f"workspace/{PATH}.notebook.y.zst"
SOON = 10.0
"""Seconds; Kubernetes gives 30 to everything in a pod together."""

Tell = Callable[[JupyterProcess], Coroutine[None, None, None]]


def by(*numbers: signal.Signals) -> Tell:
    async def tell(server: JupyterProcess) -> None:
        for number in numbers:
            server.send(number)

    return tell


async def by_request(server: JupyterProcess) -> None:
    """As *File, Shut Down* does, and a culler that calls the server itself."""
    async with server.http() as http:
        try:
            answer = await http.post("/api/shutdown")
        except httpx.TransportError:
            return  # the server may be gone before it has answered
        assert answer.is_success


async def by_two_requests(server: JupyterProcess) -> None:
    await asyncio.gather(by_request(server), by_request(server))


async def by_command(server: JupyterProcess) -> None:
    """`jupyter server stop`: a request, after 5 s SIGTERM, and after 5 more SIGKILL."""
    command = [sys.executable, "-m", "jupyter_server", "stop", str(server.port)]
    environment = server.disk.environment()
    stopping = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await stopping.wait() == 0


async def stops(server: JupyterProcess) -> None:
    """Wait until the server has heard that it is to stop."""
    await eventually(
        lambda: "Shutting down" in server.log_text(), within=30, what="the server to stop"
    )


SLOW = pytest.mark.slow


@pytest.fixture
def disk(new_disk: Callable[[], Disk]) -> Disk:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


@pytest.mark.parametrize(
    "tell",
    [
        pytest.param(by(signal.SIGTERM), id="SIGTERM", marks=SLOW),
        pytest.param(by(signal.SIGINT), id="SIGINT"),
        pytest.param(by(signal.SIGHUP), id="SIGHUP", marks=SLOW),
        pytest.param(by(signal.SIGQUIT), id="SIGQUIT", marks=SLOW),
        pytest.param(by_request, id="File, Shut Down"),
        pytest.param(by_command, id="jupyter server stop", marks=SLOW),
    ],
)
async def test_however_it_is_told_to_stop_all_work_is_in_the_bucket_soon(
    disk: Disk, moto_server: S3Server, moto_bucket: str, tell: Tell
) -> None:
    async with (
        JupyterProcess(disk, s3_store(moto_server, moto_bucket)) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
    ):
        await all_connect([ada, ben], server)
        made = {ada.mark() for _ in range(20)}
        await ben.wait_for_marks(made)
        telling = asyncio.create_task(tell(server))
        await stops(server)
        await server.exits(SOON)
        await telling
        assert "Not archived" not in server.log_text()
        assert S3Reader(moto_server, moto_bucket).marks(KEY) == dict.fromkeys(made, 1)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        # JupyterHub's LocalProcessSpawner goes on to SIGTERM when SIGINT takes too long.
        pytest.param(by(signal.SIGINT), by(signal.SIGTERM, signal.SIGTERM), id="SIGINT, SIGTERM"),
        pytest.param(by(signal.SIGTERM), by(signal.SIGINT), id="SIGTERM, SIGINT", marks=SLOW),
        pytest.param(by(signal.SIGHUP), by_two_requests, id="SIGHUP, requests", marks=SLOW),
        pytest.param(by_request, by(signal.SIGTERM), id="request, SIGTERM", marks=SLOW),
    ],
)
async def test_to_be_told_once_more_while_it_archives_loses_nothing(
    disk: Disk, moto_server: S3Server, moto_bucket: str, first: Tell, then: Tell
) -> None:
    async with (
        slow_bucket(moto_server) as slow,
        JupyterProcess(disk, s3_store(slow.server, moto_bucket)) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
    ):
        await all_connect([ada, ben], server)
        made = {ada.mark() for _ in range(20)}
        await ben.wait_for_marks(made)
        await eventually(
            lambda: "Archiving to" in server.log_text(), within=30, what="the bucket to be known"
        )
        slow.seconds = 2.0
        telling = asyncio.create_task(first(server))
        await stops(server)
        telling_again = asyncio.create_task(then(server))
        await server.exits(SOON)
        await asyncio.gather(telling, telling_again, return_exceptions=True)
        assert S3Reader(moto_server, moto_bucket).marks(KEY) == dict.fromkeys(made, 1)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [b"y\n", b""], ids=["yes", "SIGINT again"])
async def test_at_a_terminal_it_asks_first(
    disk: Disk, moto_server: S3Server, moto_bucket: str, answer: bytes
) -> None:
    keyboard, terminal = pty.openpty()
    try:
        async with (
            JupyterProcess(disk, s3_store(moto_server, moto_bucket), stdin=terminal) as server,
            people(["ada", "ben"], PATH) as (ada, ben),
        ):
            await all_connect([ada, ben], server)
            made = {ada.mark() for _ in range(20)}
            await ben.wait_for_marks(made)
            server.send(signal.SIGINT)
            await eventually(
                lambda: "Shut down this Jupyter server" in server.log_text(),
                within=10,
                what="the question",
            )
            if answer:
                os.write(keyboard, answer)
            else:
                server.send(signal.SIGINT)
            await server.exits(SOON)
            assert S3Reader(moto_server, moto_bucket).marks(KEY) == dict.fromkeys(made, 1)
    finally:
        os.close(keyboard)
        os.close(terminal)


async def test_the_server_exits_soon_although_a_client_does_not_answer(
    disk: Disk, moto_server: S3Server, moto_bucket: str
) -> None:
    async with (
        JupyterProcess(disk, s3_store(moto_server, moto_bucket)) as server,
        silent_client(server, PATH),
        people(["ada"], PATH) as (ada,),
    ):
        await ada.connect(server)
        ada.mark()
        await server.sigterm(SOON)
        assert "Not archived" not in server.log_text()
