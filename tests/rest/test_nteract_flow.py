"""What users of nteract's bookstore do, over HTTP: the same calls, payloads and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bookstore_y.local.waiting import wait_until
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import normalized, sample_notebook
from harness.servers import S3Server, make_bucket

from .server import ARCHIVER, Json, RestServer, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[RestServer]:
    """A server that archives on save, on each S3 server in turn."""
    disk = Disk(tmp_path_factory.mktemp("flow"))
    clonable = disk.path / "clonable"
    clonable.mkdir()
    with running(
        disk,
        s3_server,
        make_bucket(s3_server),
        prefix="workspace/ada",
        ServerApp={"contents_manager_class": ARCHIVER},
        BookstoreSettings={"fs_cloning_basedir": str(clonable)},
    ) as server:
        yield server


def test_says_its_release_and_which_features_are_configured(rest: RestServer) -> None:
    status = rest.get("")
    assert status["release"]
    assert status["features"] == {
        "bookstore_valid": True,
        "archive_valid": True,
        "publish_valid": True,
        "s3_clone_valid": True,
        "fs_clone_valid": True,
    }


def test_archives_what_is_saved_under_its_path(rest: RestServer) -> None:
    rest.save(PATH, _saying("first"))

    def archived() -> bool:
        return "first" in rest.object_or_nothing(f"workspace/ada/{PATH}")

    wait_until(archived, "the save in the bucket")
    held = json.loads(rest.object(f"workspace/ada/{PATH}"))
    assert normalized(held) == normalized(_saying("first"))


def test_publishes_a_notebook_and_clones_it_by_the_landing_page_and_by_version(
    rest: RestServer,
) -> None:
    published = [
        rest.send("PUT", "publish", PATH, type="notebook", content=_saying(text))
        for text in ("low", "high")
    ]
    assert {answer["s3_path"] for answer in published} == {f"s3://{rest.bucket}/published/{PATH}"}
    assert normalized(json.loads(rest.object(f"published/{PATH}"))) == normalized(_saying("high"))

    source = {"s3_bucket": rest.bucket, "s3_key": f"published/{PATH}"}
    page = rest.http.get("/bookstore/clone", params=source)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f"published/{PATH}" in page.text

    first = rest.send("POST", "clone", **source)
    assert first["path"] == first["name"] == "tides.ipynb"
    assert first["type"] == "notebook"
    assert first["s3_path"] == f"s3://{rest.bucket}/published/{PATH}"
    assert first["versionID"] == published[1]["versionID"]
    assert normalized(first["content"]) == normalized(_saying("high"))

    second = rest.send("POST", "clone", **source, s3_version_id=published[0]["versionID"])
    assert second["path"] == "tides-1.ipynb"
    assert second["versionID"] == published[0]["versionID"]
    assert normalized(_on_disk(rest, "tides-1.ipynb")) == normalized(_saying("low"))
    assert normalized(_on_disk(rest, "tides.ipynb")) == normalized(_saying("high"))


def test_clones_to_the_path_that_is_asked_for(rest: RestServer) -> None:
    rest.send("PUT", "publish", "shared.ipynb", type="notebook", content=_saying("shared"))
    clone = rest.send(
        "POST",
        "clone/",
        s3_bucket=rest.bucket,
        s3_key="published/shared.ipynb",
        target_path="new folder/mine.ipynb",
    )
    assert clone["path"] == "new folder/mine.ipynb"
    assert _on_disk(rest, "new folder/mine.ipynb")["cells"]


def test_clones_other_files_as_they_are(rest: RestServer) -> None:
    rest.put_object("data/levels.csv", b"gauge,level\nnorth,2.75\n")
    clone = rest.send("POST", "clone", s3_bucket=rest.bucket, s3_key="data/levels.csv")
    assert (clone["type"], clone["format"]) == ("file", "text")
    assert rest.disk.file("levels.csv").read_bytes() == b"gauge,level\nnorth,2.75\n"


def test_clones_from_the_file_system(rest: RestServer) -> None:
    source = Path(rest.disk.path) / "clonable" / "examples"
    source.mkdir()
    (source / "ebb.ipynb").write_text(json.dumps(_saying("ebb")))
    page = rest.http.get("/bookstore/fs-clone", params={"relpath": "examples/ebb.ipynb"})
    assert page.status_code == 200
    assert "examples/ebb.ipynb" in page.text
    clone = rest.send("POST", "fs-clone", relpath="examples/ebb.ipynb")
    assert clone["path"] == "ebb.ipynb"
    assert normalized(clone["content"]) == normalized(_saying("ebb"))
    assert normalized(_on_disk(rest, "ebb.ipynb")) == normalized(_saying("ebb"))


def _saying(text: str) -> Json:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = text
    return notebook


def _on_disk(rest: RestServer, path: str) -> Json:
    notebook: Json = json.loads(rest.disk.file(path).read_text())
    return notebook
