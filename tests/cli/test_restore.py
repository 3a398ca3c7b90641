"""Restoring over the server that has the file open; and naming versions that are alike."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bookstore_y import Version
from bookstore_y.archive.history import Page
from bookstore_y.cli._errors import CommandError
from bookstore_y.cli._versions import choose, short_ids
from bookstore_y.errors import VersionNotFound
from harness.servers import S3Server

from .commands import Commands
from .conftest import Save


class JupyterStub:
    """What a Jupyter server says of its archive, and what it is asked to restore."""

    def __init__(self, status: dict[str, Any], runtime: Path) -> None:
        self.restored: list[tuple[str, dict[str, Any]]] = []
        self.refuse_with = 0
        self.changes = True
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(status)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if stub.refuse_with:
                    self.send_error(stub.refuse_with)
                    return
                stub.restored.append((self.path, body))
                version = {"version_id": "made-by-server"}
                self.answer({"version": version, "changed": stub.changes})

            def answer(self, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        record = {
            "url": self.url,
            "hostname": "127.0.0.1",
            "port": self._server.server_port,
            "pid": os.getpid(),
            "token": "t",
            "root_dir": "/",
        }
        runtime.mkdir(exist_ok=True)
        (runtime / f"jpserver-{self._server.server_port}.json").write_text(json.dumps(record))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def status(moto_server: S3Server, on_moto: str) -> dict[str, Any]:
    """What a server says that archives into the bucket which the commands use."""
    return {
        "bucket": on_moto,
        "endpoint_url": moto_server.endpoint_url,
        "workspace_prefix": "workspace/",
    }


@pytest.fixture
def server(status: dict[str, Any], jupyter_home: Path, tmp_path: Path) -> Iterator[JupyterStub]:
    stub = JupyterStub(status, tmp_path / "runtime")
    yield stub
    stub.stop()


def test_a_running_server_of_this_archive_is_asked(
    jupyter_bookstore: Commands, server: JupyterStub, save: Save
) -> None:
    first = save("a b.txt", b"first").version_id
    save("a b.txt", b"second")
    restored = jupyter_bookstore.json("restore", "a b.txt", first)
    assert restored["version"]["version_id"] == "made-by-server"
    assert restored["server"] == server.url.rstrip("/")
    assert server.restored == [("/api/bookstore/restore/a%20b.txt", {"version_id": first})]
    assert jupyter_bookstore.ok("show", "a b.txt", "--raw") == "second"


def test_no_server_is_asked_when_none_is_to_be(
    jupyter_bookstore: Commands, server: JupyterStub, save: Save
) -> None:
    first = save("a.txt", b"first").version_id
    save("a.txt", b"second")
    ran = jupyter_bookstore("restore", "a.txt", first, "--no-server")
    assert ran.code == 0
    assert "restore it there" in ran.err.replace("\n", " ")
    assert server.restored == []
    assert jupyter_bookstore.ok("show", "a.txt", "--raw") == "first"


def test_a_server_of_another_archive_is_left_alone(
    jupyter_bookstore: Commands, status: dict[str, Any], save: Save, tmp_path: Path
) -> None:
    other = JupyterStub({**status, "workspace_prefix": "other/"}, tmp_path / "runtime")
    first = save("a.txt", b"first").version_id
    jupyter_bookstore.ok("restore", "a.txt", first)
    other.stop()
    assert other.restored == []


def test_several_servers_have_to_be_told_apart(
    jupyter_bookstore: Commands,
    server: JupyterStub,
    status: dict[str, Any],
    save: Save,
    tmp_path: Path,
) -> None:
    second = JupyterStub(status, tmp_path / "runtime")
    first = save("a.txt", b"first").version_id
    ran = jupyter_bookstore("restore", "a.txt", first)
    assert ran.code == 2
    assert server.url.rstrip("/") in ran.err
    jupyter_bookstore.ok("restore", "a.txt", first, "--server", second.url)
    second.stop()
    assert (server.restored, len(second.restored)) == ([], 1)


def test_a_server_that_does_not_let_in(
    jupyter_bookstore: Commands, server: JupyterStub, save: Save
) -> None:
    first = save("a.txt", b"first").version_id
    server.refuse_with = 403
    ran = jupyter_bookstore("restore", "a.txt", first)
    assert ran.code == 1
    assert "token" in ran.err


def test_what_is_restored_already_makes_no_version(
    jupyter_bookstore: Commands, save: Save, on_moto: str
) -> None:
    first = save("a.txt", b"first").version_id
    save("a.txt", b"second")
    last = save("a.txt", b"first").version_id
    for version_id in (first, last):
        ran = jupyter_bookstore("restore", "a.txt", version_id)
        assert "already has the content" in ran.out
        assert ran.err == ""  # nothing is warned of
        assert not jupyter_bookstore.json("restore", "a.txt", version_id)["changed"]
    assert len(jupyter_bookstore.versions("a.txt")) == 3


def test_what_a_server_has_already_it_did_not_do(
    jupyter_bookstore: Commands, server: JupyterStub, save: Save
) -> None:
    first = save("a.txt", b"first").version_id
    assert "restored it" in jupyter_bookstore.ok("restore", "a.txt", first)
    server.changes = False
    said = jupyter_bookstore.ok("restore", "a.txt", first)
    assert "already has the content" in said
    assert "restored it" not in said


class Histories:
    """An archive of versions with these ids."""

    def __init__(self, *ids: str) -> None:
        self._versions = tuple(version(i) for i in ids)

    async def find(self, path: str, version_id: str) -> Version:
        for found in self._versions:
            if found.version_id == version_id:
                return found
        raise VersionNotFound(version_id)

    async def history(self, path: str, **which: Any) -> Page:
        start = int(which["after"] or 0)
        following = str(start + 2) if start + 2 < len(self._versions) else None
        return Page(self._versions[start : start + 2], following)


def version(version_id: str) -> Version:
    return Version(version_id, "workspace/a", datetime.now(timezone.utc), 1, False, path="a")


def chosen(name: str, *ids: str) -> str:
    archive: Any = Histories(*ids)
    return asyncio.run(choose(archive, "a", name)).version_id


def test_a_prefix_is_looked_for_on_every_page() -> None:
    assert chosen("dddd", "aaaa1", "bbbb1", "cccc1", "dddd1") == "dddd1"


def test_a_whole_id_wins_over_those_that_it_begins() -> None:
    assert chosen("aaaa", "aaaab", "aaaa") == "aaaa"


def test_a_prefix_of_several_is_refused_with_all_of_them() -> None:
    with pytest.raises(CommandError, match=r"(?s)2 version ids.*aaaa1.*aaaa2") as refused:
        chosen("aaaa", "aaaa1", "bbbb1", "aaaa2")
    assert refused.value.exit_code == 2


def test_ids_are_shown_as_far_as_they_differ() -> None:
    ids = ("0123456789abcdef", "0123456789xyz", "zzzzzzzzzzzzz")
    assert short_ids(map(version, ids)) == {
        "0123456789abcdef": "0123456789a",
        "0123456789xyz": "0123456789x",
        "zzzzzzzzzzzzz": "zzzzzzzzzzz",
    }
