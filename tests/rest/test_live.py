"""Calls about a document that people have open: it is the room that counts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.archive.archive import Archive
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook, sources
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import s3_store
from harness.servers import S3Server, connect, s3_options

pytestmark = pytest.mark.e2e

PATH = "work/tides.ipynb"
NEVER = 600


@pytest.fixture
async def server(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> AsyncIterator[JupyterProcess]:
    """A server that neither archives nor saves by itself while a test lasts."""
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    config = s3_store(
        moto_server,
        moto_bucket,
        checkpoint_max_delay=NEVER,
        checkpoint_idle_delay=NEVER,
        checkpoint_interval=1_000_000,
    )
    config["YDocExtension"]["document_save_delay"] = NEVER
    async with JupyterProcess(disk, config) as server:
        yield server


@pytest.fixture
async def ada(server: JupyterProcess) -> AsyncIterator[RTCClient]:
    """Someone who has the notebook open."""
    async with RTCClient("ada", PATH) as ada:
        await ada.connect(server)
        yield ada


@pytest.fixture
async def archive(moto_server: S3Server, moto_bucket: str) -> AsyncIterator[Archive]:
    """The same bucket, from another program."""
    async with Archive(BookstoreSettings(**s3_options(moto_server, moto_bucket))) as archive:
        yield archive


async def test_publishes_what_was_just_typed(
    server: JupyterProcess, ada: RTCClient, moto_server: S3Server, moto_bucket: str
) -> None:
    ada.append(0, " and just typed")
    await _arrived(server, "and just typed")
    await BookstoreAPI(server).publish(PATH, live=True)
    s3 = connect(moto_server)
    body = s3.get_object(Bucket=moto_bucket, Key=f"published/{PATH}")["Body"].read()
    assert "and just typed" in sources(json.loads(body))[0]
    s3.head_object(Bucket=moto_bucket, Key=f"published/{PATH}.notebook.y.zst")


async def test_compares_with_what_was_just_typed(
    server: JupyterProcess, ada: RTCClient, archive: Archive
) -> None:
    version = await _saved(archive, "from long ago")
    ada.append(0, " and just typed")
    await _arrived(server, "and just typed")
    diff = await BookstoreAPI(server).diff(PATH, version)
    assert diff["after"]["kind"] == "live"
    assert "and just typed" in json.dumps(diff["diff"])


async def test_restores_a_saved_file_into_the_room(
    server: JupyterProcess, ada: RTCClient, archive: Archive
) -> None:
    version = await _saved(archive, "from long ago")
    bookstore = BookstoreAPI(server)
    answer = await bookstore.restore(PATH, version)
    assert answer["changed"]
    await ada.wait_until(lambda: ada.cell_text(0) == "from long ago")
    assert answer["version"]["kind"] == "snapshot"
    assert answer["version"]["origin"] == f"restore:{version}"


async def _saved(archive: Archive, text: str) -> str:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = text
    version = await archive.save_file(PATH, json.dumps(notebook).encode())
    assert version is not None
    return version.version_id


async def _arrived(server: JupyterProcess, text: str) -> None:
    """Wait until the server's room has what a client typed."""
    async with RTCClient("ben", PATH) as ben:
        await ben.connect(server)
        await ben.wait_until(lambda: text in ben.cell_text(0))
