"""The landing page in a browser: it says what would be cloned, clones it, and opens the clone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.servers import S3Server, make_bucket

from ..e2e.lab_page import FLAGS, QUIET_LAB, chromium_path
from .server import RestServer, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no `chromium` on PATH"),
]

NAME = "tides & <b>ebb<b> 100%.ipynb"
LOADED = 60_000.0
"""Milliseconds that JupyterLab may take to open a notebook."""


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server) -> Iterator[RestServer]:
    """JupyterLab, with a notebook published and one to clone from the disk."""
    disk = Disk(tmp_path_factory.mktemp("landing"))
    clonable = disk.path / "clonable"
    clonable.mkdir()
    (clonable / "ebb.ipynb").write_text(json.dumps(sample_notebook()))
    with running(
        disk,
        moto_server,
        make_bucket(moto_server),
        application="jupyterlab",
        BookstoreSettings={"fs_cloning_basedir": str(clonable)},
        **QUIET_LAB,
    ) as server:
        server.send("PUT", "publish", NAME, type="notebook", content=sample_notebook())
        yield server


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, rest: RestServer) -> Iterator[Page]:
    """A page of somebody who has logged in, in either colour scheme."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        context = browser.new_context(
            color_scheme=request.param, viewport={"width": 900, "height": 760}
        )
        page = context.new_page()
        page.goto(f"{rest.process.url}/api/status?token={rest.process.token}")
        yield page
        browser.close()


def _open(page: Page, rest: RestServer, address: str, **query: str) -> list[str]:
    """Open a landing page; returns what the browser complains about, as it comes."""
    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{rest.process.url}/bookstore/{address}?{urlencode(query)}")
    return complaints


def test_says_where_from_and_where_to_and_opens_the_clone(
    page: Page, rest: RestServer, tmp_path: Path
) -> None:
    query = {"s3_bucket": rest.bucket, "s3_key": f"published/{NAME}"}
    complaints = _open(page, rest, "clone", **query)
    page.screenshot(path=tmp_path / "clone.png")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Clone {NAME}")
    expect(page.get_by_text(rest.bucket, exact=True)).to_be_visible()
    expect(page.get_by_text(f"published/{NAME}", exact=True)).to_be_visible()
    expect(page.get_by_label("To")).to_have_value(NAME)
    assert page.locator("b").count() == 0, "the name was taken for HTML"

    page.get_by_label("To").fill("cloned/tides & ebb 100%.ipynb")
    page.keyboard.press("Enter")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LOADED)
    page.screenshot(path=tmp_path / "opened.png")
    expect(page.locator(".jp-Notebook")).to_contain_text("Measured at the pier")
    assert rest.disk.file("cloned/tides & ebb 100%.ipynb").exists()
    assert complaints == []


def test_shows_what_the_server_refuses_and_can_be_tried_again(
    page: Page, rest: RestServer, tmp_path: Path
) -> None:
    _open(page, rest, "clone", s3_bucket=rest.bucket, s3_key="published/nothing.ipynb")
    expect(page.get_by_role("button", name="Clone")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("nothing.ipynb")
    page.screenshot(path=tmp_path / "refused.png")
    expect(page.get_by_role("button", name="Clone")).to_have_attribute("aria-disabled", "false")


def test_says_that_a_bucket_may_not_be_cloned_from(
    page: Page, rest: RestServer, tmp_path: Path
) -> None:
    _open(page, rest, "clone", s3_bucket="<script>alert(1)</script>", s3_key="a.ipynb")
    expect(page.get_by_role("alert")).to_contain_text("clone_buckets")
    expect(page.get_by_role("button")).to_have_count(0)
    page.screenshot(path=tmp_path / "not-allowed.png")


def test_clones_from_the_file_system(page: Page, rest: RestServer) -> None:
    complaints = _open(page, rest, "fs-clone", relpath="ebb.ipynb")
    page.get_by_role("button", name="Clone").click()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LOADED)
    assert rest.disk.file("ebb.ipynb").exists()
    assert complaints == []
