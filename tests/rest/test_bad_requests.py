"""Mistakes get an answer that says so, and never one of the 500s."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness.jupyter.notebooks import sample_notebook

from .server import RestServer

pytestmark = pytest.mark.e2e

PATH = "a.ipynb"
TAKES_JSON = [
    ("PUT", f"/api/bookstore/label/{PATH}"),
    ("POST", f"/api/bookstore/restore/{PATH}"),
    ("PUT", f"/api/bookstore/publish/{PATH}"),
    ("POST", "/api/bookstore/clone"),
    ("POST", "/api/bookstore/fs-clone"),
]
OF_A_PATH = [
    ("GET", "versions", ""),
    ("GET", "version", ""),
    ("GET", "diff", "?before=x"),
    ("DELETE", "label", "?version_id=x"),
    ("PUT", "label", ""),
    ("POST", "restore", ""),
    ("POST", "undelete", ""),
    ("PUT", "publish", ""),
]
BODY: dict[str, Any] = {"version_id": "x", "label": "x", "type": "notebook"}


@pytest.mark.parametrize(("method", "address"), TAKES_JSON)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b'"text"',
        b"3",
        b"null",
        b"NaN",
        b'{"version_id": NaN}',
        b'{"version_id": 1e999}',
        b'{"version_id": "\\ud800"}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    rest: RestServer, method: str, address: str, body: bytes
) -> None:
    answer = rest.http.request(method, address, content=body)
    empty = body == b"{}" and "publish" in address
    assert answer.status_code == (415 if empty else 400), answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize(("method", "address"), TAKES_JSON)
def test_a_huge_body_is_refused(rest: RestServer, method: str, address: str) -> None:
    body = json.dumps({"version_id": "x" * 2**21, "type": "file"})
    answer = rest.http.request(method, address, content=body)
    assert answer.status_code == (415 if "publish" in address else 413)


@pytest.mark.parametrize(("method", "call", "query"), OF_A_PATH)
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/%2e",
        "/%2e%2e",
        "/a/%2e%2e/b",
        "/a%2f%2fb",
        "/a//b",
        "/nul%00",
        "/line%0Abreak",
        "/%ff%fe",
        "/%ed%a0%80",
        "/" + "x" * 1100,
        "/" + "%C3%A9" * 600,
        "/a.ipynb.notebook.y.zst",
    ],
)
def test_a_path_that_is_no_key_is_refused(
    rest: RestServer, method: str, call: str, query: str, path: str
) -> None:
    url = httpx.URL(rest.process.url).copy_with(
        raw_path=f"/api/bookstore/{call}{path}{query}".encode()
    )
    body = {**BODY, "content": sample_notebook()} if call == "publish" else BODY
    body = {k: v for k, v in body.items() if call != "publish" or k != "version_id"}
    answer = rest.http.request(method, url, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=ten",
        "limit=",
        "limit=1e3",
        "limit=" + "9" * 5000,
        "after=nonsense",
        "after=" + "A" * 4000,
        "after=%00%ff",
        "kind=other",
        "kind=",
        "since=yesterday",
        "until=9999-99-99",
        "since=0001-01-01T00:00:00%2B14:00",
        "labelled=maybe",
        "details=2",
        "type=../b",
        "type=a/b",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(rest: RestServer, query: str) -> None:
    rest.save(PATH, sample_notebook())
    answer = rest.http.get(f"/api/bookstore/versions/{PATH}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]


def test_versions_that_nobody_has_are_not_found(rest: RestServer) -> None:
    rest.archived("known.ipynb", sample_notebook())
    for version_id in ("nope", "null", "x" * 3000, "../../etc", "ü", "%"):
        for answer in (
            rest.ask("GET", "version", "known.ipynb", params={"version_id": version_id}),
            rest.ask("GET", "diff", "known.ipynb", params={"before": version_id}),
            rest.ask("DELETE", "label", "known.ipynb", params={"version_id": version_id}),
            rest.ask("PUT", "label", "known.ipynb", json={**BODY, "version_id": version_id}),
            rest.ask("POST", "restore", "known.ipynb", json={"version_id": version_id}),
        ):
            assert answer.status_code == 404, answer.text[:300]


def test_both_an_id_and_a_moment_are_refused(rest: RestServer) -> None:
    answer = rest.ask("GET", "version", PATH, params={"version_id": "x", "at": "2026-01-01"})
    assert answer.status_code == 400


def test_nothing_of_all_this_broke_the_server(rest: RestServer) -> None:
    assert rest.get("")["status"] == "ok"
    assert "Traceback" not in rest.process.log_text()
