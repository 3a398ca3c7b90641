"""What the panel shows of long histories, of files, in trouble, in other themes, by keyboard."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.async_api import expect

from bookstore_y.local.waiting import eventually
from harness.jupyter.notebooks import sample_notebook
from harness.servers import S3Server, connect

from ..e2e.bucket import Bucket
from ..e2e.lab_page import chromium, chromium_path
from .aging import put_saves, sittings
from .conftest import Serve
from .history_page import AXE, CONTRAST, DARK, HistoryPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the extension is not built: `make ui`"),
]

PATH = "tides.ipynb"
SEEN = 20_000.0


def _with(note: str) -> dict[str, Any]:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] += f"\n\n{note}"
    return notebook


def _model(notebook: dict[str, Any]) -> dict[str, Any]:
    return {"type": "notebook", "format": "json", "content": notebook}


def _history(s3: S3Server, bucket: str, days: int, each: int) -> int:
    """Saves of the notebook, the newest being what its file says; returns how many."""
    moments = sittings(datetime.now(timezone.utc), days=days, each=each)
    people = ("Ada Lovelace", "Ben Okri", "Cleo Ade")
    labels = {len(moments) - each - 2: "as submitted", len(moments) // 2: "before the storm"}
    saves = [
        (when, _with(f"Reading {n}"), people[n // each % 3], labels.get(n))
        for n, when in enumerate(moments)
    ]
    put_saves(s3, bucket, f"workspace/{PATH}", saves)
    return len(saves)


@pytest.mark.slow
async def test_a_notebook_with_500_versions(
    serve: Serve,
    moto_server: S3Server,
    moto_bucket: str,
    record_property: Any,
) -> None:
    count = _history(moto_server, moto_bucket, days=50, each=10)
    files = {PATH: _with(f"Reading {count - 1}")}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace", size=(1400, 860))
        loaded = await page.page.evaluate(
            "() => performance.getEntriesByType('resource')"
            ".filter(each => each.name.includes('/bookstore-y/'))"
            ".map(each => [each.name.split('/').pop(), each.encodedBodySize])"
        )
        assert 0 < sum(size for _, size in loaded) < 100_000, loaded  # bytes, gzipped or not
        before = time.perf_counter()
        await page.open_panel()
        await page.panel.get_by_role("treeitem").first.wait_for(timeout=SEEN)
        record_property("seconds to open", time.perf_counter() - before)
        print(f"opened in {time.perf_counter() - before:.2f} s")
        # Right after midnight the newest is of yesterday, and then none is for an hour.
        now = datetime.now(timezone.utc)
        shown = {moment.astimezone().date() for moment in sittings(now, days=50, each=10)}
        for name, age in (("Today", 0), ("Yesterday", 1)):
            if now.astimezone().date() - timedelta(days=age) in shown:
                await expect(page.panel.get_by_role("group", name=name)).to_be_visible()
        await (
            page.panel.get_by_text("Ada Lovelace")
            .or_(page.panel.get_by_text("Ben Okri"))
            .first.wait_for(timeout=SEEN)
        )
        await page.panel.get_by_role("treeitem").first.click()
        await page.version(0).click()
        await page.shoot("long")
        assert await page.violations() == []

        # All are there for who scrolls far enough.
        async def all_days() -> bool:
            await page.page.locator(".jp-BookstoreHistory-scroll").evaluate(
                "node => node.scrollTo(0, node.scrollHeight)"
            )
            return await page.panel.get_by_role("group").count() >= 50

        await eventually(all_days, within=60, what="50 days", interval=0.2)
        await expect(page.panel.get_by_text("Load older versions")).to_have_count(0)

        # Filters.
        await page.panel.get_by_label("Filter versions").fill("storm")
        await expect(page.panel.get_by_role("treeitem")).to_have_count(1)
        await expect(page.panel.get_by_text("before the storm")).to_be_visible()
        await page.panel.get_by_label("Filter versions").fill("nobody wrote this")
        await expect(page.panel.get_by_text("No version matches")).to_be_visible()
        await page.shoot("no-match")
        await page.panel.get_by_role("button", name="Clear the filter").click()
        await page.panel.get_by_label("Labelled only").check()
        await expect(page.panel.get_by_role("treeitem")).to_have_count(2, timeout=SEEN)
        await page.shoot("labelled")

        # Other themes.
        await page.panel.get_by_label("Labelled only").uncheck()
        await page.version(8).wait_for(timeout=SEEN)  # the session is open still
        await page.version(1).click()
        await page.choose(3, "Compare with Now")
        await page.page.locator(".jp-BookstoreCompare-tab .jp-Cell-diff").first.wait_for(
            timeout=SEEN
        )
        for name in (DARK, CONTRAST):
            await page.theme(name)
            await page.shoot(name.rpartition(" ")[2].lower())
            assert await page.violations() == []
        assert page.errors == []


async def test_by_keyboard_alone(serve: Serve, moto_server: S3Server, moto_bucket: str) -> None:
    count = _history(moto_server, moto_bucket, days=3, each=3)
    files = {PATH: _with(f"Reading {count - 1}")}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        press = page.page.keyboard.press
        await page.open_panel()
        focused = page.page.locator(":focus")
        await expect(focused).to_have_attribute("role", "treeitem")

        # A key on a folded sitting means its newest version.
        newest = await focused.get_attribute("data-newest-id")
        await press("ArrowDown")
        older = await focused.get_attribute("data-newest-id")
        assert older not in (None, newest)
        await press("Control+c")
        await expect(page.message("The version id is copied")).to_be_visible()
        assert await page.page.evaluate("() => navigator.clipboard.readText()") == older
        await press("p")
        await expect(page.dialog).to_contain_text("Publish tides.ipynb?")
        await page.accept("Cancel")
        await expect(page.message("The version id is copied")).to_have_count(0, timeout=SEEN)
        await page.panel.locator(f"[data-newest-id='{newest}']").focus()

        await press("ArrowRight")
        await expect(focused).to_have_attribute("aria-expanded", "true")
        await press("ArrowDown")
        await press("ArrowDown")
        await expect(focused).to_have_attribute("aria-level", "2")

        # A label.
        await press("l")
        await page.dialog.locator("input").wait_for()
        await page.page.keyboard.type("by hand")
        await press("Enter")
        await expect(page.panel.get_by_text("by hand")).to_be_visible(timeout=SEEN)
        await expect(focused).to_have_attribute("role", "treeitem")

        # The menu.
        await press("Shift+F10")
        await page.page.locator(".lm-Menu").wait_for()
        await press("Escape")
        await expect(page.page.locator(".lm-Menu")).to_have_count(0)
        await expect(focused).to_have_attribute("aria-selected", "true")

        # To the version's own buttons, and back.
        await press("Tab")
        await expect(focused).to_have_text("Look")
        await press("Escape")
        await expect(focused).to_have_attribute("role", "treeitem")

        # Restore, and undo.
        await press("r")
        await page.dialog.wait_for()
        await press("Enter")
        await expect(page.notebook).to_contain_text(f"Reading {count - 2}", timeout=SEEN)
        await page.panel.locator("[role=treeitem][tabindex='0']").focus()
        await press("Control+z")
        await expect(page.notebook).to_contain_text(f"Reading {count - 1}", timeout=SEEN)

        # Copy, and look.
        version_id = await page.version(1).get_attribute("data-version-id")
        chosen = page.panel.locator(f"[data-version-id='{version_id}']")
        await chosen.focus()
        await press("Control+c")
        await expect(page.message("The version id is copied")).to_be_visible()
        copied = await page.page.evaluate("() => navigator.clipboard.readText()")
        assert copied == version_id
        await chosen.focus()
        await press("Enter")
        await expect(page.page.locator(".jp-BookstoreLook-tab")).to_be_visible(timeout=SEEN)


async def test_the_bucket_goes_away_and_comes_back(serve: Serve, bucket: Bucket) -> None:
    files = {PATH: sample_notebook()}
    settings = {"connect_timeout": 1.0, "read_timeout": 2.0, "max_attempts": 1}
    async with (
        chromium() as browser,
        serve(bucket.server, bucket.name, files, settings=settings) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.type_at_the_end_of_cell(1, "\n# first")
        await expect(page.status).to_contain_text("Archived", timeout=SEEN)
        title = await page.status.get_attribute("title")
        assert title is not None
        assert f"Bucket: {bucket.name}" in title
        assert f"Key: workspace/{PATH}.notebook.y.zst" in title
        bucket.down()
        await page.type_at_the_end_of_cell(1, "\n# second")
        await expect(page.status).to_contain_text("retrying", timeout=SEEN)
        await page.status.click()
        await expect(page.panel.get_by_role("alert")).to_be_visible(timeout=SEEN)
        await page.shoot("bucket-down")
        assert await page.violations() == []
        bucket.up()
        await expect(page.panel.get_by_role("treeitem").first).to_be_visible(timeout=60_000)
        await expect(page.status).to_contain_text("Archived", timeout=60_000)
        assert page.errors == []


@pytest.mark.slow
async def test_a_version_in_cold_storage_says_so_and_what_to_do(
    serve: Serve, moto_server: S3Server, moto_bucket: str
) -> None:
    count = _history(moto_server, moto_bucket, days=1, each=3)
    key, body = f"workspace/{PATH}", json.dumps(_with("Reading of old")).encode()
    s3 = connect(moto_server)
    s3.put_object(Bucket=moto_bucket, Key=key, Body=body, StorageClass="GLACIER")
    s3.put_object(Bucket=moto_bucket, Key=key, Body=json.dumps(_with("now")).encode())
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, {PATH: _with("now")}, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.open_panel()
        await page.panel.get_by_role("treeitem").first.wait_for(timeout=SEEN)
        await page.open_sessions()
        await expect(page.rows).to_have_count(count + 2, timeout=SEEN)
        cold = page.rows.filter(has_text="in cold storage")
        await expect(cold).to_have_count(1)
        await cold.click()
        await page.shoot("cold")
        for button in ("Look", "Compare"):
            await cold.get_by_role("button", name=button).click()
            await expect(page.dialog).to_contain_text("aws s3api restore-object", timeout=SEEN)
            await page.accept("Close", "cold-refused")
        assert await page.page.evaluate(_CUT, "Checkpoint") == 0
        assert await page.violations() == []


_CUT = """made => [...document.querySelectorAll('.jp-BookstoreHistory-made')].filter(each => {
    each.textContent = made;
    each.nextElementSibling.textContent = '58 minutes ago';
    return each.scrollWidth > each.clientWidth;
}).length"""
"""How many rows cut what made their version off, though they have to say a long time."""


@pytest.mark.slow
async def test_the_server_goes_away_and_comes_back(
    serve: Serve, moto_server: S3Server, moto_bucket: str
) -> None:
    count = _history(moto_server, moto_bucket, days=2, each=3)
    files = {PATH: _with(f"Reading {count - 1}")}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.open_panel()
        await page.panel.get_by_role("treeitem").first.wait_for(timeout=SEEN)
        await page.open_sessions()
        await expect(page.rows).to_have_count(count)
        await page.version(0).click()
        await server.sigterm()
        alert = page.panel.get_by_role("alert")
        await expect(alert).to_contain_text("The server does not answer", timeout=60_000)
        await expect(page.rows).to_have_count(count)
        await expect(page.status).to_contain_text("The server does not answer", timeout=SEEN)
        title = await page.status.get_attribute("title")
        assert title is not None
        assert "The Jupyter server does not answer." in title
        await page.dismiss()
        await page.shoot("offline")
        assert await page.violations() == []

        # What is asked for meanwhile says why it cannot be had.
        await page.version(0).click()
        await page.choose(0, "Look at Version")
        await expect(page.dialog).to_contain_text("The Jupyter server does not answer")
        await page.accept("Close")

        server.start()
        await server.wait_ready()
        await expect(alert).to_have_count(0, timeout=60_000)
        await expect(page.status).to_contain_text("Archived", timeout=SEEN)
        await expect(page.rows).to_have_count(count)

        # The list goes on.
        async with server.http() as http:
            answer = await http.put(f"/api/contents/{PATH}", json=_model(_with("after")))
            assert answer.status_code == 200, answer.text
        await page.open_sessions()
        await expect(page.rows).to_have_count(count + 1, timeout=60_000)


async def test_no_bucket_is_configured(serve: Serve, moto_server: S3Server) -> None:
    files = {PATH: sample_notebook()}
    async with (
        chromium() as browser,
        serve(moto_server, "", files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await expect(page.status).to_contain_text("not configured", timeout=SEEN)
        await page.open_panel()
        await expect(page.panel.get_by_text("Nothing is archived here")).to_be_visible(timeout=SEEN)
        await expect(page.panel).to_contain_text("c.BookstoreSettings.s3_bucket")
        await page.shoot("not-configured")
        assert await page.violations() == []


async def test_a_text_that_is_new(serve: Serve, moto_server: S3Server, moto_bucket: str) -> None:
    files = {"levels.py": "levels = [0.25, 1.5]\n\n\ndef mean():\n    return 1\n"}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, "levels.py", "Ada Lovelace")
        await page.open_panel()
        await expect(page.panel.get_by_text("No versions yet")).to_be_visible(timeout=SEEN)
        await page.shoot("empty")
        editor = page.page.locator(".jp-FileEditor .cm-content")
        for text in ("# north", "# south"):
            await editor.click()
            await page.page.keyboard.press("Control+End")
            await page.page.keyboard.type(f"{text}\n")
            shown = await page.rows.count()
            await page.page.keyboard.press("Control+s")

            async def landed(shown: int = shown) -> bool:
                await page.open_sessions()
                return await page.rows.count() > shown

            await eventually(landed, within=30, what="the save to be shown")
        oldest = await page.rows.count() - 1
        await page.choose(oldest, "Compare with Now")
        diff = page.page.locator(".jp-BookstoreDiff")
        await expect(diff.locator(".jp-mod-added")).to_contain_text(["# south"], timeout=SEEN)
        await page.shoot("text-compare")
        await page.choose(oldest, "Look at Version")
        look = page.page.locator(".jp-BookstoreLook-tab")
        await expect(look).to_contain_text("# north", timeout=SEEN)
        await expect(look).not_to_contain_text("# south")
        await page.shoot("text-look")
        async with page.page.expect_download() as download:
            await page.choose(oldest, "Download Version")
        path = await (await download.value).path()
        assert path.read_text().endswith("# north\n")
        await page.choose(oldest, "Select for Compare")
        await page.version(0).click(button="right")
        await page.page.locator(".lm-Menu").get_by_text("Compare with Selected").click()
        await expect(page.page.locator(".jp-BookstoreDiff").last).to_be_visible(timeout=SEEN)
        assert page.errors == []


async def test_in_notebook_7(serve: Serve, moto_server: S3Server, moto_bucket: str) -> None:
    pytest.importorskip("notebook")
    count = _history(moto_server, moto_bucket, days=2, each=2)
    files = {PATH: _with(f"Reading {count - 1}")}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace", app="notebook")
        await page.open_panel()
        await page.open_sessions()
        await page.version(1).dblclick()
        await expect(page.page.locator(".jp-BookstoreLook-tab")).to_be_visible(timeout=SEEN)
        await page.shoot("notebook-7")


@pytest.mark.slow
async def test_what_is_published(serve: Serve, moto_server: S3Server, moto_bucket: str) -> None:
    files = {PATH: sample_notebook(), "storms.ipynb": _with("storms"), "ebb.ipynb": _with("ebb")}
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, files, collaborative=False) as server,
        server.http() as http,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.page.goto(f"{server.url}/bookstore")
        gallery = page.page.locator(".jp-BookstoreGallery")
        await expect(gallery.get_by_text("Nothing is published yet")).to_be_visible(timeout=30_000)
        for path in files:
            answer = await http.put(
                f"/api/bookstore/publish/{path}", json={"type": "notebook", "live": True}
            )
            assert answer.status_code == 200, answer.text
        reviewed = datetime.now(timezone.utc) - timedelta(days=2), _with("gauges")
        key = "published/harbour/gauges.ipynb"
        put_saves(moto_server, moto_bucket, key, [(*reviewed, "Ben Okri", "As reviewed")])
        await page.page.goto(f"{server.url}/bookstore")
        cards = gallery.get_by_role("listitem")
        await expect(cards).to_have_count(4, timeout=30_000)
        await expect(cards.filter(has_text="As reviewed")).to_contain_text("ago by Ben Okri")
        await page.shoot("gallery")
        assert await page.violations(".jp-BookstoreGallery") == []
        await gallery.get_by_role("searchbox").fill("storm")
        await expect(gallery.get_by_role("listitem")).to_have_count(1)
        await gallery.get_by_role("button", name="Preview").click()
        await expect(page.page.locator(".jp-BookstoreLook-tab")).to_contain_text(
            "storms", timeout=SEEN
        )
        await page.shoot("preview")
        await page.command("bookstore:open-gallery")
        await gallery.get_by_role("button", name="Clone storms.ipynb", exact=True).click()
        await expect(page.message("Cloned as")).to_be_visible(timeout=SEEN)
        assert len(list(server.disk.root.glob("storms*.ipynb"))) == 2
