"""`jupyter bookstore demo`, run as a user runs it: a process of its own, and signals."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from bookstore_y.cli import demo, main
from bookstore_y.local.waiting import wait_until

LIMIT = 120.0
"""Seconds that anything here may take at most; on an idle machine a demo starts in 4."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")


class Demo:
    """A running demo, what it has printed, and the processes that descend from it."""

    def __init__(self, directory: Path, *options: str, **env: str) -> None:
        self.temporary = directory / "tmp"
        self.home = directory / "home"
        self.temporary.mkdir()
        self.home.mkdir(exist_ok=True)
        self._mark = f"BOOKSTORE_DEMO_TEST={uuid.uuid4()}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JPYNB_", "JUPYTER"))}
        places = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bookstore_y.cli", "demo", *options],
            env=inherited | places | env | {name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell that starts the tests in the background has its children ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.printed = ""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def read_until(self, text: str) -> None:
        """Wait until `text` has been printed."""
        deadline = time.monotonic() + LIMIT
        while text not in self.printed:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            assert line is not None, f"the demo ended without {text!r}:\n{self.printed}"
            self.printed += line

    def exit_code(self) -> int:
        """Wait for the end; `printed` is complete then."""
        code = self.process.wait(LIMIT)
        while (line := self._lines.get(timeout=LIMIT)) is not None:
            self.printed += line
        return code

    def find(self, pattern: str) -> str:
        """The first group of `pattern` in what was printed."""
        match = re.search(pattern, self.printed)
        assert match, f"{pattern!r} not in:\n{self.printed}"
        return match[1]

    def processes(self) -> dict[int, str]:
        """The command lines of the processes that carry this demo's environment, by id."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if self._mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
                except OSError:  # it has just ended, or is someone else's
                    continue
        return {pid: line for pid, line in found.items() if line}  # a zombie has no command line


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def start(*options: str, **env: str) -> Demo:
        demos.append(Demo(tmp_path, *options, **env))
        return demos[-1]

    yield start
    for started in demos:
        for pid in started.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.process.kill()
        started.process.wait(LIMIT)


def get(url: str, token: str = "") -> tuple[int, bytes]:
    return ask("GET", url, token)


def ask(method: str, url: str, token: str = "", body: object = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"token {token}"} if token else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def refuses(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def tree(directory: Path) -> list[Path]:
    """Everything below, except the log of npm, which jupyter-lsp asks where its modules are."""
    return sorted(path for path in directory.rglob("*") if ".npm" not in path.parts)


@contextmanager
def occupied_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def fake_jupyterlab(directory: Path, source: str) -> str:
    """A PYTHONPATH on which `jupyterlab` is `source`."""
    (directory / "fake").mkdir()
    (directory / "fake" / "jupyterlab.py").write_text(source)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, [str(directory / "fake"), inherited]))


STUBBORN_SERVER = """
import http.server, os, signal
signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/status" else 404)
        self.end_headers()

config = open(os.environ["JUPYTER_CONFIG_DIR"] + "/jupyter_server_config.py").read()
port = int(config.split("c.ServerApp.port = ")[1].split()[0])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.mark.e2e
def test_it_serves_the_sample_and_leaves_nothing_behind(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    own_configuration = tmp_path / "home" / ".jupyter" / "jupyter_server_config.py"
    own_configuration.parent.mkdir(parents=True)
    own_configuration.write_text("raise RuntimeError('the configuration of the user was read')")
    home_before = tree(tmp_path / "home")

    demo = start("--no-browser", "--checkpoint-max-delay", "7")
    demo.read_until("Ctrl-C stops everything")
    lab, token = demo.find(r"(http://127\.0\.0\.1:\d+)/lab/"), demo.find(r"\?token=(\w+)")
    endpoint, bucket = demo.find(r"S3 +(http://\S+)"), demo.find(r"Bucket +(\S+)")
    assert demo.find(r"Snapshots +(\S+)") == "workspace/sample.ipynb.notebook.y.zst"

    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=demo.find(r"aws_access_key_id='(.*?)'"),
        aws_secret_access_key=demo.find(r"aws_secret_access_key='(.*?)'"),
        config=Config(proxies={}),
    )
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    status, body = get(f"{lab}/api/contents/sample.ipynb", token)
    assert status == 200
    outputs = [o for cell in json.loads(body)["content"]["cells"] for o in cell.get("outputs", [])]
    kinds = {output["output_type"] for output in outputs}
    assert kinds == {"stream", "display_data", "execute_result"}
    assert get(f"{lab}/lab/tree/sample.ipynb?token={token}")[0] == 200
    assert get(f"{lab}/api/contents/sample.ipynb")[0] == 403
    assert all(token not in line for line in demo.processes().values())

    config = next(demo.temporary.rglob("jupyter_server_config.py")).read_text()
    assert "c.YDocExtension.ystore_class = 'bookstore_y.S3YStore'" in config
    assert "c.S3YStore.checkpoint_max_delay = 7.0" in config

    demo.process.send_signal(signal.SIGTERM)
    assert demo.exit_code() == 0
    assert demo.processes() == {}
    assert refuses(lab)
    assert refuses(endpoint)
    assert tree(demo.temporary) == []
    assert tree(tmp_path / "home") == home_before


@pytest.mark.e2e
def test_a_program_is_told_where_it_runs_in_one_document(start: Callable[..., Demo]) -> None:
    demo = start("--no-browser", "--json")
    demo.read_until("\n}\n")
    where = json.loads(demo.printed[demo.printed.index("{") :])
    assert get(f"{where['base_url']}/api/status", where["token"])[0] == 200
    assert where["bucket"] == "notebooks"
    environment = where["environment"]
    assert environment["JPYNB_S3_ENDPOINT_URL"] == where["endpoint_url"]
    assert environment["JPYNB_S3_BUCKET"] == "notebooks"
    assert environment["JPYNB_S3_ACCESS_KEY_ID"]
    assert environment["JPYNB_S3_SECRET_ACCESS_KEY"]
    assert list(Path(environment["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*.json"))
    demo.process.send_signal(signal.SIGINT)
    assert demo.exit_code() == 0


@pytest.mark.e2e
def test_a_second_terminal_finds_the_bucket_the_prefix_and_the_server(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "home" / ".jupyter" / "jupyter_server_config.py"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("c.BookstoreSettings.s3_bucket = 'of-the-user'")
    demo = start("--no-browser", "--workspace-prefix=team/a")
    demo.read_until("Ctrl-C stops everything")
    exports = demo.find(r"\n(export (?:.*\\\n)+.*\n)jupyter bookstore versions sample\.ipynb\n")

    def jupyter_bookstore(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f"{exports}jupyter bookstore {command} --json"],
            env={"HOME": str(tmp_path / "home"), "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    lab, token = demo.find(r"(http://127\.0\.0\.1:\d+)/lab/"), demo.find(r"\?token=(\w+)")
    sample = json.loads(get(f"{lab}/api/contents/sample.ipynb", token)[1])
    assert ask("PUT", f"{lab}/api/contents/sample.ipynb", token, sample)[0] == 200
    wait_until(
        lambda: not jupyter_bookstore("versions sample.ipynb").returncode, "a version", LIMIT
    )
    restored = jupyter_bookstore("restore sample.ipynb latest")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["server"].rstrip("/") == lab


@pytest.mark.e2e
def test_a_save_is_a_version_and_a_checkpoint(start: Callable[..., Demo]) -> None:
    demo = start("--no-browser", "--json")
    demo.read_until("\n}\n")
    where = json.loads(demo.printed[demo.printed.index("{") :])
    base, token = where["base_url"], where["token"]
    model = {"type": "file", "format": "text", "content": "saved"}
    assert ask("PUT", f"{base}/api/contents/notes.txt", token, model)[0] == 201

    def versions() -> list[dict[str, str]]:
        status, body = get(f"{base}/api/bookstore/versions/notes.txt", token)
        return json.loads(body)["versions"] if status == 200 else []

    wait_until(versions, "the version of the save", LIMIT)
    assert [version["kind"] for version in versions()] == ["save"]
    checkpoints = json.loads(get(f"{base}/api/contents/notes.txt/checkpoints", token)[1])
    assert [checkpoint["id"] for checkpoint in checkpoints] == [versions()[0]["version_id"]]


def test_a_killed_jupyterlab_is_started_again_and_a_killed_demo_takes_all_with_it(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)

    demo = start(BROWSER=f"{browser} %s")
    demo.read_until("Ctrl-C stops everything")
    wait_until(opened.exists, "the browser", LIMIT)
    lab, token = demo.find(r"(http://127\.0\.0\.1:\d+)/lab/"), demo.find(r"\?token=(\w+)")
    os.kill(int(demo.find(r"kill -9 (\d+)")), signal.SIGKILL)
    demo.read_until("JupyterLab is back")
    assert "JupyterLab ended (signal 9)" in demo.printed
    assert get(f"{lab}/api/status", token)[0] == 200
    assert len(opened.read_text().splitlines()) == 1

    assert len(demo.processes()) >= 3
    demo.process.kill()
    wait_until(lambda: demo.processes() == {}, "the end of all processes", LIMIT)


@pytest.mark.e2e
def test_a_real_server_and_the_users_own_directory(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    from moto.server import ThreadedMotoServer

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text.md").write_text("mine")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        demo = start(
            "--no-browser",
            f"--directory={os.path.relpath(tmp_path / 'mine')}",
            f"--s3-endpoint-url=http://{host}:{port}",
            "--s3-bucket=made-by-the-demo",
            "--create-bucket",
            "--workspace-prefix=team/a",
            JPYNB_S3_ACCESS_KEY_ID="the-id",
            JPYNB_S3_SECRET_ACCESS_KEY="the-secret",
        )
        demo.read_until("Ctrl-C stops everything")
        lab, token = demo.find(r"(http://127\.0\.0\.1:\d+)/lab\?"), demo.find(r"\?token=(\w+)")
        assert get(f"{lab}/api/contents/text.md", token)[0] == 200
        assert demo.find(r"Snapshots +(\S+)").startswith("team/a/")
        assert "the-secret" not in demo.printed
        assert f"JPYNB_S3_ENDPOINT_URL=http://{host}:{port} " in demo.printed
        everything = "".join(demo.processes().values())
        assert "the-secret" not in everything
        assert "embedded_s3" not in everything
        written = [path for path in tree(demo.temporary) if path.is_file()]
        assert all(b"the-secret" not in path.read_bytes() for path in written)

        demo.process.send_signal(signal.SIGINT)
        assert demo.exit_code() == 0
        assert demo.processes() == {}
        assert (tmp_path / "mine" / "text.md").read_text() == "mine"
        assert tree(demo.temporary) == []
    finally:
        server.stop()


@pytest.mark.e2e
def test_a_bucket_that_cannot_be_written_is_said_and_the_notebooks_are_kept(
    start: Callable[..., Demo],
) -> None:
    with occupied_port() as port:
        unreachable = f"http://127.0.0.1:{port}"  # refuses connections from here on
    demo = start(
        "--no-browser",
        f"--s3-endpoint-url={unreachable}",
        "--s3-bucket=nowhere",
        "--s3-access-key-id=the-id",
        "--s3-secret-access-key=the-secret",
        "--s3-region-name=us-east-1",
    )
    demo.read_until("bucket 'nowhere'")
    demo.process.send_signal(signal.SIGTERM)
    assert demo.exit_code() == 0
    directory = Path(demo.find(r"are kept in (\S+)"))
    assert (directory / "notebooks" / "sample.ipynb").exists()
    assert demo.processes() == {}


def test_the_second_signal_does_not_wait_for_jupyterlab(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    demo = start("--no-browser", PYTHONPATH=fake_jupyterlab(tmp_path, STUBBORN_SERVER))
    demo.read_until("Ctrl-C stops everything")
    log = Path(demo.find(r"Log +(\S+)"))
    demo.process.send_signal(signal.SIGINT)
    wait_until(lambda: "not yet" in log.read_text(), "the SIGTERM to JupyterLab", LIMIT)
    demo.process.send_signal(signal.SIGINT)
    before = time.monotonic()
    assert demo.exit_code() == 0
    assert time.monotonic() - before < 20
    assert "was killed" in demo.printed
    assert demo.processes() == {}


def test_why_jupyterlab_does_not_start_is_said(start: Callable[..., Demo], tmp_path: Path) -> None:
    path = fake_jupyterlab(tmp_path, "raise SystemExit('this is what went wrong')")
    demo = start("--no-browser", PYTHONPATH=path)
    assert demo.exit_code() == 1
    assert "JupyterLab ended while it was starting (exit code 1)" in demo.printed
    assert "this is what went wrong" in demo.printed
    assert demo.processes() == {}
    assert tree(demo.temporary) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--directory", "/does/not/exist"], "/does/not/exist is not a directory"),
        (["--s3-endpoint-url", "http://127.0.0.1:1"], "add --s3-bucket"),
        (["--s3-secret-access-key", "the-secret"], "add --s3-bucket"),
        (["--s3-bucket", "b", "--s3-secret-access-key", "the-secret"], "Only half"),
    ],
)
def test_what_is_asked_wrongly(
    options: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith("jupyter bookstore demo: ")
    assert says in message
    assert "the-secret" not in message


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with occupied_port() as port:
        assert main(["demo", "--port", str(port)]) == 2
    assert f"Port {port} is already in use" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--port", "0"], ["--checkpoint-max-delay", "-1"]])
def test_numbers_out_of_range(options: list[str]) -> None:
    assert main(["demo", *options]) == 2


@pytest.mark.parametrize("missing", ["moto", "flask", "jupyterlab", "jupyter_collaboration"])
def test_a_missing_package(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == missing else object())
    assert main(["demo"]) == 2
    message = capsys.readouterr().err
    assert missing in message
    assert 'pip install "bookstore-y[demo]"' in message
