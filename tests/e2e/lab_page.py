"""LabPage: one notebook in one page of a real browser."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from harness.jupyter.session import Server
from harness.jupyter.stores import Config

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
"""Chromium's, for a container that has no network, no display and no other user."""

_LOADED = 60_000.0
_SEEN = 20_000.0
"""Milliseconds, as Playwright counts."""

expect.set_options(timeout=30_000)  # a machine that runs several browsers needs more than 5 s

QUIET_LAB: Config = {
    "LabApp": {
        "news_url": None,
        "check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "extension_manager": "readonly",
    }
}
"""Configuration with which JupyterLab asks no server but its own."""


def chromium_path() -> str | None:
    """Where the machine's Chromium is; None when it has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium, gone at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


class LabPage:
    """A person's JupyterLab with one notebook open."""

    def __init__(self, page: Page) -> None:
        self._page = page

    @classmethod
    async def open(cls, browser: Browser, server: Server, path: str, person: str) -> LabPage:
        """Open the notebook at `path` in a browser profile of its own, and wait for its cells."""
        context = await browser.new_context(viewport={"width": 1280, "height": 1000})
        page = await context.new_page()
        await page.goto(
            f"{server.url}/lab/workspaces/{person}/tree/{quote(path)}?token={server.token}",
            timeout=_LOADED,
        )
        opened = cls(page)
        await opened._cells.first.wait_for(timeout=_LOADED)
        return opened

    @classmethod
    async def start(cls, browser: Browser, server: Server, person: str) -> LabPage:
        """Open JupyterLab with nothing in it but its launcher, in a profile of its own."""
        context = await browser.new_context(viewport={"width": 1280, "height": 1000})
        page = await context.new_page()
        await page.goto(
            f"{server.url}/lab/workspaces/{person}?token={server.token}", timeout=_LOADED
        )
        await page.locator(".jp-DirListing-content").wait_for(timeout=_LOADED)
        return cls(page)

    async def wait_for_file(self, name: str) -> None:
        """Wait until the file browser lists a file or folder."""
        await self._listed(name).wait_for(timeout=_SEEN)

    async def enter_folder(self, name: str) -> None:
        """Open a folder from the file browser."""
        await self._listed(name).dblclick()

    async def open_listed(self, name: str) -> None:
        """Open a notebook from the file browser, and wait for its cells."""
        await self._listed(name).dblclick()
        tab = self._page.locator("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-current")
        await tab.filter(has_text=name).wait_for(timeout=_LOADED)
        await self._page.locator(".jp-Cell:visible").first.wait_for(timeout=_LOADED)

    async def open_from_path(self, path: str) -> None:
        """Open a notebook with *File*, *Open from Path…*, and wait for its cells."""
        await self._page.get_by_role("menuitem", name="File", exact=True).click()
        await self._page.get_by_text("Open from Path…").click()
        await self._page.locator(".jp-Dialog input").fill(path)
        await self._page.keyboard.press("Enter")
        await self._cells.first.wait_for(timeout=_LOADED)

    async def new_notebook(self) -> str:
        """Make a notebook from the launcher, and return the name on its tab."""
        card = self._page.locator('.jp-LauncherCard[data-category="Notebook"]')
        await card.first.click(timeout=_LOADED)
        tab = self._page.locator("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-current")
        await tab.filter(has_text=".ipynb").wait_for(timeout=_LOADED)
        return (await tab.inner_text()).strip()

    def _listed(self, name: str) -> Locator:
        items = self._page.locator(".jp-DirListing-item")
        return items.filter(has=self._page.get_by_text(name, exact=True)).first

    async def type_at_the_end_of_cell(self, index: int, text: str) -> None:
        """Click into a code cell and type `text` after what it has, key by key."""
        await self._cells.nth(index).locator(".cm-content").click()
        await self._page.keyboard.press("Control+End")
        await self._page.keyboard.type(text, delay=10)

    async def wait_for_text(self, text: str) -> None:
        """Wait until a cell shows `text`."""
        await self._cells.filter(has_text=text).first.wait_for(timeout=_SEEN)

    async def count(self, text: str) -> int:
        """How often the notebook shows `text`."""
        return (await self._notebook.inner_text()).count(text)

    async def cell_count(self) -> int:
        """How many cells the notebook shows."""
        return await self._cells.count()

    async def screenshot(self, file: Path) -> None:
        """Save what the page shows now as a PNG image."""
        await self._page.screenshot(path=file)

    async def close(self) -> None:
        """Close the page with its profile."""
        await self._page.context.close()

    @property
    def _notebook(self) -> Locator:
        return self._page.locator(".jp-Notebook")

    @property
    def _cells(self) -> Locator:
        return self._notebook.locator(".jp-Cell")
