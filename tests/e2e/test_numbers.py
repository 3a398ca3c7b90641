"""Notebooks with numbers that JSON or Yjs have not are opened, archived and brought back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.errors import DocumentNotFound
from bookstore_y.local.waiting import eventually
from bookstore_y.tools.directory import Directory
from bookstore_y.tools.pulling import Pulling
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import s3_store
from harness.servers import S3Server, s3_options

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NUMBERS = [math.nan, math.inf, -math.inf, 2**63 - 1, 12345678901234567890, 1e300]


def notebook_with(values: Any) -> dict[str, Any]:
    output = {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {"application/json": values, "text/plain": "x"},
        "metadata": {},
    }
    cell = {
        "cell_type": "code",
        "id": "a",
        "source": "x",
        "metadata": {},
        "outputs": [output],
        "execution_count": 1,
    }
    metadata = {
        "papermill": {"parameters": values},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def numbers_in(file: str) -> tuple[str, str]:
    """The numbers in the output and in the metadata of a notebook's file, as they are spelled."""
    notebook = json.loads(file)
    output = notebook["cells"][0]["outputs"][0]["data"]["application/json"]
    return json.dumps(output), json.dumps(notebook["metadata"]["papermill"]["parameters"])


async def test_such_numbers_go_all_the_way(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    disk.place("a.ipynb", notebook_with(NUMBERS))
    config = s3_store(moto_server, moto_bucket, checkpoint_idle_delay=0.3)
    config["YDocExtension"]["document_save_delay"] = 0.2
    spelled = json.dumps(NUMBERS)
    async with JupyterProcess(disk, config) as server, RTCClient("ada", "a.ipynb") as ada:
        api = BookstoreAPI(server)
        await ada.connect(server)
        ada.append(0, " edited")
        await eventually(
            lambda: "edited" in disk.file("a.ipynb").read_text(),
            within=20,
            what="the file is saved",
        )
        assert numbers_in(disk.file("a.ipynb").read_text()) == (spelled, spelled)
        await eventually(lambda: _archived(api), within=20, what="the edit is archived")
        first = (await api.versions("a.ipynb"))[0]["version_id"]
        ada.append(0, " again")
        await eventually(lambda: _more(api, first), within=20, what="the next edit is archived")
        await api.restore("a.ipynb", first)
        await ada.wait_until(lambda: ada.cell_text(0) == "x edited")
        shown = await api.version("a.ipynb", first)
        (cell,) = shown["model"]["content"]["cells"]
        # JSON has no NaN and no infinities.
        assert cell["outputs"][0]["data"]["application/json"] == [None] * 3 + NUMBERS[3:]
        await api.publish("a.ipynb", live=True)

    async with Archive(BookstoreSettings(**s3_options(moto_server, moto_bucket))) as archive:
        directory = Directory(new_disk().path)
        pulled = [one async for one in Pulling(archive, directory).run(archive.files())]
        assert [one.outcome for one in pulled] == ["written"]
        assert numbers_in((directory.root / "a.ipynb").read_text()) == (spelled, spelled)

    fresh = new_disk()
    async with JupyterProcess(fresh, config) as server, RTCClient("ada", "a.ipynb") as ada:
        await ada.connect(server)
        assert ada.cell_text(0) == "x edited"
        assert numbers_in(fresh.file("a.ipynb").read_text()) == (spelled, spelled)


async def test_opening_and_closing_such_a_notebook_makes_no_version(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    disk = new_disk()
    disk.place("a.ipynb", notebook_with(NUMBERS))
    config = s3_store(moto_server, moto_bucket, checkpoint_idle_delay=0.1)
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    for _ in range(3):
        async with JupyterProcess(disk, config) as server, RTCClient("ada", "a.ipynb") as ada:
            await ada.connect(server)
        # Stopping has archived whatever there was to archive.
    async with Archive(BookstoreSettings(**s3_options(moto_server, moto_bucket))) as archive:
        with pytest.raises(DocumentNotFound):
            await archive.history("a.ipynb")


async def _archived(api: BookstoreAPI) -> bool:
    status = await api.status()
    return not status["pending_updates"]


async def _more(api: BookstoreAPI, than: str) -> bool:
    return bool((await api.versions("a.ipynb"))[0]["version_id"] != than)
