"""A look at the past changes nothing: neither the notebook that is worked on, nor itself."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import expect

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.rtc_client import RTCClient
from harness.servers import S3Server

from ..e2e.lab_page import chromium, chromium_path
from .conftest import Serve
from .history_page import AXE, HistoryPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the extension is not built: `make ui`"),
]

PATH = "tides.ipynb"
SEEN = 20_000.0

SHORTCUTS = [
    "d d", "x", "v", "c", "a", "b", "z", "Shift+M", "m", "y", "r", "1", "o", "Shift+O",
    "Shift+Enter", "Control+Enter", "Alt+Enter", "Enter", "Control+z", "Control+Shift+z",
    "Control+Shift+ArrowUp", "Control+Shift+ArrowDown", "Control+v", "Control+x", "Delete",
    "Backspace", "q",
]  # fmt: skip
"""JupyterLab's shortcuts for cells, and keys that people press in an editor."""


async def test_a_look_offers_its_own_actions_and_changes_nothing(
    serve: Serve, moto_server: S3Server, moto_bucket: str
) -> None:
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, {PATH: sample_notebook()}) as server,
        RTCClient("watcher", PATH) as watcher,
    ):
        api = BookstoreAPI(server)
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.type_at_the_end_of_cell(1, "\n# first")

        async def archived() -> bool:
            newest = (await api.versions(PATH))[:1]
            found = [await api.version(PATH, each["version_id"]) for each in newest]
            return "# first" in json.dumps(found)

        await eventually(archived, within=30, what="a version of what was typed")
        await watcher.connect(server)
        await page.open_panel()
        await page.panel.locator("[role=treeitem]").first.wait_for(timeout=SEEN)
        await page.open_sessions()
        await page.version(0).click()
        await page.version(0).get_by_role("button", name="Look").click()
        look = page.page.locator(".jp-BookstoreLook-tab")
        await expect(look).to_contain_text("# first", timeout=SEEN)
        shown = await look.inner_text()
        said = watcher.content()

        # The menu, over cells of every kind, over their outputs, and beside them.
        for spot in (".jp-MarkdownCell", ".jp-CodeCell .cm-content", ".jp-OutputArea img"):
            await look.locator(spot).first.click(button="right")
            menu = page.page.locator(".lm-Menu")
            await expect(menu).to_be_visible()
            offered = await menu.locator(".lm-Menu-itemLabel").all_inner_texts()
            assert [each for each in offered if each] == [
                "Compare", "Restore…", "Download Version", "Clone as New Notebook",
                "Copy Version Id",
            ]  # fmt: skip
            if spot == ".jp-MarkdownCell":
                await page.shoot("look-menu")
                assert await page.violations(".lm-Menu") == []
            await page.page.keyboard.press("Escape")
            await expect(menu).to_have_count(0)

        # The keyboard, with the focus in each place that may have it.
        for spot in (".jp-MarkdownCell", ".jp-CodeCell .cm-content", ".jp-OutputArea img"):
            await look.locator(spot).first.click()
            for keys in SHORTCUTS:
                for key in keys.split(" "):
                    await page.page.keyboard.press(key)
        await page.page.keyboard.press("Tab")
        for key in ("d", "d", "x", "b", "Shift+Enter"):
            await page.page.keyboard.press(key)

        # What is for the whole application still works.
        await look.locator(".jp-MarkdownCell").first.click()
        await page.page.keyboard.press("Control+a")
        assert "# first" in await page.page.evaluate("() => getSelection().toString()")
        await page.page.keyboard.press("Control+Shift+c")
        await expect(
            page.page.locator(".lm-CommandPalette, .jp-ModalCommandPalette").first
        ).to_be_visible()
        await page.page.keyboard.press("Escape")

        watcher.append(1, "\n# and on")  # the page gets this after all that it was made to do
        await expect(page.notebook).to_contain_text("# and on", timeout=SEEN)
        changed = json.dumps(watcher.content()).replace("\\n# and on", "")
        assert json.loads(changed) == said
        assert await look.inner_text() == shown
        assert page.errors == []


async def test_what_stands_beside_the_panel_is_safe_and_works(
    serve: Serve, moto_server: S3Server, moto_bucket: str
) -> None:
    files = {PATH: sample_notebook()}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, checkpoints=True) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.type_at_the_end_of_cell(1, "\n# typed since the checkpoint")
        await expect(page.status).to_contain_text("Archived", timeout=SEEN)

        # What is typed while collaboration's timeline is shown goes to a document of its own,
        # which is dropped: so it is not offered.
        assert await page.page.locator("#jp-slider-status-bar").count() == 0

        # nbdime's clock in the toolbar.
        async with server.http() as http:
            (await http.post(f"/api/contents/{PATH}/checkpoints")).raise_for_status()
        await page.command("nbdime:diff-checkpoint")
        view = page.page.locator(".nbdime-Widget .nbdime-root")
        await expect(view).to_be_visible(timeout=SEEN)
        await page.shoot("nbdime-clock")
        await expect(page.dialog).to_have_count(0)
        assert page.errors == []
