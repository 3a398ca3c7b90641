"""JupyterLab's "Revert to Checkpoint", in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Locator

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import s3_store
from harness.servers import S3Server

from ..e2e.bucket import Bucket
from ..e2e.lab_page import QUIET_LAB, LabPage, chromium, chromium_path

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
]

PATH = "tides.ipynb"
KEPT, LATER = "north gauge checked", "south gauge lost"


class Reverting(LabPage):
    """A page whose person saves and reverts."""

    async def save(self) -> None:
        """Save by keyboard, which makes a checkpoint."""
        await self._page.keyboard.press("Control+s")

    async def revert(self, picture: Path) -> None:
        """Choose "Revert Notebook to Checkpoint…" in the menu, and the newest one there is."""
        await self._page.get_by_role("menuitem", name="File", exact=True).click()
        await self._page.get_by_text("Revert Notebook to Checkpoint").click()
        await self._dialog.wait_for()
        await self.screenshot(picture)
        if await self._dialog.locator("select").count():
            await self._dialog.locator(".jp-mod-accept").click()
            await self._dialog.get_by_text("Revert notebook to checkpoint").first.wait_for()
        await self._dialog.locator(".jp-mod-accept").click()
        await self._dialog.wait_for(state="detached")

    @property
    def _dialog(self) -> Locator:
        return self._page.locator(".jp-Dialog")


@pytest.mark.parametrize("collaborative", [True, False], ids=["live room", "file"])
async def test_reverting_goes_through_the_bucket(
    new_disk: Callable[[], Disk],
    moto_server: S3Server,
    moto_bucket: str,
    tmp_path: Path,
    collaborative: bool,
) -> None:
    config = {**s3_store(moto_server, moto_bucket), **QUIET_LAB}
    config["ContentsManager"] = {"checkpoints_class": "bookstore_y.S3Checkpoints"}
    config["ServerApp"]["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    config["YDocExtension"]["disable_rtc"] = not collaborative
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with (
        chromium() as browser,
        JupyterProcess(disk, config, application="jupyterlab") as server,
        server.http() as http,
    ):

        async def checkpoints() -> int:
            return len((await http.get(f"/api/contents/{PATH}/checkpoints")).json())

        page = await Reverting.open(browser, server, PATH, "ada")
        assert isinstance(page, Reverting)
        await page.type_at_the_end_of_cell(1, f"\n# {KEPT}")
        await page.wait_for_text(KEPT)
        before = await checkpoints()
        await page.save()
        await eventually(
            lambda: KEPT in disk.file(PATH).read_text(), within=20, what="the file to be saved"
        )

        async def more() -> bool:
            return await checkpoints() > before

        await eventually(more, within=20, what="a checkpoint of it")
        await page.type_at_the_end_of_cell(1, f"\n# {LATER}")
        await page.wait_for_text(LATER)
        await page.revert(tmp_path / "dialog.png")

        async def reverted() -> bool:
            return await page.count(LATER) == 0

        await eventually(reverted, within=20, what="the page to show the checkpoint")
        assert await page.count(KEPT) == 1
        await page.screenshot(tmp_path / "reverted.png")


async def test_a_notebook_opens_while_the_bucket_is_away(
    new_disk: Callable[[], Disk], bucket: Bucket, tmp_path: Path
) -> None:
    config = {**s3_store(bucket.server, bucket.name), **QUIET_LAB}
    config["BookstoreSettings"] |= {"connect_timeout": 1.0, "max_attempts": 1}
    config["ContentsManager"] = {"checkpoints_class": "bookstore_y.S3Checkpoints"}
    config["ServerApp"]["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
    config["YDocExtension"]["disable_rtc"] = True
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with (
        chromium() as browser,
        JupyterProcess(disk, config, application="jupyterlab") as server,
    ):
        bucket.down()
        page = await LabPage.open(browser, server, PATH, "ada")
        await page.type_at_the_end_of_cell(1, f"\n# {KEPT}")
        await page.wait_for_text(KEPT)
        await page.screenshot(tmp_path / "opened.png")
