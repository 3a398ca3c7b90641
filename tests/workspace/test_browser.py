"""A person in a real browser, whose disk is lost at each stop of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI, Json
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook, sources
from harness.jupyter.process import JupyterProcess
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import s3_store
from harness.servers import S3Server

from ..e2e.lab_page import QUIET_LAB, LabPage, chromium, chromium_path

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
]

PATH = "work/tides.ipynb"
FIRST, SECOND, THIRD = "north gauge checked", "south gauge replaced", "west gauge read"


async def test_yesterdays_work_is_in_the_file_browser_and_goes_on(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str, tmp_path: Path
) -> None:
    config = {**s3_store(moto_server, moto_bucket), **QUIET_LAB}
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    disk.place("Untitled.ipynb", sample_notebook())
    reader = S3Reader(moto_server, moto_bucket)

    async def has(server: JupyterProcess, path: str, words: str) -> None:
        bookstore = BookstoreAPI(server)

        async def newest_says() -> Json | None:
            for version in (await bookstore.snapshots(path))[:1]:
                said = "\n".join(sources(reader.snapshot(version["key"], version["version_id"])))
                if words in said:
                    return version
            return None

        await eventually(newest_says, within=60.0, what=f"a version of {path} with {words!r}")

    async with chromium() as browser:
        async with JupyterProcess(disk, config, application="jupyterlab") as server:
            page = await LabPage.open(browser, server, PATH, "ada")
            await page.type_at_the_end_of_cell(1, f"\n# {FIRST}")
            await has(server, PATH, FIRST)
            await page.close()
            page = await LabPage.open(browser, server, "Untitled.ipynb", "ben")
            await page.type_at_the_end_of_cell(1, f"\n# {FIRST}")
            await has(server, "Untitled.ipynb", FIRST)
            await page.close()
            await server.sigterm(30.0)

        async with JupyterProcess(new_disk(), config, application="jupyterlab") as server:
            page = await LabPage.start(browser, server, "ada")
            await page.wait_for_file("Untitled.ipynb")
            await page.screenshot(tmp_path / "listed.png")
            assert await page.new_notebook() == "Untitled1.ipynb"
            await page.enter_folder("work")
            await page.open_listed("tides.ipynb")
            await page.wait_for_text(FIRST)
            await page.screenshot(tmp_path / "opened.png")
            await page.close()

            page = await LabPage.open(browser, server, PATH, "ben")
            assert await page.count(FIRST) == 1
            await page.type_at_the_end_of_cell(3, f"\n# {SECOND}")
            await has(server, PATH, SECOND)
            await page.close()
            await server.sigterm(30.0)

        async with JupyterProcess(new_disk(), config, application="jupyterlab") as server:
            page = await LabPage.start(browser, server, "ada")
            await page.open_from_path(PATH)
            for words in (FIRST, SECOND):
                await page.wait_for_text(words)
                assert await page.count(words) == 1
            await page.type_at_the_end_of_cell(1, f"\n# {THIRD}")
            await has(server, PATH, THIRD)
            await page.screenshot(tmp_path / "again.png")
            await page.close()
            await server.sigterm(30.0)
            assert "Not archived" not in server.log_text()
