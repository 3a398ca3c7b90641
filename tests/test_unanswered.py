"""A bucket that does not answer is told of within seconds, and large bodies take their time."""

from __future__ import annotations

import asyncio

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.s3 import unanswered
from bookstore_y.s3.unanswered import Unanswered


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unanswered, "PATIENCE", 0.05)


async def test_a_request_that_waits_too_long_is_told_of_until_it_ends() -> None:
    requests = Unanswered()
    told: list[float | None] = []
    requests.listeners.add(lambda: told.append(requests.since))
    with requests.asking():
        await eventually(lambda: bool(told), "it to be told of")
    assert [since is None for since in told] == [False, True]


async def test_a_body_on_its_way_is_given_its_time() -> None:
    requests = Unanswered()
    with requests.asking():
        requests.carries(unanswered.RATE * 3600)
        await asyncio.sleep(0.2)
        assert requests.since is None


async def test_the_status_tells_of_a_bucket_that_hangs(
    settings: BookstoreSettings,
) -> None:
    connections: set[asyncio.Task[None]] = set()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        await asyncio.Event().wait()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    settings.s3_endpoint_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    states: list[str] = []
    async with Checkpointer(settings) as archive:
        archive.on_state = lambda state: states.append(state["status"])
        assert archive.status()["status"] == "ok"
        checking = asyncio.create_task(archive.health.check())
        await eventually(lambda: archive.status()["status"] == "retrying", "it to be told of")
        status = archive.status()
        assert "Waiting for the bucket" in status["error"]
        assert status["waiting_since"] == status["retrying_since"]
        assert archive.waiting_seconds > 0
        assert states == ["retrying"]
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        assert archive.status()["status"] == "ok"
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
