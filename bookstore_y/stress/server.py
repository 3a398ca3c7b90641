"""Server: a real Jupyter server of ours, to be stopped and killed, and to come back on its disk."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..local.child import Child
from ..local.ports import free_port
from .address import Address
from .session import Session

GRACE = 30.0
"""Seconds that a server has to end after a SIGTERM."""

_START_SECONDS = 120.0
_POLL = 0.1


class ServerFailed(Exception):
    """A server of ours did not start, or ended although nobody asked it to."""


class Server:
    """`jupyter server` with collaboration, on a port and a disk that stay the same.

    `settings` are traits by class. What it writes, logs included, is below `directory`.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: Mapping[str, Mapping[str, Any]],
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
    ) -> None:
        self.name = name
        self.root = directory / "root"
        self.log = directory / "server.log"
        self.address = Address(f"http://{host}:{free_port()}", token or secrets.token_hex(16))
        self._directory = directory
        self._child: Child | None = None
        self.root.mkdir(parents=True)
        _write_config(directory / "config", self.address, self.root, settings)

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start it and wait until it answers. Raises `ServerFailed`."""
        child = self._child = Child(
            f"The server {self.name}",
            ["jupyter_server", *(["--allow-root"] if _is_root() else [])],
            cwd=self._directory,
            env=_environment(self._directory) | {"JUPYTER_TOKEN": self.address.token},
            log=self.log,
            grace=GRACE,
        )
        deadline = time.monotonic() + _START_SECONDS
        while get(self.address, "/api/status") is None:
            if not _runs(child) or time.monotonic() > deadline:
                raise ServerFailed(
                    f"{child.name} does not answer ({child.how_it_ended}); the end of its log:\n"
                    f"{child.end_of_log()}"
                )
            time.sleep(_POLL)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> str | None:
        """Ask it to end, and wait. Returns what was wrong with that, or None."""
        child = self._child
        if child is None or not child.running:
            return None
        child.terminate()
        deadline = time.monotonic() + GRACE + 5.0
        while _runs(child) and time.monotonic() < deadline:
            time.sleep(_POLL)
        late = _runs(child)
        child.kill()
        if late:
            return f"{child.name} still ran {GRACE + 5:g} s after SIGTERM, and was killed."
        return None


def get(address: Address, path: str, within: float = 5.0) -> Any:
    """The JSON answer to a GET; None when there is none, or it is not a 200."""
    try:
        status, body = _request(address, "GET", path, None, within)
        return json.loads(body) if status == http.client.OK else None
    except (OSError, ValueError):
        return None


def put(address: Address, path: str, body: Any, within: float = 30.0) -> int:
    """The status of the answer to a PUT of JSON. Raises `OSError` when there is none."""
    return _request(address, "PUT", path, body, within)[0]


def session(address: Address, path: str, within: float = 30.0) -> str:
    """The file id of the notebook at a path, as collaboration knows it. Raises `OSError`."""
    asked = {"format": "json", "type": "notebook"}
    status, body = _request(address, "PUT", Session.path(path), asked, within)
    if status not in (http.client.OK, http.client.CREATED):
        raise OSError(f"{address.url} answered with status {status} to a session request")
    return Session.of(json.loads(body)).file_id


def _request(
    address: Address, method: str, path: str, body: Any, within: float
) -> tuple[int, bytes]:
    parts = urlsplit(address.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=within)
    try:
        headers = {"Authorization": f"token {address.token}"}
        sent = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            sent = json.dumps(body)
        connection.request(method, f"{parts.path}{path}", sent, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer from {parts.netloc}") from error
    finally:
        connection.close()


def _runs(child: Child) -> bool:
    """Whether it does now: to mypy an attribute stays what it was."""
    return child.running


def _is_root() -> bool:
    return getattr(os, "geteuid", lambda: 1)() == 0


def _environment(directory: Path) -> dict[str, str]:
    """This process's, without any other Jupyter configuration than the server's own, and without
    what would have it ask another bucket."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "JPYNB_", "AWS_"))
    }
    no_proxy = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,127.0.0.2,localhost")
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    own = {name: str(directory / place) for name, place in places.items()}
    return kept | no_proxy | own


def _write_config(
    directory: Path, address: Address, root: Path, settings: Mapping[str, Mapping[str, Any]]
) -> None:
    server = {
        "ip": urlsplit(address.url).hostname,
        "port": urlsplit(address.url).port,
        "port_retries": 0,
        "open_browser": False,
        "root_dir": str(root),
        **settings.get("ServerApp", {}),
    }
    directory.mkdir(parents=True)
    file = directory / "jupyter_server_config.json"
    file.write_text(json.dumps({**settings, "ServerApp": server}, indent=1), encoding="utf-8")
