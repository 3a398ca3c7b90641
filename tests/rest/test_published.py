"""What is published is listed, and a document's own state is told."""

from __future__ import annotations

import pytest

from bookstore_y import BookstoreClient
from harness.jupyter.notebooks import sample_notebook

from .server import RestServer

pytestmark = pytest.mark.e2e


def _publish(rest: RestServer, path: str) -> str:
    answer = rest.send("PUT", "publish", path, type="notebook", content=sample_notebook())
    version_id: str = answer["versionID"]
    return version_id


class TestPublished:
    """GET /api/bookstore/published."""

    def test_lists_every_document_once_with_its_current_version(self, rest: RestServer) -> None:
        _publish(rest, "listing/a.ipynb")
        newer = {**sample_notebook(), "metadata": {}}
        second = rest.send("PUT", "publish", "listing/a.ipynb", type="notebook", content=newer)
        (document,) = rest.get("published", q="listing/a")["documents"]
        assert document["path"] == "listing/a.ipynb"
        (version,) = document["versions"]
        assert version["version_id"] == second["versionID"]
        assert version["kind"] == "published"

    def test_pages(self, rest: RestServer) -> None:
        names = {f"paging/{n}.ipynb" for n in range(5)}
        for name in names:
            _publish(rest, name)
        found: list[str] = []
        query = {"q": "paging", "limit": "2"}
        while True:
            page = rest.get("published", **query)
            assert len(page["documents"]) <= 2
            found += [document["path"] for document in page["documents"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert sorted(found) == sorted(names)

    def test_wants_all_words_in_any_case(self, rest: RestServer) -> None:
        _publish(rest, "Words/North Sea.ipynb")
        assert len(rest.get("published", q="sea words")["documents"]) == 1
        assert rest.get("published", q="sea nowhere")["documents"] == []

    def test_tells_authors_and_labels_when_asked(self, rest: RestServer) -> None:
        version_id = _publish(rest, "details/a.ipynb")
        rest.send("PUT", "label", "details/a.ipynb", version_id=version_id, label="As sent")
        query = {"q": "details/a"}
        (plain,) = rest.get("published", **query)["documents"]
        assert (plain["versions"][0]["label"], plain["versions"][0]["origin"]) == (None, "")
        (full,) = rest.get("published", details="1", **query)["documents"]
        assert full["versions"][0]["label"] == "As sent"
        assert full["versions"][0]["origin"] == "publish"

    @pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=1001"])
    def test_refuses_what_it_did_not_give(self, rest: RestServer, query: str) -> None:
        assert rest.ask("GET", f"published?{query}").status_code == 400

    def test_is_in_the_client(self, rest: RestServer) -> None:
        version_id = _publish(rest, "client/a.ipynb")
        client = BookstoreClient(url=rest.process.url, token=rest.process.token)
        (version,) = client.published("client/a")
        assert version.version_id == version_id
        assert version.document == "client/a.ipynb"
        assert version.origin == "publish"
        (bare,) = client.published("client/a", details=False)
        assert bare.origin == ""


class TestStateOfADocument:
    """GET /api/bookstore?path=."""

    def test_names_its_newest_version(self, rest: RestServer) -> None:
        assert "document" not in rest.get("")
        version_id = rest.archived("state.ipynb", sample_notebook()).version_id
        document = rest.state("state.ipynb")
        assert document["newest"]["version_id"] == version_id
        assert document["pending_updates"] == 0
        assert document["pending_save"] is False
        assert document["error"] is None

    def test_names_what_others_have_written_when_asked_to_look(self, rest: RestServer) -> None:
        for n in range(3):
            notebook = {**sample_notebook(), "metadata": {"n": n}}
            version_id = rest.archived("often.ipynb", notebook).version_id
            state = rest.state("often.ipynb", fresh=True)
            assert state["newest"]["version_id"] == version_id

    def test_of_an_unknown_document_is_nothing(self, rest: RestServer) -> None:
        assert rest.state("never/seen.ipynb")["newest"] is None

    def test_refuses_what_is_no_path(self, rest: RestServer) -> None:
        assert rest.ask("GET", "", params={"path": "a/../b"}).status_code == 400


def test_the_address_of_the_gallery_leads_to_jupyterlab(rest: RestServer) -> None:
    answer = rest.http.get("/bookstore", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/lab?bookstore"
