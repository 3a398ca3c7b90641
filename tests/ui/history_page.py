"""HistoryPage: a person's JupyterLab with a document and its version history open."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.async_api import Browser, Locator, Page, Route, expect
from playwright.async_api import Error as PlaywrightError

from harness.jupyter.session import Server

from .identity import NAME

UI = Path(__file__).parents[2] / "ui"
EXTENSION = Path(__file__).parents[2] / "bookstore_y" / "labextension"
AXE = UI / "node_modules" / "axe-core" / "axe.min.js"

SHOTS = os.environ.get("UI_SHOTS") or None
"""A directory for the pictures that the documentation shows; without it they are not kept."""

_LOADED = 30_000.0
_SEEN = 20_000.0
"""Milliseconds, as Playwright counts."""

DARK, LIGHT = "JupyterLab Dark", "JupyterLab Light"
CONTRAST = "JupyterLab Dark High Contrast"


async def _named(route: Route, person: str) -> None:
    """Answer who the user is: the server's token is nobody's in particular."""
    try:
        response = await route.fetch()
        answer = await response.json()
    except PlaywrightError:  # the server is gone, or has just gone
        await route.abort("connectionrefused")
        return
    if not response.ok:  # who has not logged in is nobody
        await route.fulfill(response=response)
        return
    initials = "".join(word[0] for word in person.split())
    color = f"var(--jp-collaborator-color{1 + sum(person.encode()) % 7})"
    answer["identity"] |= {"name": person, "display_name": person, "initials": initials}
    answer["identity"] |= {"username": person.lower().replace(" ", "-"), "color": color}
    await route.fulfill(response=response, json=answer)


class HistoryPage:
    """One document in one page, with the panel beside it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        """What no one caught in the page."""

    @classmethod
    async def open(
        cls,
        browser: Browser,
        server: Server,
        path: str,
        person: str,
        *,
        app: str = "lab",
        size: tuple[int, int] = (1280, 800),
    ) -> HistoryPage:
        """Open the document in a browser profile of its own; the panel is not open yet."""
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            accept_downloads=True,
            extra_http_headers={NAME: person},
        )
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        await page.route(re.compile(r"/api/me(\?|$)"), lambda route: _named(route, person))
        where = f"lab/workspaces/{person.split()[0].lower()}/tree" if app == "lab" else "notebooks"
        await page.goto(f"{server.url}/{where}/{quote(path)}?token={server.token}", timeout=_LOADED)
        opened = cls(page)
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        try:
            await page.locator(".jp-Cell, .jp-FileEditor .cm-content").first.wait_for(
                timeout=_LOADED
            )
        except BaseException:
            await opened.shoot("not-loaded")
            raise
        return opened

    async def open_panel(self) -> None:
        """Open the panel by its keyboard shortcut, and wait until it says something."""
        await self.page.keyboard.press("Alt+Shift+H")
        await self.panel.locator("[role=treeitem], .jp-BookstoreMessage-title").first.wait_for(
            timeout=_SEEN
        )

    async def type_at_the_end_of_cell(self, index: int, text: str) -> None:
        """Click into a cell and type `text` after what it has."""
        cell = self.page.locator(".jp-NotebookPanel .jp-Cell").nth(index)
        await cell.locator(".cm-content").click()
        await self.page.keyboard.press("Control+End")
        await self.page.keyboard.type(text, delay=5)

    async def open_sessions(self) -> None:
        """Unfold every editing session."""
        folded = self.panel.locator("[role=treeitem][aria-expanded=false]")
        while await folded.count():
            await folded.first.click()

    def version(self, number: int) -> Locator:
        """A version by its place in the list, 0 being the newest that is shown."""
        return self.panel.locator("[data-version-id]").nth(number)

    async def choose(self, number: int, command: str) -> None:
        """Choose an entry of a version's context menu."""
        await self.version(number).click(button="right")
        await self.page.locator(".lm-Menu").get_by_text(command, exact=True).click()

    async def accept(self, button: str, shot: str | None = None) -> None:
        """Press a button of the dialog that is open."""
        await self.dialog.wait_for(timeout=_SEEN)
        if shot is not None:
            await self.shoot(shot)
        await self.dialog.get_by_role("button", name=button, exact=True).click()
        await self.dialog.wait_for(state="detached", timeout=_SEEN)

    async def dismiss(self) -> None:
        """Close what JupyterLab itself says of a server that is gone, now and whenever it does."""

        async def close(_: Locator) -> None:
            await self.page.keyboard.press("Escape")

        said = self.dialog.filter(has_text="Server Connection Error")
        await self.page.add_locator_handler(said, close)
        while await self.dialog.count():
            await self.page.keyboard.press("Escape")

    async def theme(self, name: str) -> None:
        """Change the theme."""
        await self.command("apputils:change-theme", {"theme": name})
        await expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)

    async def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Execute a command of JupyterLab's."""
        await self.page.evaluate(
            "([name, args]) => void window.jupyterapp.commands.execute(name, args)",
            [name, arguments or {}],
        )

    async def violations(self, selector: str = ".jp-BookstoreSidebar") -> list[str]:
        """What axe-core finds serious or critical below `selector`."""
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.add_script_tag(content=AXE.read_text())
        found = await self.page.evaluate(
            "async selector => (await axe.run(selector, {resultTypes: ['violations']})).violations",
            selector,
        )
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    async def shoot(self, name: str, *, of: Locator | None = None) -> None:
        """Keep a picture of the page, or of a part of it."""
        if SHOTS is None:
            return
        file = Path(SHOTS) / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        # Animations run on: the end of its bar's closes a notification.
        await (of or self.page).screenshot(path=file, animations="allow")

    async def close(self) -> None:
        """Close the page with its profile."""
        await self.page.context.close()

    @property
    def panel(self) -> Locator:
        """The side panel."""
        return self.page.locator(".jp-BookstoreHistory")

    @property
    def rows(self) -> Locator:
        """The versions that are shown."""
        return self.panel.locator("[data-version-id]")

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator(".jp-Dialog")

    @property
    def status(self) -> Locator:
        """The status bar's item."""
        return self.page.locator(".jp-BookstoreStatus button")

    @property
    def notebook(self) -> Locator:
        """The notebook that is worked on."""
        return self.page.locator(".jp-NotebookPanel .jp-Notebook")

    def message(self, text: str) -> Locator:
        """A notification."""
        return self.page.locator(".Toastify__toast").filter(has_text=text)
