"""The client finds its server and its notebook by itself, or says what to pass."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from bookstore_y import BookstoreClient
from bookstore_y.client import (
    NotebookNotFound,
    NotFoundThere,
    RequestRefused,
    ServerNotFound,
    ServerUnreachable,
)
from bookstore_y.errors import InvalidPath
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import Config
from harness.servers import free_port

from .conftest import PATH
from .kernel import CellFailed, Kernel
from .servers import EncryptedServer, PrefixedServer, TokenlessServer, running

slow = [pytest.mark.e2e, pytest.mark.slow]

MAKE = "from bookstore_y import BookstoreClient\nclient = BookstoreClient()\n"
ODD = "a b+c/50% \"of\" 'é' e\u0301 #?&;🎉 [x].ipynb"


@pytest.fixture
async def server(disk: Disk, config: Config) -> AsyncIterator[JupyterProcess]:
    """A running server on `disk` with `config`."""
    async with running(JupyterProcess(disk, config)) as server:
        yield server


class TestInANotebook:
    """Nothing need be said."""

    pytestmark = slow

    @pytest.mark.parametrize("path", [PATH, ODD])
    async def test_finds_the_notebook_that_runs_it(
        self, disk: Disk, server: JupyterProcess, path: str
    ) -> None:
        disk.place(path, sample_notebook())
        async with Kernel(server, path) as kernel:
            told = await kernel.run(MAKE + "print(client.url)\nprint(client.path)")
            assert told.text == f"{server.url}\n{path}\n"
            versions = await kernel.run("print(list(client.versions()), client.versions().path)")
            assert versions.text == f"[] {path}\n"

    async def test_follows_a_rename(self, server: JupyterProcess) -> None:
        async with Kernel(server, PATH) as kernel:
            await kernel.run(MAKE)
            await kernel.rename_session("work/ebb.ipynb")
            assert (await kernel.run("print(client.path)")).text == "work/ebb.ipynb\n"

    async def test_leaves_out_the_drive_of_collaborative_documents(
        self, server: JupyterProcess
    ) -> None:
        async with Kernel(server, PATH, session_path=f"RTC:{PATH}") as kernel:
            assert (await kernel.run(MAKE + "print(client.path)")).text == f"{PATH}\n"

    async def test_asks_which_of_several_notebooks_that_share_a_kernel(
        self, server: JupyterProcess
    ) -> None:
        async with Kernel(server, PATH) as kernel:
            await kernel.run(MAKE)
            async with server.http() as http:
                other = {"path": "other.ipynb", "name": "other.ipynb", "type": "notebook"}
                (session,) = (await http.get("/api/sessions")).json()
                shared = {"kernel": {"id": session["kernel"]["id"]}}
                await http.post("/api/sessions", json={**other, **shared})
            with pytest.raises(CellFailed, match=r"NotebookNotFound: .*other\.ipynb, work/tides"):
                await kernel.run("client.path")
            told = await kernel.run("print(BookstoreClient(path='other.ipynb').path)")
            assert told.text == "other.ipynb\n"

    async def test_takes_the_notebook_it_was_started_for_if_no_session_has_it(
        self, server: JupyterProcess
    ) -> None:
        async with Kernel(server, PATH) as kernel:
            async with server.http() as http:
                (session,) = (await http.get("/api/sessions")).json()
                await http.patch(f"/api/sessions/{session['id']}", json={"type": "console"})
            assert (await kernel.run(MAKE + "print(client.path)")).text == f"{PATH}\n"

    async def test_finds_its_own_of_several_servers(
        self, disk: Disk, config: Config, server: JupyterProcess
    ) -> None:
        async with running(JupyterProcess(disk, config)) as other:
            for one in (server, other):
                async with Kernel(one, PATH) as kernel:
                    assert (await kernel.run(MAKE + "print(client.url)")).text == f"{one.url}\n"

    async def test_does_without_importing_what_kernels_do_not_need(
        self, server: JupyterProcess
    ) -> None:
        async with Kernel(server, PATH) as kernel:
            told = await kernel.run(
                "import sys\nimport bookstore_y.client\n"
                "print({'jupyter_server', 'aioboto3', 'pycrdt', 'nbdime'} & set(sys.modules))"
            )
            assert told.text == "set()\n"


class TestInAScript:
    """A program outside a notebook names the document; the server it finds if it can."""

    pytestmark = slow

    async def test_finds_the_only_server_and_asks_for_the_path(
        self, server: JupyterProcess, here: None
    ) -> None:
        client = BookstoreClient()
        assert client.url == server.url
        assert await asyncio.to_thread(client.versions, f"/{PATH}") == []
        with pytest.raises(NotebookNotFound, match="`path`"):
            _ = client.path

    async def test_asks_which_of_several_servers(
        self, disk: Disk, config: Config, server: JupyterProcess, here: None
    ) -> None:
        async with running(JupyterProcess(disk, config)) as other:
            with pytest.raises(ServerNotFound, match="`url`") as refused:
                BookstoreClient()
            assert server.url in str(refused.value)
            assert other.url in str(refused.value)
            assert server.token not in str(refused.value)
            # A URL of one of them needs no token.
            client = BookstoreClient(url=f"{other.url}/")
            assert (await asyncio.to_thread(client.status))["status"] == "ok"

    async def test_in_a_terminal_of_jupyter_finds_that_server(
        self,
        disk: Disk,
        config: Config,
        server: JupyterProcess,
        here: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async with running(JupyterProcess(disk, config)) as other:
            for one in (server, other):
                monkeypatch.setenv("JUPYTER_SERVER_URL", f"{one.url}/")
                assert BookstoreClient().url == one.url

    async def test_asks_no_proxy_for_a_server_of_this_machine(
        self, server: JupyterProcess, here: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        for url in (None, server.url, server.url.replace("127.0.0.1", "localhost")):
            client = BookstoreClient(url=url, token=server.token)
            assert await asyncio.to_thread(client.versions, PATH) == []

    async def test_sends_its_own_token_and_not_one_of_a_netrc(
        self,
        server: JupyterProcess,
        here: None,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login ada password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert await asyncio.to_thread(BookstoreClient().versions, PATH) == []

    async def test_takes_the_address_as_jupyter_prints_it(
        self, server: JupyterProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
        client = BookstoreClient(url=f"{server.url}/lab?token={server.token}", path=PATH)
        assert client.url == server.url
        assert client.path == PATH
        assert await asyncio.to_thread(client.versions) == []


class TestOnJupyterHub:
    """The server has no token of its own; the Hub's lets in."""

    pytestmark = slow

    @pytest.fixture
    async def server(self, disk: Disk, config: Config) -> AsyncIterator[JupyterProcess]:
        async with running(PrefixedServer(disk, config)) as server:
            yield server

    @pytest.mark.parametrize("variable", ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"])
    async def test_takes_the_token_of_the_hub(
        self,
        disk: Disk,
        server: JupyterProcess,
        here: None,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
    ) -> None:
        (record,) = (disk.path / "runtime").glob("jpserver-*.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "token": ""}))
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", f"{PrefixedServer.PREFIX}/")
        monkeypatch.setenv(variable, server.token)
        client = BookstoreClient()
        assert client.url == server.url
        assert await asyncio.to_thread(client.versions, PATH) == []

    async def test_finds_it_without_its_record(
        self,
        disk: Disk,
        server: JupyterProcess,
        here: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for record in (disk.path / "runtime").glob("jpserver-*.json"):
            record.unlink()
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", f"{PrefixedServer.PREFIX}/")
        monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", f"http://0.0.0.0:{server.port}/user/ada/")
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", server.token)
        client = BookstoreClient()
        assert await asyncio.to_thread(client.versions, PATH) == []


class TestOtherServers:
    """Passwords, open servers, own certificates."""

    pytestmark = slow

    async def test_behind_a_password_say_what_to_set(
        self, disk: Disk, config: Config, in_kernel: Callable[[str], None]
    ) -> None:
        hashed = f"argon2:{PasswordHasher().hash('correct horse')}"
        async with TokenlessServer(disk, config, password_hash=hashed) as server:
            client = BookstoreClient(url=server.url)
            with pytest.raises(RequestRefused, match=r"\$JUPYTER_TOKEN") as refused:
                await asyncio.to_thread(client.versions, PATH)
            assert refused.value.status_code == 403
            in_kernel(str(uuid.uuid4()))
            with pytest.raises(ServerNotFound, match=r"\$JUPYTER_TOKEN"):
                await asyncio.to_thread(BookstoreClient)

    async def test_without_any_lock_take_changes_too(
        self, disk: Disk, config: Config, here: None
    ) -> None:
        async with running(TokenlessServer(disk, config)) as server:
            client = BookstoreClient()
            assert client.url == server.url
            with pytest.raises(NotFoundThere, match="no version 'nope'"):
                await asyncio.to_thread(client.restore, "nope", PATH)

    async def test_with_a_certificate_of_their_own_are_verified_by_it(
        self, disk: Disk, config: Config, here: None
    ) -> None:
        async with running(EncryptedServer(disk, config)) as server:
            with pytest.raises(ServerUnreachable, match="`verify`"):
                await asyncio.to_thread(BookstoreClient().versions, PATH)
            client = BookstoreClient(verify=str(server.certificate))
            assert client.url == server.url
            assert await asyncio.to_thread(client.versions, PATH) == []

    async def test_that_do_not_take_the_token_say_so(
        self, server: JupyterProcess, here: None
    ) -> None:
        client = BookstoreClient(url=server.url, token="not-the-token")
        with pytest.raises(RequestRefused, match="is not accepted") as refused:
            await asyncio.to_thread(client.versions, PATH)
        assert "not-the-token" not in f"{refused.value!r} {client!r}"


class _Stranger(BaseHTTPRequestHandler):
    """Not a Jupyter server: it sends some pages elsewhere, and has a page for all others."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path.endswith("/sessions") else 200)
        self.send_header("Location", "/login?next=secret")
        self.end_headers()
        self.wfile.write(b"<p>welcome</p>")

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    """The URL of an HTTP server that is not Jupyter's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class TestWhatCannotBeAsked:
    """Each gets a sentence that says what to do."""

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("127.0.0.1:8888", "start with http://"),
            ("ftp://127.0.0.1/", "start with http://"),
            ("http://", "start with http://"),
            ("http://[::1", "malformed"),
            ("http://127.0.0.1:port/", "malformed"),
            ("http://ada:secret@127.0.0.1:8888/", "user name or password"),
            ("http+unix://%2Frun%2Fjupyter.sock/", "Unix socket"),
        ],
    )
    def test_an_address_that_is_none(self, here: None, url: str, says: str) -> None:
        with pytest.raises(ServerNotFound, match=says) as refused:
            BookstoreClient(url=url)
        assert "secret" not in str(refused.value)

    def test_no_server_at_all(self, here: None) -> None:
        with pytest.raises(ServerNotFound, match="`url` and `token`"):
            BookstoreClient()

    def test_a_server_on_a_unix_socket(self, disk: Disk, here: None) -> None:
        runtime = disk.path / "runtime"
        runtime.mkdir(exist_ok=True)
        record = {"pid": os.getpid(), "sock": "/run/jupyter.sock", "token": "secret"}
        record |= {"url": "http+unix://%2Frun%2Fjupyter.sock/", "hostname": "localhost"}
        (runtime / "jpserver-1.json").write_text(json.dumps(record))
        with pytest.raises(ServerNotFound, match="Unix socket") as refused:
            BookstoreClient()
        assert "secret" not in str(refused.value)

    def test_a_server_that_is_not_there(self, here: None) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(ServerUnreachable, match=rf"{url} \(connection refused\)"):
            BookstoreClient(url=url, token="secret").versions(PATH)

    def test_a_file_of_authorities_that_is_not_there(self, here: None) -> None:
        client = BookstoreClient(url="https://127.0.0.1:9", verify="/no/such/file.pem")
        with pytest.raises(ServerUnreachable, match="check that it runs"):
            client.versions(PATH)

    def test_a_page_that_is_no_answer(self, here: None, stranger: str) -> None:
        client = BookstoreClient(url=stranger, token="secret")
        with pytest.raises(RequestRefused, match="jupyter server extension list"):
            client.versions(PATH)

    def test_a_login_page(self, in_kernel: Callable[[str], None], stranger: str) -> None:
        in_kernel(str(uuid.uuid4()))
        client = BookstoreClient(url=stranger, token="secret")
        with pytest.raises(RequestRefused, match="redirects"):
            client.versions()

    @pytest.mark.parametrize("path", ["", "/", "../up.ipynb", "a/../b.ipynb", "a//b", "nul\0"])
    def test_a_path_that_is_none(self, here: None, stranger: str, path: str) -> None:
        client = BookstoreClient(url=stranger, token="secret")
        for call in (client.versions, client.publish, client.undelete):
            with pytest.raises(InvalidPath):
                call(path)
