"""The versions of a document over HTTP: listed, read, compared, labelled, brought back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from harness.jupyter.notebooks import normalized, sample_notebook, sources
from harness.servers import connect

from .server import Json, RestServer

pytestmark = pytest.mark.e2e


def _saying(text: str) -> Json:
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = text
    return notebook


def _archived(rest: RestServer, path: str, *texts: str) -> list[str]:
    """The version ids of a notebook that said these one after another; the file says the last."""
    ids = [rest.archived(path, _saying(text)).version_id for text in texts]
    rest.save(path, _saying(texts[-1]))
    return ids


class TestListing:
    """Newest first, a page at a time."""

    def test_goes_on_where_a_page_ended(self, rest: RestServer) -> None:
        ids = _archived(rest, "pages.ipynb", *map(str, range(5)))
        found: list[str] = []
        after = None
        pages = 0
        while True:
            query = {"limit": 2} if after is None else {"limit": 2, "after": after}
            page = rest.get("versions", "pages.ipynb", **query)
            assert len(page["versions"]) <= 2
            found += [version["version_id"] for version in page["versions"]]
            after, pages = page["next"], pages + 1
            if after is None:
                break
        assert pages >= 3
        assert sorted(found) == sorted(ids)
        assert found[0] == ids[-1]

    def test_says_more_when_details_are_asked_for(self, rest: RestServer) -> None:
        first, second = _archived(rest, "details.ipynb", "a", "b")
        bare = rest.get("versions", "details.ipynb")["versions"][0]
        full = rest.get("versions", "details.ipynb", details=1)["versions"][0]
        assert (bare["parent"], bare["origin"]) == ("", "")
        assert (full["version_id"], full["parent"], full["origin"]) == (second, first, "save")

    def test_marks_what_is_in_cold_storage_and_says_what_to_do(self, rest: RestServer) -> None:
        path = "cold.ipynb"
        s3, key = connect(rest.s3), f"workspace/{path}"
        body = json.dumps(_saying("old")).encode()
        put = s3.put_object(Bucket=rest.bucket, Key=key, Body=body, StorageClass="DEEP_ARCHIVE")
        cold, new = put["VersionId"], _archived(rest, path, "new")[0]
        for details in (0, 1):
            versions = rest.get("versions", path, details=details)["versions"]
            assert {version["version_id"]: version["cold"] for version in versions} == {
                cold: True,
                new: False,
            }
        for answer in (
            rest.ask("GET", "version", path, params={"version_id": cold}),
            rest.ask("GET", "diff", path, params={"before": cold}),
            rest.ask("POST", "restore", path, json={"version_id": cold}),
        ):
            assert answer.status_code == 409
            assert "aws s3api restore-object" in answer.json()["message"]

    def test_keeps_to_kinds_times_labels_and_authors(self, rest: RestServer) -> None:
        path = "filters.ipynb"
        first, second = _archived(rest, path, "a", "b")
        rest.send("PUT", "label", path, version_id=first, label="as sent")
        rest.send("PUT", "publish", path, type="notebook", version_id=second)

        def ids(**query: object) -> set[str]:
            found = rest.get("versions", path, **query)["versions"]
            return {version["version_id"] for version in found}

        assert ids() == {first, second}
        assert ids(kind="snapshot") == set()
        published = rest.get("versions", path, kind="published")["versions"]
        assert [version["kind"] for version in published] == ["published"]
        assert ids(kind=["save", "published"]) > {first, second}
        assert ids(labelled=1) == {first}
        assert ids(author="nobody") == set()
        soon = datetime.now(timezone.utc) + timedelta(hours=1)
        assert ids(until=soon.isoformat()) == {first, second}
        assert ids(since=soon.isoformat()) == set()

    def test_takes_a_plus_sign_that_nobody_encoded(self, rest: RestServer) -> None:
        _archived(rest, "plus.ipynb", "a")
        query = "?since=2020-01-01T00:00:00+02:00"
        answer = rest.http.get(f"/api/bookstore/versions/plus.ipynb{query}")
        assert len(answer.json()["versions"]) == 1

    def test_is_empty_for_a_file_that_has_no_version_yet(self, rest: RestServer) -> None:
        rest.save("new.ipynb", sample_notebook())
        assert rest.get("versions", "new.ipynb") == {"versions": [], "next": None}
        assert rest.ask("GET", "versions", "nowhere.ipynb").status_code == 404

    def test_knows_a_path_by_any_name(self, rest: RestServer) -> None:
        for path in (
            "a b/c+d%20e.ipynb",
            "quotes '\" & <tags>.ipynb",
            "emoji 🦉/naïve.ipynb",
            "cafe\u0301.ipynb",  # decomposed
            "café.ipynb",
            "#?;=.ipynb",
        ):
            version = rest.archived(path, _saying(path))
            read = rest.get("version", path, version_id=version.version_id)
            assert read["model"]["path"] == path
            assert sources(read["model"]["content"])[0] == path
        # A slash that was percent-encoded is a slash.
        answer = rest.http.get("/api/bookstore/versions/a%20b%2Fc%2Bd%2520e.ipynb")
        assert len(answer.json()["versions"]) == 1


class TestReading:
    """One version, as a model or as the file."""

    def test_gives_a_model_of_the_contents_api(self, rest: RestServer) -> None:
        first, _ = _archived(rest, "read.ipynb", "a", "b")
        read = rest.get("version", "read.ipynb", version_id=first)
        assert read["version"]["version_id"] == first
        model = read["model"]
        assert (model["name"], model["path"]) == ("read.ipynb", "read.ipynb")
        assert (model["type"], model["format"], model["writable"]) == ("notebook", "json", False)
        assert normalized(model["content"]) == normalized(_saying("a"))
        bare = rest.get("version", "read.ipynb", version_id=first, content=0)
        assert bare["version"] == read["version"]
        assert set(bare["model"]) == set(model)
        assert bare["model"]["content"] is None

    def test_gives_the_newest_where_none_is_named(self, rest: RestServer) -> None:
        _, second = _archived(rest, "newest.ipynb", "a", "b")
        for query in ({}, {"content": "0"}, {"at": "2099-01-01"}):
            read = rest.get("version", "newest.ipynb", **query)
            assert read["version"]["version_id"] == second
        early = rest.ask("GET", "version", "newest.ipynb", params={"at": "2020-01-01T00:00:00Z"})
        assert early.status_code == 404

    @pytest.mark.parametrize(
        ("name", "body", "format"),
        [
            ("levels.csv", b"north,2.75\r\n", "text"),
            ("bytes.bin", bytes(range(256)), "base64"),
            ("empty.txt", b"", "text"),
            ("damaged.ipynb", b"{not JSON", "text"),
        ],
    )
    def test_gives_any_file(self, rest: RestServer, name: str, body: bytes, format: str) -> None:
        version = rest.archived(name, body)
        query = {"version_id": version.version_id}
        assert rest.get("version", name, **query)["model"]["format"] == format
        assert rest.ask("GET", "version", name, params={**query, "format": "raw"}).content == body

    def test_sends_json_though_a_notebook_holds_what_is_none(self, rest: RestServer) -> None:
        notebook = sample_notebook()
        notebook["metadata"]["mean"] = float("nan")
        rest.archived("nan.ipynb", json.dumps(notebook))
        model = rest.get("version", "nan.ipynb")["model"]
        assert model["content"]["metadata"]["mean"] is None

    def test_says_that_a_version_went_meanwhile(self, rest: RestServer) -> None:
        first, second = _archived(rest, "gone.ipynb", "a", "b")
        connect(rest.s3).delete_object(
            Bucket=rest.bucket, Key="workspace/gone.ipynb", VersionId=first
        )
        for call in ("version", "diff"):
            query = {"version_id": first, "before": first, "after": second}
            answer = rest.ask("GET", call, "gone.ipynb", params=query)
            assert answer.status_code == 404
            assert first in answer.json()["message"]


class TestComparing:
    """What changed, as nbdime or as diff says it."""

    def test_two_versions_of_a_notebook(self, rest: RestServer) -> None:
        first, second = _archived(rest, "diff.ipynb", "a", "b")
        diff = rest.get("diff", "diff.ipynb", before=first, after=second)
        assert (diff["type"], diff["changed"]) == ("notebook", True)
        (cells,) = diff["diff"]
        assert (cells["op"], cells["key"]) == ("patch", "cells")
        assert sources(diff["base"])[0] == "a"
        assert diff["before"]["version_id"] == first
        assert diff["after"]["version_id"] == second
        same = rest.get("diff", "diff.ipynb", before=first, after=first)
        assert (same["changed"], same["diff"]) == (False, [])

    def test_two_versions_of_a_text(self, rest: RestServer) -> None:
        ids = [rest.archived("t.txt", text).version_id for text in ("one\ntwo\n", "one\n2\n")]
        diff = rest.get("diff", "t.txt", before=ids[0], after=ids[1])
        assert diff["type"] == "text"
        assert "-two" in diff["diff"].splitlines()
        assert "+2" in diff["diff"].splitlines()

    def test_up_to_what_the_file_says_now(self, rest: RestServer) -> None:
        first, _ = _archived(rest, "now.ipynb", "a", "b")
        rest.save("now.ipynb", _saying("not archived yet"))
        diff = rest.get("diff", "now.ipynb", before=first)
        assert diff["after"]["kind"] == "file"
        assert "not archived yet" in json.dumps(diff["diff"])

    def test_up_to_the_newest_version_of_a_file_that_is_gone(self, rest: RestServer) -> None:
        first, second = _archived(rest, "lost.ipynb", "a", "b")
        rest.disk.file("lost.ipynb").unlink()
        diff = rest.get("diff", "lost.ipynb", before=first)
        assert diff["after"]["version_id"] == second


class TestLabels:
    """A name for a version, in place of any other."""

    def test_are_given_replaced_and_taken_away(self, rest: RestServer) -> None:
        first, _ = _archived(rest, "labels.ipynb", "a", "b")
        for label in ("as sent", "wie gesendet; ü 🦉"):
            answer = rest.send("PUT", "label", "labels.ipynb", version_id=first, label=label)
            assert answer["version"]["label"] == label
            labelled = rest.get("versions", "labels.ipynb", labelled=1)["versions"]
            assert [(v["version_id"], v["label"]) for v in labelled] == [(first, label)]
        taken = rest.ask("DELETE", "label", "labels.ipynb", params={"version_id": first})
        assert taken.json()["version"]["label"] is None
        assert rest.get("versions", "labels.ipynb", labelled=1)["versions"] == []

    @pytest.mark.parametrize("label", [" ", "x" * 1000, 3, None, ["a"], "\ud800"])
    def test_that_are_none_are_refused(self, rest: RestServer, label: object) -> None:
        version = rest.archived("bad label.ipynb", _saying(repr(label)))
        body = json.dumps({"version_id": version.version_id, "label": label})
        answer = rest.ask("PUT", "label", "bad label.ipynb", content=body)
        assert answer.status_code == 400


class TestRestoring:
    """A saved file comes back without any room or snapshot."""

    def test_writes_the_file(self, rest: RestServer) -> None:
        first, second = _archived(rest, "restore.ipynb", "a", "b")
        answer = rest.send("POST", "restore", "restore.ipynb", version_id=first)
        assert answer["changed"]
        assert answer["version"]["origin"] == f"restore:{first}"
        assert answer["version"]["parent"] == second
        assert sources(json.loads(rest.disk.file("restore.ipynb").read_text()))[0] == "a"
        newest = rest.get("version", "restore.ipynb")
        assert newest["version"]["version_id"] == answer["version"]["version_id"]
        again = rest.send("POST", "restore", "restore.ipynb", version_id=first)
        assert not again["changed"]

    def test_writes_any_file_in_folders_that_are_gone(self, rest: RestServer) -> None:
        for name, body in {"far/away/b.bin": bytes(range(256)), "far/t.txt": b"a\r\nb"}.items():
            version = rest.archived(name, body)
            rest.send("POST", "restore", name, version_id=version.version_id)
            assert rest.disk.file(name).read_bytes() == body

    @pytest.mark.parametrize(
        ("name", "bodies"),
        [
            ("lines.txt", [b"a\r\nb\r\n", b"a\r\nc\r\n"]),
            ("bytes.bin", [bytes(range(256)) * 9, bytes(range(255)) * 9]),
            ("damaged.ipynb", [b"{not JSON", b"{not JSON either"]),
        ],
    )
    def test_knows_a_file_that_is_no_notebook(
        self, rest: RestServer, name: str, bodies: list[bytes]
    ) -> None:
        path = f"known/{name}"
        ids = [rest.archived(path, body).version_id for body in bodies]
        file = rest.disk.file(path)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bodies[1])
        rest.send("POST", "restore", path, version_id=ids[0])
        assert file.read_bytes() == bodies[0]
        file.write_bytes(bodies[0] + b"changed")
        answer = rest.ask("POST", "restore", path, json={"version_id": ids[1]})
        assert answer.status_code == 409

    def test_says_that_a_folder_is_in_the_way(self, rest: RestServer) -> None:
        version = rest.archived("folder now", b"a file then")
        rest.disk.file("folder now").mkdir()
        body = {"version_id": version.version_id}
        answer = rest.ask("POST", "restore", "folder now", json=body)
        assert answer.status_code == 400
        assert "folder now" in answer.json()["message"]

    def test_overwrites_nothing_that_no_version_has(self, rest: RestServer) -> None:
        first, _ = _archived(rest, "unarchived.ipynb", "a", "b")
        rest.save("unarchived.ipynb", _saying("not archived yet"))
        answer = rest.ask("POST", "restore", "unarchived.ipynb", json={"version_id": first})
        assert answer.status_code == 409
        assert "not archived yet" in rest.disk.file("unarchived.ipynb").read_text()

    def test_takes_a_deletion_back_with_the_file(self, rest: RestServer) -> None:
        _archived(rest, "deleted.ipynb", "a", "b")
        rest.disk.file("deleted.ipynb").unlink()
        rest.in_archive(lambda archive: archive.delete_file("deleted.ipynb"))
        assert rest.ask("GET", "version", "deleted.ipynb").status_code == 404
        answer = rest.send("POST", "undelete", "deleted.ipynb")
        assert [version["kind"] for version in answer["versions"]] == ["save"]
        assert sources(json.loads(rest.disk.file("deleted.ipynb").read_text()))[0] == "b"
        assert rest.send("POST", "undelete", "deleted.ipynb") == {"versions": []}
        assert rest.ask("POST", "undelete", "never there.ipynb").status_code == 404
