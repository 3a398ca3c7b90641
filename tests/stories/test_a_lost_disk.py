"""A person works, the server stops, its disk is lost, and she finds her work where she left it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config

from ..e2e.lab_page import chromium, chromium_path
from .conftest import Start
from .desk import desk

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
]

PATH = "tides.ipynb"
BEFORE, AWAY, AFTER = "north gauge checked", "west gauge stuck", "south gauge replaced"
CELL = 1

on_each_kind_of_store = pytest.mark.s3_only("moto", "ceph")
on_one_store = pytest.mark.s3_only("moto")

NewDisk = Callable[[], Disk]

_SERVER_DOCUMENTS = Path(__file__).parents[2] / "harness" / "servers" / "server_documents.sh"


@pytest.fixture
def server_documents() -> str:
    """The Python of an environment with jupyter-server-documents."""
    script = str(_SERVER_DOCUMENTS)
    ready = subprocess.run([script, "ready"], capture_output=True, text=True)
    if ready.returncode:
        pytest.skip(ready.stderr.strip())
    asked = subprocess.run([script, "python"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


async def _archived(server: JupyterProcess, path: str, count: int = 1) -> None:
    """Wait until the bucket has so many versions of a file."""
    api = BookstoreAPI(server)

    async def there() -> bool:
        async with server.http() as http:
            answer = await http.get(f"/api/bookstore/versions/{path}?limit={count}")
        return answer.is_success and len(answer.json()["versions"]) >= count

    async def idle() -> bool:
        status = await api.status()
        return not (status["pending_updates"] or status["pending_saves"])

    await eventually(there, within=60, what=f"{count} versions of {path}")
    await eventually(idle, within=60, what="all to be in the bucket")


async def _a_colleague_sees(text: str, server: JupyterProcess, path: str) -> None:
    """Wait until what was typed in one browser has reached another client of the server."""
    async with RTCClient("ben", path) as ben:
        await ben.connect(server)
        await ben.wait_until(lambda: text in str(ben.content()), within=60)


async def _saved(disk: Disk, path: str, *texts: str) -> None:
    """Wait until the file has each text, once."""

    def there() -> bool:
        said = "\n".join(sources(peek_notebook(disk.file(path)) or {"cells": []}))
        return all(said.count(text) == 1 for text in texts)

    await eventually(there, within=90, what=f"{path} to have {texts}", interval=0.5)


@on_each_kind_of_store
@pytest.mark.parametrize("app", ["lab", "tree"], ids=["JupyterLab", "Notebook 7"])
async def test_she_opens_her_notebook_from_the_file_browser_and_goes_on(
    app: str, new_disk: NewDisk, start: Start, tmp_path: Path
) -> None:
    lost = new_disk()
    lost.place(PATH, sample_notebook())
    async with chromium() as browser:
        async with start(lost) as server:
            async with desk(browser, server, app) as ada:
                await ada.open_from_file_browser(PATH)
                await ada.type_in_cell(CELL, f"\n# {BEFORE}")
                await ada.sees(BEFORE)
                await _a_colleague_sees(BEFORE, server, PATH)
            await server.sigterm()

        async with start(new_disk()) as server:
            async with desk(browser, server, app) as ada:
                await ada.open_from_file_browser(PATH)
                await ada.sees(BEFORE)
                await ada.type_in_cell(CELL, f"\n# {AFTER}")
                await ada.sees(BEFORE, AFTER)
                await _a_colleague_sees(AFTER, server, PATH)
                await ada.shoot(tmp_path / "found.png")
            await server.sigterm()

        async with start(new_disk()) as server, desk(browser, server, app) as ada:
            await ada.open_from_file_browser(PATH)
            await ada.sees(BEFORE, AFTER)
            await expect(ada.cells).to_have_count(len(sample_notebook()["cells"]))


@on_one_store
async def test_a_new_notebook_does_not_take_the_place_of_yesterdays(
    new_disk: NewDisk, start: Start
) -> None:
    async with chromium() as browser:
        async with start(new_disk()) as server:
            async with desk(browser, server) as ada:
                await ada.new_notebook()
                await ada.type_in_cell(0, BEFORE)
                await ada.sees(BEFORE)
                await _a_colleague_sees(BEFORE, server, "Untitled.ipynb")
            await server.sigterm()

        async with start(new_disk()) as server, desk(browser, server) as ada:
            await ada.new_notebook()
            await ada.type_in_cell(0, AFTER)
            await ada.sees(AFTER)
            await ada.listed("Untitled1.ipynb").wait_for()
            await ada.open_from_file_browser("Untitled.ipynb")
            await ada.sees(BEFORE)


@on_one_store
@pytest.mark.parametrize("kept", [True, False], ids=["disk kept", "disk lost"])
async def test_a_new_notebook_outlives_a_crash_before_its_first_save(
    kept: bool, new_disk: NewDisk, start: Start, config: Config
) -> None:
    config["YDocExtension"] = {**config["YDocExtension"], "document_save_delay": 3600.0}
    disk = new_disk()
    traits = {"db_path": str(disk.data / "buffer.db")} if kept else {}
    async with chromium() as browser:
        async with start(disk, **traits) as server, desk(browser, server) as ada:
            await ada.new_notebook()
            await ada.type_in_cell(0, BEFORE)
            await ada.sees(BEFORE)
            await _a_colleague_sees(BEFORE, server, "Untitled.ipynb")
            if not kept:
                await _archived(server, "Untitled.ipynb")
            server.sigkill()

        again = start(disk if kept else new_disk(), **traits)
        async with again as server, desk(browser, server) as ada:
            await ada.open_from_file_browser("Untitled.ipynb")
            await ada.sees(BEFORE)
            await ada.type_in_cell(0, f"\n{AFTER}")
            await ada.sees(BEFORE, AFTER)


@on_one_store
async def test_her_open_tab_brings_back_what_nothing_else_has(
    new_disk: NewDisk, start: Start, config: Config
) -> None:
    """The server is killed in the first second of her new notebook, and its disk is lost."""
    never = {"checkpoint_idle_delay": 3600.0, "checkpoint_max_delay": 3600.0}
    rooms = config["YDocExtension"]
    config["YDocExtension"] = {**rooms, "document_save_delay": 3600.0}
    disk = new_disk()
    async with (
        chromium() as browser,
        start(new_disk(), **never) as lost,
        desk(browser, lost) as ada,
    ):
        await BookstoreAPI(lost).until_started()
        await ada.new_notebook()
        await ada.type_in_cell(0, BEFORE)
        await ada.sees(BEFORE)
        lost.sigkill()
        await ada.hears_that_the_server_is_away()
        await ada.type_in_cell(0, f"\n{AWAY}")
        await ada.sees(BEFORE, AWAY)

        config["YDocExtension"] = rooms
        async with start(disk, at=lost) as server:
            await _saved(disk, "Untitled.ipynb", BEFORE, AWAY)
            await ada.type_in_cell(0, f"\n{AFTER}")
            await _saved(disk, "Untitled.ipynb", BEFORE, AWAY, AFTER)
            await ada.sees(BEFORE, AWAY, AFTER)
            await _archived(server, "Untitled.ipynb")
            async with desk(browser, server, "tree") as ben:
                await ben.open_from_file_browser("Untitled.ipynb")
                await ben.sees(BEFORE, AWAY, AFTER)
                for person in (ada, ben):
                    await expect(person.cells).to_have_count(1)


@on_one_store
async def test_without_collaboration_her_saves_come_back(
    new_disk: NewDisk, start: Start, config: Config
) -> None:
    config["YDocExtension"] = {**config["YDocExtension"], "disable_rtc": True}
    server_config = {**config["ServerApp"]}
    server_config["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    config["ServerApp"] = server_config
    lost = new_disk()
    lost.place(PATH, sample_notebook())
    async with chromium() as browser:
        async with start(lost) as server:
            async with desk(browser, server) as ada:
                await ada.open_from_file_browser(PATH)
                await ada.type_in_cell(CELL, f"\n# {BEFORE}")
                await ada.save()
                await _archived(server, PATH)
            await server.sigterm()

        async with start(new_disk()) as server, desk(browser, server) as ada:
            await ada.open_from_file_browser(PATH)
            await ada.sees(BEFORE)
            await ada.type_in_cell(CELL, f"\n# {AFTER}")
            await ada.save()
            await _archived(server, PATH, 2)


@on_one_store
async def test_with_jupyter_server_documents_her_saves_come_back(
    new_disk: NewDisk, start: Start, config: Config, server_documents: str
) -> None:
    server_config = {**config["ServerApp"]}
    server_config["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    config["ServerApp"] = server_config
    lost = new_disk()
    lost.place(PATH, sample_notebook())
    async with chromium() as browser:
        first = start(lost, python=server_documents)
        async with first as server, desk(browser, server) as ada:
            await ada.open_from_file_browser(PATH)
            await ada.type_in_cell(CELL, f"\n# {BEFORE}")
            await ada.sees(BEFORE)
            await server.sigterm()  # its room may save when it ends, while the server stops

        second = start(new_disk(), python=server_documents)
        async with second as server, desk(browser, server) as ada:
            await ada.open_from_file_browser(PATH)
            await ada.sees(BEFORE)
            await ada.type_in_cell(CELL, f"\n# {AFTER}")
            await ada.sees(BEFORE, AFTER)
            await _archived(server, PATH, 2)
