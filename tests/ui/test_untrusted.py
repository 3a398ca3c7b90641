"""What is in a bucket runs nothing in the page of who looks at it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from harness.jupyter.notebooks import sample_notebook
from harness.servers import S3Server

from ..e2e.lab_page import chromium, chromium_path
from .aging import put_saves
from .conftest import Serve
from .history_page import AXE, HistoryPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the extension is not built: `make ui`"),
]

RUN = "window.ran = true"
IMG = f'<img src="x" onerror="{RUN}">'
SCRIPT = f"<script>{RUN}</script>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}">{SCRIPT}</svg>'
PATH = f"a &amp; {IMG}.ipynb"
SEEN = 20_000.0


def _notebook(note: str) -> dict[str, Any]:
    """A notebook that says it is trusted, and would run something in every way that there is."""
    bundles: list[dict[str, Any]] = [
        {"text/html": f"<b>shown</b>{IMG}{SCRIPT}"},
        {"text/markdown": f"shown {IMG}"},
        {"image/svg+xml": SVG},
        {"application/javascript": RUN},
        {"text/latex": f"$\\href{{javascript:{RUN}}}{{x}}$ {IMG}"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": IMG}, "text/plain": IMG},
    ]
    cells: list[dict[str, Any]] = [
        {
            "id": f"code-{n}",
            "cell_type": "code",
            "metadata": {"trusted": True},
            "source": f"# {note}",
            "execution_count": 1,
            "outputs": [
                {
                    "output_type": "display_data",
                    "metadata": {"trusted": True},
                    "data": {kind: f"{data}<!-- {note} -->" if isinstance(data, str) else data},
                }
                for kind, data in bundle.items()
            ],
        }
        for n, bundle in enumerate(bundles)
    ]
    text = {"id": "text", "cell_type": "markdown", "metadata": {"trusted": True}}
    cells.append({**text, "source": f"{note} {IMG} {SCRIPT}"})
    return {**sample_notebook(), "cells": cells}


async def test_a_version_runs_nothing(
    serve: Serve, moto_server: S3Server, moto_bucket: str
) -> None:
    now = datetime.now(timezone.utc)
    saves = [
        (now - timedelta(hours=2), _notebook("before"), IMG, None),
        (now - timedelta(hours=1), _notebook("after"), "Ada Lovelace", f"{IMG} & co"),
    ]
    put_saves(moto_server, moto_bucket, f"workspace/{PATH}", saves)
    async with (
        chromium() as browser,
        serve(moto_server, moto_bucket, {PATH: sample_notebook()}, collaborative=False) as server,
    ):
        page = await HistoryPage.open(browser, server, PATH, "Ada Lovelace")
        await page.open_panel()
        await expect(page.panel.get_by_text(f"{IMG} & co")).to_be_visible(timeout=SEEN)
        await expect(page.panel.locator("img")).to_have_count(0)
        await page.choose(1, "Look at Version")
        look = page.page.locator(".jp-BookstoreLook-tab")
        await expect(look.get_by_text("shown").first).to_be_visible(timeout=SEEN)
        await expect(look.get_by_text("before").last).to_be_visible()
        await _loaded(look.locator("img"))
        assert await page.page.evaluate("() => window.ran") is None
        await page.choose(0, "Compare with the Version Before")
        compare = page.page.locator(".jp-BookstoreCompare-tab")
        await expect(compare.get_by_text("shown").first).to_be_visible(timeout=SEEN)
        await _loaded(compare.locator("img"))
        assert await page.page.evaluate("() => window.ran") is None
        assert page.errors == []


async def _loaded(images: Locator) -> None:
    """Wait until every image is there or has failed, at which `onerror` would have run."""
    await expect(images.first).to_be_attached()
    for image in await images.all():
        await image.evaluate(
            "image => image.complete || new Promise(done => {"
            "image.addEventListener('load', done); image.addEventListener('error', done)})"
        )
