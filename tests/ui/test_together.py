"""Two people edit a notebook; a third looks back, compares, names, restores, publishes, clones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.notebooks import sample_notebook, sources
from harness.servers import S3Server

from ..e2e.lab_page import chromium, chromium_path
from .conftest import Serve
from .history_page import AXE, HistoryPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the extension is not built: `make ui`"),
]

PATH = "tides.ipynb"
FIRST, SECOND, LATER = "north gauge checked", "south gauge replaced", "all gauges lost"
SINCE = "one gauge found"
SEEN = 20_000.0


async def test_history_of_a_notebook_that_two_people_edit(
    serve: Serve, moto_server: S3Server, moto_bucket: str, tmp_path: Path
) -> None:
    files = {PATH: sample_notebook()}
    async with chromium() as browser, serve(moto_server, moto_bucket, files) as server:
        api = BookstoreAPI(server)

        async def archived(text: str, count: int) -> None:
            async def found() -> bool:
                newest = (await api.snapshots(PATH))[:1]
                return bool(newest) and len(await api.snapshots(PATH)) > count

            await eventually(found, within=30, what=f"a version with {text!r}")

        async def typed(page: HistoryPage, cell: int, text: str) -> None:
            count = len(await api.snapshots(PATH))
            await page.type_at_the_end_of_cell(cell, f"\n# {text}")
            await archived(text, count)

        ada = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        ben = await HistoryPage.open(browser, server, PATH, "Ben Okri")
        await typed(ada, 1, FIRST)
        await typed(ben, 3, SECOND)
        cleo = await HistoryPage.open(browser, server, PATH, "Cleo Ade", size=(1400, 860))
        await cleo.open_panel()
        await cleo.panel.locator("[aria-expanded]").first.wait_for(timeout=SEEN)
        await cleo.shoot("folded")
        await cleo.open_sessions()
        await expect(cleo.panel.get_by_text("Ada Lovelace").first).to_be_visible(timeout=SEEN)
        await expect(cleo.panel.get_by_text("Ben Okri").first).to_be_visible(timeout=SEEN)

        # What lands is shown without being asked for.
        shown = await cleo.rows.count()
        await typed(ada, 1, LATER)
        await eventually(lambda: _more(cleo, shown), within=20, what="the new version to be shown")
        await cleo.version(0).click()
        await expect(cleo.version(0).get_by_text("Ada Lovelace")).to_be_visible(timeout=SEEN)
        await cleo.shoot("panel")

        # A name for the version before.
        both = await _holding(api, cleo, [FIRST, SECOND], ["gauges l"])
        await cleo.rows.locator(f"xpath=self::*[@data-version-id='{both}']").click(button="right")
        await cleo.shoot("menu")
        await cleo.page.locator(".lm-Menu").get_by_text("Label Version…", exact=True).click()
        await cleo.dialog.locator("input").fill("as submitted")
        await ben.open_panel()
        await ben.panel.locator("[aria-expanded]").first.wait_for(timeout=SEEN)
        await cleo.accept("Label", "label")
        for page in (cleo, ben):  # who looks at the list in another window sees it, too
            await expect(page.panel.get_by_text("as submitted")).to_be_visible(timeout=SEEN)

        # Look at it, compare it.
        label = cleo.page.locator(".jp-BookstoreHistory-label", has_text="as submitted")
        labelled = cleo.rows.filter(has=label)
        await labelled.click()
        await labelled.get_by_role("button", name="Look").click()
        look = cleo.page.locator(".jp-BookstoreLook-tab")
        await expect(look).to_contain_text(SECOND, timeout=SEEN)
        await expect(look).not_to_contain_text(LATER)
        await expect(look.get_by_role("note")).to_contain_text("read-only")
        await expect(look.locator("img")).to_be_visible()
        await look.locator(".cm-content").nth(1).click()
        await cleo.page.keyboard.type("not to be written")
        await expect(look).not_to_contain_text("not to be written")
        assert await cleo.violations() == []
        await cleo.shoot("look")
        await cleo.page.get_by_role("button", name="Compare", exact=True).first.click()
        compare = cleo.page.locator(".jp-BookstoreCompare-tab")
        await expect(compare).to_contain_text(LATER, timeout=SEEN)
        await expect(compare.locator(".cm-merge-2pane").first).to_be_visible()
        await cleo.shoot("compare")

        # Restore, and undo it.
        await labelled.get_by_role("button", name="Restore…").click()
        await cleo.accept("Restore", "restore")
        for page in (ada, ben, cleo):
            await expect(page.notebook).not_to_contain_text(LATER, timeout=SEEN)
        for page in (ada, ben):
            await expect(page.message("Cleo Ade restored tides.ipynb.")).to_be_visible(timeout=SEEN)
        await expect(cleo.message("Cleo Ade restored")).to_have_count(0)
        await ada.message("Cleo Ade restored").hover()  # once it is where it stays
        await ada.shoot("restored-by-another")
        await expect(cleo.panel.get_by_text("from “as submitted”")).to_be_visible(timeout=SEEN)
        notice = compare.locator(".jp-BookstorePast-notice")
        await expect(notice).to_have_text("Changed since", timeout=SEEN)
        assert not await _overlap(cleo.message("has the content"), cleo.panel)
        await cleo.shoot("restored")
        await compare.get_by_role("button", name="Refresh").click()
        await expect(compare).to_contain_text("There are no differences", timeout=SEEN)
        await expect(notice).to_have_count(0)
        await cleo.message("has the content").get_by_text("Undo", exact=True).click()
        await expect(ada.notebook).to_contain_text(LATER, timeout=SEEN)

        # Those who did not restore it can see what it changed.
        await ben.message("Cleo Ade restored").first.get_by_text("Compare", exact=True).click()
        await expect(ben.page.locator(".jp-BookstoreCompare-tab")).to_contain_text(
            LATER, timeout=SEEN
        )

        # Undo asks before it takes back what somebody has typed since.
        await labelled.get_by_role("button", name="Restore…").click()
        await cleo.accept("Restore", "restore-again")
        await expect(ada.notebook).not_to_contain_text(LATER, timeout=SEEN)
        await ada.type_at_the_end_of_cell(1, f"\n# {SINCE}")
        await expect(cleo.notebook).to_contain_text(SINCE, timeout=SEEN)
        await cleo.command("bookstore:undo-restore")
        await expect(cleo.dialog).to_contain_text("It was changed after the restore.", timeout=SEEN)
        await cleo.accept("Undo", "undo")
        await expect(ada.notebook).to_contain_text(LATER, timeout=SEEN)
        await expect(ada.notebook).not_to_contain_text(SINCE)

        # Publish and clone.
        await labelled.click(button="right")
        await cleo.page.locator(".lm-Menu").get_by_text("Publish Version…").click()
        await expect(cleo.dialog).to_contain_text(f"s3://{moto_bucket}/published/{PATH}")
        await cleo.accept("Publish", "publish")
        await expect(cleo.message("Published as")).to_be_visible(timeout=SEEN)
        await expect(cleo.panel.get_by_text("Published").first).to_be_visible(timeout=SEEN)
        await labelled.click(button="right")
        await cleo.page.locator(".lm-Menu").get_by_text("Clone as New Notebook").click()
        await expect(cleo.message("Cloned as")).to_be_visible(timeout=SEEN)
        clones = list(server.disk.root.glob("tides-*.ipynb"))
        assert len(clones) == 1
        text = "\n".join(sources(json.loads(clones[0].read_text())))
        assert SECOND in text
        assert LATER not in text
        assert [page.errors for page in (ada, ben, cleo)] == [[], [], []]


async def _overlap(one: Locator, other: Locator) -> bool:
    """Whether one covers any of the other."""
    a, b = await one.bounding_box(), await other.bounding_box()
    assert a is not None
    assert b is not None
    apart_across = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
    return not (apart_across or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"])


async def _more(page: HistoryPage, than: int) -> bool:
    return await page.rows.count() > than


async def _holding(
    api: BookstoreAPI, page: HistoryPage, texts: list[str], without: list[str]
) -> str:
    """The id of the newest shown version that holds these texts and not those."""
    for row in await page.rows.all():
        version_id = await row.get_attribute("data-version-id")
        assert version_id is not None
        answer = await api._ask("GET", f"/api/bookstore/version/{PATH}?version_id={version_id}")
        text = "\n".join(sources(answer["model"]["content"]))
        if all(each in text for each in texts) and not any(each in text for each in without):
            return version_id
    raise AssertionError(f"no version holds {texts} without {without}")
