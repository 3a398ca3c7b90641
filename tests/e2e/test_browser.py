"""Two people in real browsers; what they typed outlives the server and its disk."""

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

from .lab_page import QUIET_LAB, LabPage, chromium, chromium_path

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
]

PATH = "tides.ipynb"
SAID_BY_ADA = "north gauge checked"
SAID_BY_BEN = "south gauge replaced"


async def test_a_fresh_page_shows_what_two_pages_typed_before_the_server_and_its_disk_went(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str, tmp_path: Path
) -> None:
    config = {**s3_store(moto_server, moto_bucket), **QUIET_LAB}
    first_disk, second_disk = new_disk(), new_disk()
    for disk in (first_disk, second_disk):
        disk.place(PATH, sample_notebook())

    async with chromium() as browser:
        async with JupyterProcess(first_disk, config, application="jupyterlab") as server:
            ada = await LabPage.open(browser, server, PATH, "ada")
            ben = await LabPage.open(browser, server, PATH, "ben")
            await ada.type_at_the_end_of_cell(1, f"\n# {SAID_BY_ADA}")
            await ben.type_at_the_end_of_cell(3, f"\n# {SAID_BY_BEN}")
            for page in (ada, ben):
                await page.wait_for_text(SAID_BY_ADA)
                await page.wait_for_text(SAID_BY_BEN)
            await ada.screenshot(tmp_path / "ada.png")

            bookstore, reader = BookstoreAPI(server), S3Reader(moto_server, moto_bucket)

            async def archived() -> Json | None:
                for version in await bookstore.snapshots(PATH):
                    text = "\n".join(
                        sources(reader.snapshot(version["key"], version["version_id"]))
                    )
                    if SAID_BY_ADA in text and SAID_BY_BEN in text:
                        return version
                return None

            await eventually(archived, within=45.0, what="a version with what both typed")
            await server.sigterm(30.0)
            assert "Not archived" not in server.log_text()

        async with JupyterProcess(
            second_disk, config, application="jupyterlab", port=server.port, token=server.token
        ) as server:
            fresh = await LabPage.open(browser, server, PATH, "fresh")
            await fresh.wait_for_text(SAID_BY_ADA)
            await fresh.wait_for_text(SAID_BY_BEN)
            assert await fresh.count(SAID_BY_ADA) == await fresh.count(SAID_BY_BEN) == 1
            assert await fresh.cell_count() == len(sample_notebook()["cells"])
            await fresh.screenshot(tmp_path / "fresh.png")
            await fresh.close()
            await server.sigterm(30.0)
