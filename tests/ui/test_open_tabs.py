"""Two tabs stay open and are typed into all the while; the server and its disk go and come back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled, find_marks, mark_text
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

from ..e2e.lab_page import QUIET_LAB, chromium, chromium_path
from .history_page import AXE, HistoryPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the extension is not built: `make ui`"),
]

PATH = "work/tides.ipynb"
SEEN = 60_000.0
"""Milliseconds, as Playwright counts."""

_SOURCES = """() => jupyterapp.shell.currentWidget.content.model.sharedModel
    .getSource().cells.map(cell => [cell.source].flat().join(''))"""


class Tab:
    """A person's open tab, into which marks are typed by key."""

    def __init__(self, page: HistoryPage, name: str, cell: int) -> None:
        self.page = page
        self.name = name
        self.made: list[str] = []
        self._typed = 100  # of three digits each, so that none is what is left of another
        self.said: list[str] = []
        """What the dialogs said that came up."""
        self._cell = page.page.locator(".jp-NotebookPanel .jp-Cell").nth(cell)

    @classmethod
    async def open(cls, browser: Browser, server: JupyterProcess, name: str, cell: int) -> Tab:
        page = await HistoryPage.open(browser, server, PATH, name.capitalize())
        tab = cls(page, name, cell)
        await tab._cell.locator(".cm-content").click()
        await page.page.keyboard.press("Control+End")
        return tab

    async def type(self, count: int) -> None:
        """Type so many more marks."""
        until = len(self.made) + count
        while len(self.made) < until:
            self._typed += 1
            mark = mark_text(self.name, self._typed)
            await self._answer_dialogs()
            await self.page.page.keyboard.press("Enter")
            await self.page.page.keyboard.type(mark, delay=10)
            if mark in await self.marks():  # else a dialog has come in between, and got its keys
                self.made.append(mark)

    async def _answer_dialogs(self) -> None:
        """JupyterLab says that the server is away; who goes on typing sends that away."""
        dialog = self.page.page.locator(".jp-Dialog")
        while await dialog.count():
            self.said.append(await dialog.first.inner_text())
            await dialog.first.locator("button").last.click()
            await self._cell.locator(".cm-content").click()
            await self.page.page.keyboard.press("Control+End")

    async def marks(self) -> Counter[str]:
        """The marks that the notebook has in this tab."""
        found: list[str] = await self.page.page.evaluate(_SOURCES)
        return find_marks(found)

    async def has(self, marks: set[str]) -> bool:
        return marks <= (await self.marks()).keys()


def _config(s3: S3Server, bucket: str) -> Config:
    config = {**s3_store(s3, bucket, checkpoint_max_delay=1.0), **QUIET_LAB}
    config["LabApp"] = {**config["LabApp"], "expose_app_in_browser": True}
    return config


async def _all_have(tabs: list[Tab], disk: Disk) -> None:
    """All marks are in both tabs and in the file, each once."""
    marks = {mark for tab in tabs for mark in tab.made}
    for tab in tabs:
        await eventually(
            lambda: tab.has(marks),  # noqa: B023
            within=90,
            what=f"all {len(marks)} marks in the tab of {tab.name}",
            interval=0.5,
        )

    def saved() -> bool:
        return find_marks(sources(peek_notebook(disk.file(PATH)) or {"cells": []})).keys() >= marks

    await eventually(saved, within=60, what="all marks in the file", interval=0.5)
    for tab in tabs:
        assert doubled(await tab.marks()) == {}
    notebook: Any = peek_notebook(disk.file(PATH))
    assert doubled(find_marks(sources(notebook))) == {}
    assert len(notebook["cells"]) == len(sample_notebook()["cells"])


async def _archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return bool(status["documents"]) and not status["pending_updates"]

    await eventually(archived, within=60, what="all of it to be archived", interval=0.5)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_two_tabs_go_on_by_themselves_on_another_disk(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str, how: str
) -> None:
    config = _config(moto_server, moto_bucket)
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with chromium() as browser:
        async with JupyterProcess(first, config, application="jupyterlab") as server:
            people = {"ada": 1, "ben": 3}
            tabs = [await Tab.open(browser, server, *each) for each in people.items()]
            await asyncio.gather(*(tab.type(10) for tab in tabs))
            await _archived(server)
            typing = asyncio.gather(*(tab.type(20) for tab in tabs))
            if how == "SIGTERM":
                await server.sigterm()
            else:
                server.sigkill()
        await typing
        await asyncio.gather(*(tab.type(10) for tab in tabs))

        async with JupyterProcess(
            second, config, application="jupyterlab", port=server.port, token=server.token
        ):
            await asyncio.gather(*(tab.type(10) for tab in tabs))
            await _all_have(tabs, second)
            await asyncio.gather(*(tab.type(5) for tab in tabs))
            await _all_have(tabs, second)
            for tab in tabs:  # JupyterLab says that the server is away, and nobody anything else
                assert all("connection to the Jupyter server" in words for words in tab.said)


async def test_a_tab_whose_token_is_of_yesterday_leads_to_the_login_and_goes_on(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    config = _config(moto_server, moto_bucket)
    first, second = new_disk(), new_disk()
    first.place(PATH, sample_notebook())
    async with chromium() as browser:
        async with JupyterProcess(first, config, application="jupyterlab") as server:
            tab = await Tab.open(browser, server, "ada", 1)
            await tab.type(5)
            await _archived(server)
            await server.sigterm()
        await tab.type(5)

        async with JupyterProcess(
            second, config, application="jupyterlab", port=server.port
        ) as server:
            offer = tab.page.message("You are not logged in")
            await expect(offer).to_be_visible(timeout=SEEN)
            await tab.type(5)
            async with tab.page.page.context.expect_page() as opened:
                await offer.get_by_text("Log In…").click()
            login = await opened.value
            await login.locator("#password_input").fill(server.token)
            closed = asyncio.ensure_future(login.wait_for_event("close", timeout=SEEN))
            await login.locator("#login_submit").click()
            await closed
            await _all_have([tab], second)
            await expect(offer).to_be_hidden(timeout=SEEN)
            assert tab.page.errors == []
