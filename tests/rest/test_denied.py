"""A bucket that refuses one verb, or is away, and what the calls say then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.proxies.denying import Denies, Denying
from harness.servers import S3Server, make_bucket

from .server import RestServer, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "tides.ipynb"


@pytest.fixture(scope="module")
def denying(moto_server: S3Server) -> Iterator[Denying]:
    """A proxy before moto that refuses what a test tells it to."""
    with Denying(moto_server) as denying:
        yield denying


@pytest.fixture(scope="module")
def rest(
    tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server, denying: Denying
) -> Iterator[RestServer]:
    """A server behind that proxy."""
    disk = Disk(tmp_path_factory.mktemp("denied"))
    quick = {"max_attempts": 1}
    bucket = make_bucket(moto_server)
    with running(disk, denying.server, bucket, BookstoreSettings=quick) as server:
        yield server


@pytest.fixture(scope="module")
def version_id(rest: RestServer) -> str:
    """A version of the file, which is published, too."""
    version = rest.archived(PATH, sample_notebook())
    rest.send("PUT", "publish", PATH, type="notebook", content=sample_notebook())
    return version.version_id


@pytest.fixture
def deny(denying: Denying) -> Iterator[list[Denies]]:
    """What is put in here is refused until the test ends."""
    refusals: list[Denies] = []
    denying.denies = lambda *request: any(denies(*request) for denies in refusals)
    yield refusals
    denying.denies = lambda *request: False


def test_refusing_to_list_leaves_cloning(
    rest: RestServer, version_id: str, deny: list[Denies]
) -> None:
    deny.append(lambda method, path, query: "versions" in query)
    answer = rest.ask("GET", "versions", PATH)
    assert answer.status_code == 403
    assert "list the versions" in answer.json()["message"]
    assert "policy" in answer.json()["message"]
    rest.send("POST", "clone", s3_bucket=rest.bucket, s3_key=f"published/{PATH}")


def test_refusing_details_leaves_the_list(
    rest: RestServer, version_id: str, deny: list[Denies]
) -> None:
    rest.archived("unseen.ipynb", sample_notebook())
    deny.append(lambda method, path, query: method in ("GET", "HEAD") and "versionId" in query)
    (version,) = rest.get("versions", "unseen.ipynb", details=1)["versions"]
    assert (version["authors"], version["origin"]) == ([], "")
    assert "AccessDenied: Access Denied" in version["details_error"]
    assert "s3:GetObjectVersion" in version["details_error"]


def test_refusing_to_read_is_told_apart_from_a_version_that_is_not_there(
    rest: RestServer, version_id: str, deny: list[Denies]
) -> None:
    deny.append(lambda method, path, query: method in ("GET", "HEAD") and path.endswith(PATH))
    for call, query in [
        ("version", {"version_id": version_id}),
        ("diff", {"before": version_id}),
    ]:
        answer = rest.ask("GET", call, PATH, params=query)
        assert answer.status_code == 403, answer.text
        assert "policy" in answer.json()["message"]


def test_publish_and_clone_hand_on_what_s3_says(
    rest: RestServer, version_id: str, deny: list[Denies]
) -> None:
    deny.append(lambda method, path, query: "/published/" in path)
    source = {"s3_bucket": rest.bucket, "s3_key": f"published/{PATH}"}
    assert rest.ask("POST", "clone", json=source).status_code == 403
    notebook = {"type": "notebook", "content": {**sample_notebook(), "metadata": {"new": True}}}
    assert rest.ask("PUT", "publish", PATH, json=notebook).status_code == 403


def test_refusing_to_write_changes_nothing(
    rest: RestServer, version_id: str, deny: list[Denies]
) -> None:
    deny.append(lambda method, path, query: method == "PUT")
    answer = rest.ask("PUT", "label", PATH, json={"version_id": version_id, "label": "sent"})
    assert answer.status_code == 403
    assert not rest.get("versions", PATH, labelled=1)["versions"]


def test_a_bucket_that_is_away_is_no_missing_document(
    moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = Disk(tmp_path_factory.mktemp("away"))
    away = S3Server("away", "http://127.0.0.1:9", "key", "secret", True)
    with running(disk, away, "notebooks", BookstoreSettings={"max_attempts": 1}) as rest:
        rest.save(PATH, sample_notebook())
        for method, call, body in [
            ("GET", "versions", None),
            ("GET", "version", None),
            ("POST", "restore", {"version_id": "x"}),
            ("POST", "undelete", None),
            ("PUT", "label", {"version_id": "x", "label": "x"}),
            ("PUT", "publish", {"type": "notebook", "content": sample_notebook()}),
        ]:
            answer = rest.ask(method, call, PATH, json=body)
            assert answer.status_code == 503, answer.text
            assert "check the endpoint URL" in answer.json()["message"]
        body = {"s3_bucket": "notebooks", "s3_key": "k"}
        assert rest.ask("POST", "clone", json=body).status_code == 503
