"""A server that is told to stop does so in time, whoever is connected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..servers import S3Server
from .disk import Disk
from .jupyter_process import JupyterProcess
from .notebooks import sample_notebook
from .people import all_connect, people
from .silent_client import silent_client
from .stores import s3_store

pytestmark = [pytest.mark.e2e]

PATH = "work/tides.ipynb"
SOON = 10.0
"""Seconds; Kubernetes gives 30 to everything in a pod together."""


@pytest.fixture
def disk(new_disk: Callable[[], Disk]) -> Disk:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


async def test_the_server_exits_soon_with_people_connected(
    disk: Disk, moto_server: S3Server, moto_bucket: str
) -> None:
    async with (
        JupyterProcess(disk, s3_store(moto_server, moto_bucket)) as server,
        people(["ada", "ben"], PATH) as (ada, ben),
    ):
        await all_connect([ada, ben], server)
        mark = ada.mark()
        await ben.wait_for_marks({mark})
        await server.sigterm(SOON)
        assert "Not archived" not in server.log_text()


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
