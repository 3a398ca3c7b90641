"""JupyterProcess: a real Jupyter server in a process of its own, on a given disk."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx

from bookstore_y.local.waiting import eventually

from ..servers import free_port
from .disk import Disk

Application = Literal["jupyter_server", "jupyterlab", "notebook"]


# Once installed it is on, and puts its own contents manager in the place of Jupyter's.
_OFF = {name: False for name in ["jupyterlab_jupytext"] if importlib.util.find_spec(name)}


class ServerFailed(RuntimeError):
    """The server process ended before it answered."""


class ServerDidNotExit(TimeoutError):
    """The server process was still there when the time given to it to exit had passed."""


class JupyterProcess:
    """A Jupyter server with jupyter-collaboration that lives as long as its `async with`.

    Entering starts the process and waits until it answers; leaving kills what is left of it, and
    prints the end of its log if an error is on its way.
    `config` is written as `jupyter_server_config.json`; address, token and root are added to it.
    `python` is the interpreter of the environment that Jupyter is installed in.
    """

    def __init__(
        self,
        disk: Disk,
        config: Mapping[str, Any],
        *,
        application: Application = "jupyter_server",
        port: int | None = None,
        token: str | None = None,
        ready_within: float = 60.0,
        stdin: int = subprocess.DEVNULL,
        python: str = sys.executable,
    ) -> None:
        self.disk = disk
        self.port = port or free_port()
        self.token = token or secrets.token_hex(16)
        self.log_path: Path = disk.new_log()
        self._config = config
        self._application = application
        self._ready_within = ready_within
        self._stdin = stdin
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; `wait_ready` tells when it answers."""
        self.disk.write_config(self._whole_config())
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", self._application, "--allow-root"],
                cwd=self.disk.path,
                env=self.disk.environment(),
                stdin=self._stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def wait_ready(self, within: float = 60.0) -> None:
        """Wait until `/api/status` answers.

        Raises `ServerFailed` when the process ends first and `TimeoutError` after `within`
        seconds.
        """
        async with self.http() as http:

            async def answers() -> bool:
                if not self.running:
                    raise ServerFailed(f"the server ended at its start:\n{self.log_tail()}")
                try:
                    response = await http.get("/api/status")
                except httpx.TransportError:
                    return False
                return response.status_code == httpx.codes.OK

            await eventually(answers, within=within, what=f"an answer from {self.url}")

    def http(self) -> httpx.AsyncClient:
        """An HTTP client that is logged in to this server; close it after use."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"token {self.token}"},
            timeout=30.0,
            trust_env=False,
        )

    async def sigterm(self, within: float = 30.0) -> float:
        """Ask the process to end and return the seconds it took. Raises like `exits`."""
        self.send(signal.SIGTERM)
        return await self.exits(within)

    def send(self, number: signal.Signals) -> None:
        """Send the server's own process a signal."""
        self._running().send_signal(number)

    async def exits(self, within: float = 30.0) -> float:
        """Wait until the process, which was told to, has ended; return the seconds it took.

        Raises `ServerDidNotExit` after `within` seconds; the process is then aborted, which
        leaves the stacks of its threads in the log.
        """
        process = self._running()
        asked = time.monotonic()
        try:
            await asyncio.to_thread(process.wait, within)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise ServerDidNotExit(
                f"the server still ran {within:g} s after it was told to stop:\n{self.log_tail()}"
            ) from None
        return time.monotonic() - asked

    def sigkill(self) -> None:
        """End the server and its kernels at once, as a crash would, and wait for the server."""
        if self._process is None or self._process.poll() is not None:
            return
        for pid in [*_descendants(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def log_text(self) -> str:
        """All that the server has written to its standard output and error so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        """The last `lines` lines of the log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    async def __aenter__(self) -> JupyterProcess:
        self.start()
        try:
            await self.wait_ready(self._ready_within)
        except BaseException:
            self.sigkill()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sigkill()
        if error is not None:
            print(f"\n--- the end of {self.log_path.name} ---\n{self.log_tail()}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process

    def _whole_config(self) -> dict[str, Any]:
        given = self._config.get("ServerApp", {})
        server = {
            "ip": "127.0.0.1",
            "port": self.port,
            "port_retries": 0,
            "open_browser": False,
            "root_dir": str(self.disk.root),
            **given,
            "jpserver_extensions": {**_OFF, **given.get("jpserver_extensions", {})},
        }
        identity = {"token": self.token, **self._config.get("IdentityProvider", {})}
        return {**self._config, "ServerApp": server, "IdentityProvider": identity}


def _descendants(pid: int) -> list[int]:
    """Processes below `pid`, as Linux tells them; none elsewhere."""
    children: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            children += map(int, listed.read_text().split())
    return [*children, *(below for child in children for below in _descendants(child))]
