"""Desk: one person's browser at a Jupyter server, with a file browser and one notebook."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, expect

from harness.jupyter.session import Server

LOADED = 60_000.0
SEEN = 30_000.0
"""Milliseconds, as Playwright counts."""


class Desk:
    """JupyterLab, or Notebook 7's file browser and notebook pages, as one person has them open."""

    def __init__(self, page: Page, app: str) -> None:
        self.page = page
        self.files = page
        """The page with the file browser: in JupyterLab the same as `page`."""
        self._app = app

    @classmethod
    async def sit_down(cls, browser: Browser, server: Server, app: str = "lab") -> Desk:
        """Open the application in a browser profile of its own, and wait for its files."""
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await page.goto(f"{server.url}/{app}?token={server.token}", timeout=LOADED)
        desk = cls(page, app)
        # It asks for a notebook that it has opened by itself, as it was open before.
        choose = page.locator(".jp-Dialog").filter(has_text="Select Kernel")
        await page.add_locator_handler(choose, _accept)
        await page.locator(".jp-DirListing-content").first.wait_for(timeout=LOADED)
        return desk

    def listed(self, name: str) -> Locator:
        """The entry of a file in the file browser."""
        exactly = re.compile(rf"^{re.escape(name)}$")
        return self.files.locator(".jp-DirListing-itemText").filter(has_text=exactly)

    async def open_from_file_browser(self, name: str) -> None:
        """Double-click a file, and wait for its document."""
        await self.listed(name).first.wait_for(timeout=SEEN)
        if self._app == "tree":
            async with self.page.context.expect_page(timeout=LOADED) as opening:
                await self.listed(name).first.dblclick()
            self.page = await opening.value
        else:
            await self.listed(name).first.dblclick()
        await self.cells.first.wait_for(timeout=LOADED)

    async def new_notebook(self) -> None:
        """Make a notebook, as *File, New, Notebook* does, and accept the kernel it offers."""
        if self._app == "tree":
            await self.files.get_by_text("New", exact=True).first.click()
            async with self.page.context.expect_page(timeout=LOADED) as opening:
                await self.files.locator(".lm-Menu").get_by_text(re.compile("^Python 3")).click()
            self.page = await opening.value
        else:
            await self.files.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
        await self.cells.first.wait_for(timeout=LOADED)

    async def type_in_cell(self, index: int, text: str) -> None:
        """Click into a cell and type `text` after what it has, key by key."""
        await self.cells.nth(index).locator(".cm-content").click()
        await self.page.keyboard.press("Control+End")
        await self.page.keyboard.type(text, delay=10)

    async def hears_that_the_server_is_away(self) -> None:
        """Wait until JupyterLab says so, and have it say so no more: who types goes on."""
        said = self.page.locator(".jp-Dialog").filter(has_text="Server Connection Error")
        await said.wait_for(timeout=LOADED)
        await said.get_by_role("checkbox").check()
        await said.locator("button").last.click()
        await expect(said).to_be_hidden(timeout=SEEN)

    async def save(self) -> None:
        """Press Ctrl+S."""
        await self.page.keyboard.press("Control+s")

    async def sees(self, *texts: str) -> None:
        """Wait until the notebook shows each text, and see that it does so once."""
        for text in texts:
            await expect(self.cells.filter(has_text=text)).to_have_count(1, timeout=SEEN)
            # Once in all of the notebook: JupyterLab may be drawing the cell again just now.
            found = re.escape(text)
            once = re.compile(rf"^(?!.*{found}.*{found}).*{found}", re.DOTALL)
            await expect(self.notebook).to_have_text(once, timeout=SEEN, use_inner_text=True)

    async def shoot(self, file: Path) -> None:
        """Keep a picture of the page."""
        await self.page.screenshot(path=file)

    async def stand_up(self) -> None:
        """Close every page of this browser profile."""
        await self.page.context.close()

    @property
    def notebook(self) -> Locator:
        """The notebook that is shown."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")

    @property
    def cells(self) -> Locator:
        """Its cells."""
        return self.notebook.locator(".jp-Cell")


async def _accept(dialog: Locator) -> None:
    await dialog.locator(".jp-mod-accept").click()


@asynccontextmanager
async def desk(browser: Browser, server: Server, app: str = "lab") -> AsyncIterator[Desk]:
    """A person at a server, who goes at the end."""
    person = await Desk.sit_down(browser, server, app)
    try:
        yield person
    finally:
        await person.stand_up()
