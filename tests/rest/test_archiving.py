"""Calls on a server that archives on save: they wait for what is still on its way."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bookstore_y.jupyter.newest_versions import AGE
from bookstore_y.local.waiting import wait_until
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook, sources
from harness.servers import S3Server, make_bucket

from .server import ARCHIVER, Json, RestServer, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server) -> Iterator[RestServer]:
    """A server that archives on save, though rarely."""
    with running(
        Disk(tmp_path_factory.mktemp("archiving")),
        moto_server,
        make_bucket(moto_server),
        ServerApp={"contents_manager_class": ARCHIVER},
        BookstoreContentsArchiver={"archive_min_interval": 600},
    ) as server:
        yield server


def test_what_was_just_saved_is_a_version_before_it_is_replaced(rest: RestServer) -> None:
    path = "tides.ipynb"
    rest.save(path, _saying("first"))
    wait_until(lambda: bool(rest.get("versions", path)["versions"]), "the first version")
    (first,) = rest.get("versions", path)["versions"]
    rest.save(path, _saying("second"))
    assert rest.get("")["pending_saves"] == 1
    answer = rest.send("POST", "restore", path, version_id=first["version_id"])
    assert answer["changed"]
    assert _says(rest.disk.file(path).read_bytes()) == "first"
    versions = rest.get("versions", path, details=1)["versions"]
    assert [version["origin"].partition(":")[0] for version in versions] == [
        "restore",
        "save",
        "save",
    ]
    second = rest.get("version", path, version_id=versions[1]["version_id"])
    assert sources(second["model"]["content"])[0] == "second"


def test_a_save_is_named_as_soon_as_it_is_a_version(rest: RestServer) -> None:
    path = "often.ipynb"

    def named() -> bool:
        state = rest.state(path)
        return state["newest"] is not None and not state["pending_save"]

    assert rest.state(path)["newest"] is None
    rest.save(path, _saying("first"))
    wait_until(named, "the save to be named", AGE / 2)


def test_what_was_just_deleted_comes_back_with_what_was_just_saved(rest: RestServer) -> None:
    path = "deleted.ipynb"
    for text in ("first", "second"):
        rest.save(path, _saying(text))
    rest.http.delete(f"/api/contents/{path}").raise_for_status()
    answer = rest.send("POST", "undelete", path)
    assert [version["kind"] for version in answer["versions"]] == ["save"]
    assert _says(rest.disk.file(path).read_bytes()) == "second"


def _saying(text: str) -> Json:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = text
    return notebook


def _says(body: bytes) -> str:
    return sources(json.loads(body))[0]
