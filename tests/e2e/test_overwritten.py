"""A file that is overwritten under its open room, while people type into it.

Everything here is at its default settings but for where the buffer is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import find_marks
from harness.jupyter.notebooks import Notebook, sample_notebook, sources
from harness.jupyter.people import acknowledged, all_connect, all_leave
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NOTEBOOK = "tides.ipynb"
TEXT = "tides.py"
TARGET = "elsewhere.ipynb"
"""What a link leads to."""

Overwrite = Callable[[JupyterProcess, str], Awaitable[None]]


def _notebook(*cells: str) -> Notebook:
    """Another notebook than the sample, cell by cell."""
    other = sample_notebook()
    code: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    other["cells"] = [
        {**code, "id": f"other{number}", "source": source} for number, source in enumerate(cells)
    ]
    return other


async def _put(server: JupyterProcess, words: str) -> None:
    model = {"type": "notebook", "format": "json", "content": _notebook(words)}
    async with server.http() as http:
        (await http.put(f"/api/contents/{NOTEBOOK}", json=model)).raise_for_status()


async def _write(server: JupyterProcess, words: str) -> None:
    server.disk.place(NOTEBOOK, _notebook(words))


async def _write_target(server: JupyterProcess, words: str) -> None:
    server.disk.place(TARGET, _notebook(words))


async def _write_text(server: JupyterProcess, words: str) -> None:
    server.disk.file(TEXT).write_text(words)


def _place(disk: Disk, how: Overwrite) -> str:
    """Have the file that is open, and is going to be overwritten; returns its path."""
    if how is _write_text:
        disk.file(TEXT).parent.mkdir(parents=True, exist_ok=True)
        disk.file(TEXT).write_text("# Tides\n")
        return TEXT
    if how is _write_target:
        disk.place(TARGET, sample_notebook())
        disk.file(NOTEBOOK).symlink_to(disk.file(TARGET))
        return NOTEBOOK
    disk.place(NOTEBOOK, sample_notebook())
    return NOTEBOOK


def _client(name: str, path: str) -> RTCClient:
    kind = ("text", "file") if path == TEXT else ("json", "notebook")
    return RTCClient(name, path, file_format=kind[0], file_type=kind[1])


@asynccontextmanager
async def _typing(clients: list[RTCClient]) -> AsyncIterator[set[str]]:
    """All type into the first cell, 20 keys a second each; gives what has been accepted so far."""
    accepted: set[str] = set()

    async def type_on(client: RTCClient) -> None:
        while True:
            client.mark(0)
            await asyncio.sleep(0.05)

    async def watch() -> None:
        while True:
            accepted.update(acknowledged(clients))
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(work) for work in (*map(type_on, clients), watch())]
    try:
        yield accepted
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        accepted.update(acknowledged(clients))


async def _more(marks: set[str], count: int) -> None:
    enough = len(marks) + count
    await eventually(lambda: len(marks) >= enough, within=30, what=f"{count} more marks")


def _says(client: RTCClient, words: str) -> Callable[[], bool]:
    return lambda: words in client.cell_text(0)


async def _texts_of_versions(server: JupyterProcess, reader: S3Reader, path: str) -> dict[str, str]:
    """What each snapshot in the bucket says, by its version id."""
    found = {}
    for version in await BookstoreAPI(server).snapshots(path):
        kind = "file" if path == TEXT else "notebook"
        said: Any = reader.snapshot(version["key"], version["version_id"], kind)
        found[version["version_id"]] = (
            said if isinstance(said, str) else json.dumps(sources(said), ensure_ascii=False)
        )
    return found


def _replaced(server: JupyterProcess) -> list[str]:
    """The versions that the log names as what a file replaced."""
    said = r"changed the file .* while it was open.* The replaced content is version (\S+) of"
    return re.findall(said, server.log_text())


@pytest.mark.parametrize("buffer", ["memory", "file"])
@pytest.mark.parametrize(
    "overwrite",
    [_put, _write, _write_target, _write_text],
    ids=["a request", "a program", "through a link", "a text"],
)
async def test_what_people_had_typed_is_a_version_that_the_log_names(
    new_disk: Callable[[], Disk],
    moto_server: S3Server,
    moto_bucket: str,
    overwrite: Overwrite,
    buffer: str,
) -> None:
    disk, reader = new_disk(), S3Reader(moto_server, moto_bucket)
    path = _place(disk, overwrite)
    traits = {"db_path": str(disk.data / "buffer.db")} if buffer == "file" else {}
    config = s3_store(moto_server, moto_bucket, **traits)
    clients = [_client(name, path) for name in ("ada", "ben")]
    async with JupyterProcess(disk, config) as server:
        await all_connect(clients, server)
        async with _typing(clients) as accepted:
            for turn in range(3):
                await _more(accepted, 30)
                # What differs comes first: a key that is on its way merges into the new content,
                # where the rest of the old was.
                words = f"{turn} by other means"
                await overwrite(server, f"{words}\n")
                await eventually(_says(clients[1], words), within=30, what="the file's content")
        await eventually(lambda: len(_replaced(server)) >= 3, within=30, what="three versions")
        texts = await _texts_of_versions(server, reader, path)

        async def all_kept() -> bool:
            texts.update(await _texts_of_versions(server, reader, path))
            return accepted <= find_marks(texts.values()).keys()

        with contextlib.suppress(TimeoutError):
            await eventually(all_kept, within=20, what="every accepted mark in a version")
        assert accepted - find_marks(texts.values()).keys() == set()
        # A key pressed while the room takes over the file can make the room do so again.
        replaced = [texts[version_id] for version_id in _replaced(server)]
        assert all(find_marks([text]) for text in replaced)
        said = [[n for n in range(3) if f"{n} by other means" in text] for text in replaced]
        assert [each for each, _ in groupby(said)] == [[], [0], [1]]
    await all_leave(clients)
