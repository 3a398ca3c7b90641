"""Who may call what, and what a call may reach."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.servers import S3Server, connect, make_bucket

from .server import Json, RestServer, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATH = "work/tides.ipynb"

READS = [
    "/api/bookstore",
    "/api/bookstore/openapi.yaml",
    "/api/bookstore/published",
    "/api/bookstore/moves",
    f"/api/bookstore/versions/{PATH}",
    f"/api/bookstore/version/{PATH}",
    f"/api/bookstore/diff/{PATH}?before=any",
]
PAGES = [
    "/bookstore",
    "/bookstore/logged-in",
    "/bookstore/clone?s3_bucket=b&s3_key=k",
    "/bookstore/fs-clone?relpath=a.ipynb",
]
CHANGES = [
    ("PUT", f"/api/bookstore/label/{PATH}"),
    ("DELETE", f"/api/bookstore/label/{PATH}?version_id=any"),
    ("PUT", f"/api/bookstore/publish/{PATH}"),
    ("POST", "/api/bookstore/moves/retry"),
    ("POST", "/api/bookstore/moves/drop"),
]
WRITES = [
    ("POST", f"/api/bookstore/restore/{PATH}"),
    ("POST", f"/api/bookstore/undelete/{PATH}"),
    ("POST", "/api/bookstore/clone"),
    ("POST", "/api/bookstore/fs-clone"),
]
"""Calls that write a file."""

CALLS = [("GET", address) for address in READS] + CHANGES + WRITES


class TestAccess:
    """Only who has logged in and is authorized gets an answer."""

    def test_the_calls_above_are_all_there_are(self) -> None:
        from bookstore_y.jupyter.handlers import routes

        called = [address.partition("?")[0] for _, address in CALLS] + [
            address.partition("?")[0] for address in PAGES
        ]
        for pattern, handler in routes():
            if "collaboration" not in pattern:
                matching = [c for c in called if re.fullmatch(pattern, c)]
                assert matching, f"{handler.__name__} has no test of who may call it"

    @pytest.mark.parametrize(("method", "address"), CALLS)
    def test_strangers_are_refused(self, rest: RestServer, method: str, address: str) -> None:
        with rest.stranger() as stranger:
            answer = stranger.request(method, address)
        assert answer.status_code == 403
        assert set(answer.json()) == {"message", "reason"}

    @pytest.mark.parametrize("address", PAGES)
    def test_strangers_are_sent_to_log_in(self, rest: RestServer, address: str) -> None:
        with rest.stranger() as stranger:
            answer = stranger.get(address)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("/login?next=")

    def test_what_a_browser_sends_by_itself_changes_nothing(self, rest: RestServer) -> None:
        """Cookies come along with requests that other sites have a browser make."""
        with rest.stranger() as browser:
            browser.get(f"/api/status?token={rest.process.token}").raise_for_status()
            assert browser.get("/api/bookstore").status_code == 200
            for method, address in CHANGES + WRITES:
                answer = browser.request(method, address, json={})
                assert answer.status_code == 403
                assert "XSRF" in answer.text or "_xsrf" in answer.text
            page = browser.get("/bookstore/clone", params={"s3_bucket": rest.bucket, "s3_key": "k"})
            token = _data(page)["xsrf"]
            headers = {"X-XSRFToken": token, "Origin": rest.process.url}
            body = {"s3_bucket": rest.bucket, "s3_key": "nothing"}
            answer = browser.post("/api/bookstore/clone", json=body, headers=headers)
            assert answer.status_code == 404
            headers["Origin"] = "https://elsewhere.example"
            answer = browser.post("/api/bookstore/clone", json=body, headers=headers)
            assert answer.status_code in (403, 404)
            assert "no such" not in answer.text

    def test_who_is_not_authorized_for_bookstore_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
    ) -> None:
        with _guarded(tmp_path_factory, moto_server, "NoBookstore") as rest:
            for method, address in CALLS + [("GET", page) for page in PAGES]:
                answer = rest.http.request(method, address, json={})
                assert answer.status_code == 403, address
                assert "not authorized" in answer.text

    def test_who_may_not_write_files_may_do_the_rest(
        self, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
    ) -> None:
        with _guarded(tmp_path_factory, moto_server, "NoWriting") as rest:
            version = rest.archived(PATH, sample_notebook())
            for method, address in WRITES:
                body = {"s3_bucket": rest.bucket, "s3_key": "k", "version_id": version.version_id}
                answer = rest.http.request(method, address, json=body)
                assert answer.status_code == 403, address
                assert "contents" in answer.json()["message"]
            rest.get("version", PATH)
            rest.send("PUT", "label", PATH, version_id=version.version_id, label="seen")
            rest.send("PUT", "publish", PATH, type="notebook", version_id=version.version_id)


class TestPages:
    """The pages run nothing but their own script, and can be shown nowhere else."""

    def test_are_locked_up(self, rest: RestServer) -> None:
        query = {"s3_bucket": rest.bucket, "s3_key": "a.ipynb"}
        first, second = (rest.http.get("/bookstore/clone", params=query) for _ in range(2))
        policy = first.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
        assert nonce is not None
        assert f'<script nonce="{nonce[1]}">' in first.text
        assert nonce[1] not in second.text, "a nonce was used twice"
        assert first.headers["x-content-type-options"] == "nosniff"
        assert first.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("evil", ["</script><script>alert(1)</script>", "\"'><img src=x>"])
    def test_escape_what_the_address_says(self, rest: RestServer, evil: str) -> None:
        query = {"s3_bucket": rest.bucket, "s3_key": f"{evil}.ipynb", "s3_version_id": evil}
        page = rest.http.get("/bookstore/clone", params=query)
        assert page.status_code == 200
        assert evil not in page.text
        assert "<img" not in page.text
        assert _data(page)["request"]["s3_key"] == f"{evil}.ipynb"
        refused = rest.http.get("/bookstore/clone", params={**query, "s3_bucket": evil})
        assert refused.status_code == 403
        assert evil not in refused.text


class TestContent:
    """What comes out of the bucket is nobody's code yet."""

    def test_of_a_version_is_never_shown_as_a_page_of_this_server(self, rest: RestServer) -> None:
        version = rest.archived("evil ünd.html", "<script>alert(1)</script>")
        answer = rest.ask(
            "GET",
            "version",
            "evil ünd.html",
            params={"version_id": version.version_id, "format": "raw"},
        )
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        disposition = answer.headers["content-disposition"]
        assert disposition == "attachment; filename*=UTF-8''evil%20%C3%BCnd.html"

    @pytest.mark.parametrize("how", ["clone", "restore", "fs-clone", "undelete"])
    def test_of_a_notebook_is_not_trusted(self, rest: RestServer, how: str) -> None:
        path, notebook = f"{how}d.ipynb", _trusted_notebook(how)
        if how == "clone":
            rest.put_object(f"published/{path}", json.dumps(notebook).encode())
            rest.send("POST", how, s3_bucket=rest.bucket, s3_key=f"published/{path}")
        elif how == "fs-clone":
            (rest.disk.path / "clonable" / path).write_text(json.dumps(notebook))
            rest.send("POST", how, relpath=path)
        else:
            version = rest.archived(path, notebook)
            if how == "restore":
                rest.send("POST", how, path, version_id=version.version_id)
            else:
                rest.in_archive(lambda archive: archive.delete_file(path))
                rest.send("POST", how, path)
        model = rest.http.get(f"/api/contents/{path}").json()
        assert [cell["metadata"]["trusted"] for cell in model["content"]["cells"]] == [False]
        assert "trusted" not in rest.disk.file(path).read_text()


class TestCloning:
    """Clones come from where the configuration allows, and go where files may be."""

    def test_leaves_buckets_alone_that_are_not_allowed(self, rest: RestServer) -> None:
        other = make_bucket(rest.s3)
        connect(rest.s3).put_object(Bucket=other, Key="secret.ipynb", Body=b"{}")
        answer = rest.ask("POST", "clone", json={"s3_bucket": other, "s3_key": "secret.ipynb"})
        assert answer.status_code == 403
        assert "clone_buckets" in answer.json()["message"]

    @pytest.mark.parametrize("allowed", ["named", "*"])
    def test_takes_buckets_that_are_allowed(
        self, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server, allowed: str
    ) -> None:
        other = make_bucket(moto_server)
        connect(moto_server).put_object(Bucket=other, Key="a.txt", Body=b"shared")
        disk = Disk(tmp_path_factory.mktemp("allowed"))
        buckets = {"clone_buckets": [other if allowed == "named" else "*"]}
        with running(
            disk, moto_server, make_bucket(moto_server), BookstoreSettings=buckets
        ) as rest:
            rest.send("POST", "clone", s3_bucket=other, s3_key="a.txt")
            assert disk.file("a.txt").read_text() == "shared"
            for name in ("not-there", "No Name!", "x" * 100, "../up", "a/b", "arn:aws:s3:::x"):
                answer = rest.ask("POST", "clone", json={"s3_bucket": name, "s3_key": "k.txt"})
                expected = (400, 404) if allowed == "*" else (403,)
                assert answer.status_code in expected, (name, answer.text)

    @pytest.mark.parametrize(
        "target",
        ["../outside.txt", "a/../../b.txt", ".hidden.txt", ".ssh/key", "a//b", "nul\0", "x" * 300,
         "caf\ud800.txt", ".", "dir/"],
    )  # fmt: skip
    def test_writes_nowhere_but_where_files_may_be(self, rest: RestServer, target: str) -> None:
        rest.put_object("note.txt", b"a note")
        if target == "dir/":
            rest.disk.file("dir").mkdir(exist_ok=True)
        body = {"s3_bucket": rest.bucket, "s3_key": "note.txt", "target_path": target}
        answer = rest.ask("POST", "clone", content=json.dumps({**body, "overwrite": True}))
        assert answer.status_code in (400, 409), answer.text
        assert not (rest.disk.root.parent / "outside.txt").exists()

    def test_reads_nothing_outside_the_base_directory(self, rest: RestServer) -> None:
        clonable = rest.disk.path / "clonable"
        outside = rest.disk.path / "outside"
        outside.mkdir(exist_ok=True)
        (outside / "secret.txt").write_text("secret")
        (clonable / "folder").mkdir(exist_ok=True)
        (clonable / ".hidden").write_text("hidden")
        for name, target in {
            "link.txt": outside / "secret.txt",
            "dangling.txt": outside / "nothing.txt",
            "loop.txt": clonable / "loop.txt",
            "linked": outside,
        }.items():
            if not (clonable / name).is_symlink():
                (clonable / name).symlink_to(target)
        for relpath in (
            "../outside/secret.txt",
            "folder/../../outside/secret.txt",
            str(outside / "secret.txt"),
            "/etc/passwd",
            "link.txt",
            "linked/secret.txt",
            "dangling.txt",
            "loop.txt",
            "folder",
            ".",
            ".hidden",
            "nul\0",
            "x" * 5000,
        ):
            answer = rest.ask("POST", "fs-clone", json={"relpath": relpath})
            assert answer.status_code == 404, relpath
            assert str(outside) not in answer.text.replace(json.dumps(relpath)[1:-1], "")
            page = rest.http.get("/bookstore/fs-clone", params={"relpath": relpath})
            assert page.status_code == 404, relpath

    def test_follows_links_inside_the_base_directory(self, rest: RestServer) -> None:
        clonable = rest.disk.path / "clonable"
        (clonable / "..data").mkdir()  # as Kubernetes mounts a ConfigMap
        (clonable / "..data" / "mounted.txt").write_text("mounted")
        (clonable / "mounted.txt").symlink_to("..data/mounted.txt")
        rest.send("POST", "fs-clone", relpath="mounted.txt")
        assert rest.disk.file("mounted.txt").read_text() == "mounted"


class TestFeatures:
    """What is turned off is not there, and the answer says what turns it on."""

    def test_say_which_setting_turns_them_on(
        self, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
    ) -> None:
        off = {"enable_s3_cloning": False, "published_prefix": ""}
        disk = Disk(tmp_path_factory.mktemp("off"))
        with running(disk, moto_server, make_bucket(moto_server), BookstoreSettings=off) as rest:
            features = rest.get("")["features"]
            assert [name for name, on in features.items() if not on] == [
                "publish_valid",
                "s3_clone_valid",
                "fs_clone_valid",
            ]
            for method, address, setting in [
                ("PUT", "/api/bookstore/publish/a.ipynb", "published_prefix"),
                ("POST", "/api/bookstore/clone", "enable_s3_cloning"),
                ("GET", "/bookstore/clone?s3_bucket=b&s3_key=k", "enable_s3_cloning"),
                ("POST", "/api/bookstore/fs-clone", "fs_cloning_basedir"),
                ("GET", "/bookstore/fs-clone?relpath=a", "fs_cloning_basedir"),
            ]:
                answer = rest.http.request(method, address)
                assert answer.status_code == 404
                assert setting in answer.text


def test_nothing_secret_is_told(rest: RestServer) -> None:
    assert rest.s3.secret_key not in json.dumps(rest.get(""))
    assert rest.s3.secret_key not in rest.process.log_text()
    assert rest.process.token not in json.dumps(rest.get(""))


def _guarded(factory: pytest.TempPathFactory, s3: S3Server, authorizer: str) -> Any:
    disk = Disk(factory.mktemp("guarded"))
    return running(
        disk,
        s3,
        make_bucket(s3),
        ServerApp={"authorizer_class": f"tests.rest.authorizers.{authorizer}"},
        BookstoreSettings={"fs_cloning_basedir": str(disk.path)},
    )


def _data(page: httpx.Response) -> Json:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text)
    assert found is not None
    data: Json = json.loads(found[1])
    return data


def _trusted_notebook(name: str) -> Json:
    """Marked as trusted by whoever wrote it; unlike any other, since signatures are of content."""
    output = {
        "output_type": "display_data",
        "data": {"text/html": f"<script>alert('{name}')</script>"},
        "metadata": {},
    }
    cell = {
        "id": "evil",
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"trusted": True},
        "outputs": [output],
        "source": "",
    }
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
