"""What publishing and cloning take, and how they refuse what they do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bookstore_y.ydoc.frame import decompress
from harness.jupyter.notebooks import normalized, sample_notebook, sources
from harness.servers import connect

from .server import Json, RestServer

pytestmark = pytest.mark.e2e


def _saying(text: str) -> Json:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = text
    return notebook


class TestPublishing:
    """A notebook of the request, of a version, or as it is now."""

    @pytest.mark.parametrize(
        ("path", "model", "status"),
        [
            ("", {"type": "notebook", "content": sample_notebook()}, 400),
            ("/", {"type": "notebook", "content": sample_notebook()}, 400),
            ("a/../b.ipynb", {"type": "notebook", "content": sample_notebook()}, 400),
            ("a.ipynb", {"type": "file", "content": "text"}, 415),
            ("a.ipynb", {"type": ["notebook"], "content": {}}, 415),
            ("a.ipynb", {}, 415),
            ("a.ipynb", {"type": "notebook"}, 422),
            ("a.ipynb", {"type": "notebook", "content": {}}, 422),
            ("a.ipynb", {"type": "notebook", "content": []}, 422),
            ("a.ipynb", {"type": "notebook", "content": "text"}, 422),
            ("a.ipynb", {"type": "notebook", "content": {"cells": []}}, 422),
            ("a.ipynb", {"type": "notebook", "content": {"nbformat": "4"}}, 422),
            ("a.ipynb", {"type": "notebook", "content": {"nbformat": 10**30}}, 422),
            (
                "a.ipynb",
                {
                    "type": "notebook",
                    "content": {
                        "nbformat": 4,
                        "nbformat_minor": 5,
                        "metadata": {},
                        "cells": [{"cell_type": "nonsense"}],
                    },
                },
                422,
            ),
            ("a.ipynb", {"type": "notebook", "live": "yes"}, 400),
            ("a.ipynb", {"type": "notebook", "version_id": 3}, 400),
            ("a.ipynb", {"type": "notebook", "version_id": "v", "live": True}, 400),
            ("a.ipynb", {"type": "notebook", "version_id": "nope"}, 404),
            ("nowhere.ipynb", {"type": "notebook", "live": True}, 404),
        ],
    )
    def test_refuses_what_is_no_notebook(
        self, rest: RestServer, path: str, model: Any, status: int
    ) -> None:
        address = f"/api/bookstore/publish/{path}".replace("..", "%2e%2e")
        answer = rest.http.put(address, json=model)
        assert answer.status_code == status, answer.text
        assert answer.json()["message"]

    def test_writes_the_notebook_as_it_came(self, rest: RestServer) -> None:
        answer = rest.send(
            "PUT", "publish", "as it came.ipynb", type="notebook", content=_saying("shared")
        )
        key = "published/as it came.ipynb"
        assert answer["s3_path"] == f"s3://{rest.bucket}/{key}"
        assert normalized(json.loads(rest.object(key))) == normalized(_saying("shared"))
        head = connect(rest.s3).head_object(Bucket=rest.bucket, Key=key)
        assert head["VersionId"] == answer["versionID"]

    def test_publishes_an_earlier_version(self, rest: RestServer) -> None:
        ids = [rest.archived("earlier.ipynb", _saying(t)).version_id for t in ("a", "b")]
        rest.send("PUT", "publish", "earlier.ipynb", type="notebook", version_id=ids[0])
        published = json.loads(rest.object("published/earlier.ipynb"))
        assert sources(published)[0] == "a"

    def test_publishes_the_file_when_nobody_has_it_open(self, rest: RestServer) -> None:
        rest.save("closed.ipynb", _saying("as saved"))
        rest.send("PUT", "publish", "closed.ipynb", type="notebook", live=True)
        assert sources(json.loads(rest.object("published/closed.ipynb")))[0] == "as saved"


class TestCloning:
    """An object of a bucket becomes a file."""

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"s3_key": "k"}, 400),
            ({"s3_bucket": "", "s3_key": "k"}, 400),
            ({"s3_bucket": "/", "s3_key": "k"}, 400),
            ({"s3_bucket": "BUCKET"}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": ""}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "/"}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "folder/.."}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": 3}, 400),
            ({"s3_bucket": ["BUCKET"], "s3_key": "k"}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "k", "target_path": {}}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "k", "overwrite": 1}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "k", "s3_version_id": 7}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "no such key"}, 404),
            ({"s3_bucket": "BUCKET", "s3_key": "k" * 2000, "target_path": "t"}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "nul\0", "target_path": "t"}, 400),
            ({"s3_bucket": "BUCKET", "s3_key": "no.y.zst", "target_path": "t"}, 404),
            ({"s3_bucket": "BUCKET", "s3_key": "there.txt", "s3_version_id": "nope"}, 404),
            ({"s3_bucket": "BUCKET", "s3_key": "there.txt", "s3_version_id": "x" * 3000}, 404),
            ({"s3_bucket": "BUCKET", "s3_key": "there.txt", "target_path": "t.ipynb"}, 422),
            ({"s3_bucket": "BUCKET", "s3_key": "shapeless.ipynb"}, 422),
            ({"s3_bucket": "BUCKET", "s3_key": "list.ipynb"}, 422),
            ({"s3_bucket": "BUCKET", "s3_key": "cells.ipynb"}, 422),
            ({"s3_bucket": "BUCKET", "s3_key": "deep.ipynb"}, 422),
            ({"s3_bucket": "BUCKET", "s3_key": "broken.ipynb.notebook.y.zst"}, 422),
        ],
    )
    def test_refuses_what_cannot_be_cloned(self, rest: RestServer, body: Json, status: int) -> None:
        for key, data in {
            "there.txt": b"text",
            "shapeless.ipynb": b"{}",
            "list.ipynb": b"[1]",
            "cells.ipynb": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1]}',
            "deep.ipynb": b"[" * 100_000,
            "broken.ipynb.notebook.y.zst": b"no zstd frame",
        }.items():
            rest.put_object(key, data)
        body = {name: rest.bucket if value == "BUCKET" else value for name, value in body.items()}
        answer = rest.ask("POST", "clone", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["message"]

    @pytest.mark.parametrize(
        "query", [{}, {"s3_bucket": "b"}, {"s3_bucket": "/", "s3_key": "k"}, {"s3_key": "k"}]
    )
    def test_has_no_page_for_an_incomplete_address(
        self, rest: RestServer, query: dict[str, str]
    ) -> None:
        page = rest.http.get("/bookstore/clone", params=query)
        assert page.status_code == 400
        assert "<button" not in page.text
        for key in ("", "/"):
            page = rest.http.get(
                "/bookstore/clone", params={"s3_bucket": rest.bucket, "s3_key": key}
            )
            assert page.status_code == 400

    def test_overwrites_only_when_told_to(self, rest: RestServer) -> None:
        source = {"s3_bucket": rest.bucket, "s3_key": "note.txt"}
        rest.put_object("note.txt", b"first")
        rest.send("POST", "clone", **source)
        rest.put_object("note.txt", b"second")
        assert rest.send("POST", "clone", **source)["path"] == "note-1.txt"
        assert rest.send("POST", "clone", **source, overwrite=True)["path"] == "note.txt"
        assert rest.disk.file("note.txt").read_text() == "second"

    def test_does_not_overwrite_a_folder(self, rest: RestServer) -> None:
        rest.disk.file("taken").mkdir()
        rest.put_object("taken", b"a file")
        body = {"s3_bucket": rest.bucket, "s3_key": "taken", "overwrite": True}
        assert rest.ask("POST", "clone", json=body).status_code == 409

    def test_keeps_bytes_that_are_no_text(self, rest: RestServer) -> None:
        rest.put_object("image.png", bytes(range(256)))
        clone = rest.send("POST", "clone", s3_bucket=rest.bucket, s3_key="image.png")
        assert clone["format"] == "base64"
        assert rest.disk.file("image.png").read_bytes() == bytes(range(256))

    def test_numbers_a_name_in_a_folder_with_a_dot(self, rest: RestServer) -> None:
        rest.put_object("dotted.txt", b"x")
        body = {"s3_bucket": rest.bucket, "s3_key": "dotted.txt", "target_path": "v1.2/a.txt"}
        assert rest.send("POST", "clone", **body)["path"] == "v1.2/a.txt"
        assert rest.send("POST", "clone", **body)["path"] == "v1.2/a-1.txt"

    def test_clones_a_snapshot_as_the_file_that_it_is_of(self, rest: RestServer) -> None:
        import pycrdt
        import zstandard
        from jupyter_ydoc import ydocs

        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        ydocs["notebook"](doc).set(_saying("from a snapshot"))
        body = zstandard.ZstdCompressor().compress(doc.get_update())
        assert decompress(body, 2**20) == doc.get_update()
        key = "elsewhere/snap.ipynb.notebook.y.zst"  # not in the workspace, where it has its name
        rest.put_object(key, body)
        clone = rest.send("POST", "clone", s3_bucket=rest.bucket, s3_key=key)
        assert clone["path"] == "snap.ipynb"
        assert sources(clone["content"])[0] == "from a snapshot"
