"""JupyterLab with real-time collaboration and all of bookstore_y, configured apart from yours."""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..local.child import Child

GRACE = 30.0
"""Seconds that JupyterLab has to flush to the bucket after a SIGTERM."""

_HOST = "127.0.0.1"
_OTHER_CONFIGURATION = (
    "JUPYTER_CONFIG_PATH",
    "JUPYTER_PATH",
    "JUPYTER_PORT",
    "JUPYTER_TOKEN_FILE",
    "JUPYTERLAB_DIR",
)
_READ_BY_COMMANDS = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")


@dataclass(frozen=True)
class LabAddress:
    """Where one JupyterLab listens, and the token that opens it."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def base_url(self) -> str:
        """Its root, without a trailing slash."""
        return f"http://{_HOST}:{self.port}"

    def page(self, notebook: str | None) -> str:
        """The URL that opens `notebook` (None: the file browser), token included."""
        return f"{self.base_url}{_lab_path(notebook)}?token={self.token}"

    def get(self, path: str, timeout: float = 1.0) -> tuple[int, bytes]:
        """Status and body of a GET of `path`. Raises `OSError` when nothing answers in time."""
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Authorization": f"token {self.token}"})
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer from port {self.port}") from error
        finally:
            connection.close()


class Lab(Child):
    """The JupyterLab process of `address`, with its state and log below `directory`.

    `settings` are traits by class, `{"BookstoreSettings": {"s3_bucket": "notebooks"}}`; they go
    into a file, so secrets belong into `env`.
    """

    def __init__(
        self,
        address: LabAddress,
        directory: Path,
        root: Path,
        notebook: str | None,
        settings: Mapping[str, Mapping[str, Any]],
        env: Mapping[str, str],
        *,
        open_browser: bool,
    ) -> None:
        places = _places(directory / "jupyter")
        self.environment = {name: places[name] for name in _READ_BY_COMMANDS}
        """What has Jupyter's commands read its configuration, and find it running."""
        _write_config(Path(places["JUPYTER_CONFIG_DIR"]), address, root, notebook, settings)
        _write_settings(Path(places["JUPYTERLAB_SETTINGS_DIR"]))
        super().__init__(
            "JupyterLab",
            ["jupyterlab", f"--ServerApp.open_browser={open_browser}", *_as_root()],
            cwd=directory,
            env=_isolated(env) | places | {"JUPYTER_TOKEN": address.token},
            log=directory / "jupyterlab.log",
            grace=GRACE + 5.0,
        )
        self._address = address

    def answers(self) -> bool | None:
        """True once the server serves requests, None while it is starting."""
        try:
            status, _ = self._address.get("/api/status")
        except OSError:
            return None
        return status == 200 or None

    def archive_error(self) -> str | None:
        """Why its archive cannot be written now, or None. Raises `OSError` when it is not said."""
        status, body = self._address.get("/api/bookstore")
        if status != 200:
            raise OSError(f"/api/bookstore answered with status {status}")
        answer = json.loads(body)
        failing = [f"{name}: {why}" for name, why in answer["failing_documents"].items()]
        return answer["error"] or next(iter(failing), None)


def _as_root() -> Sequence[str]:
    return ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []


def _lab_path(notebook: str | None) -> str:
    return "/lab" if notebook is None else f"/lab/tree/{quote(notebook)}"


def _isolated(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in _OTHER_CONFIGURATION}


def _places(state: Path) -> dict[str, str]:
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return {name: str(state / place) for name, place in places.items()}


def _write_config(
    directory: Path,
    address: LabAddress,
    root: Path,
    notebook: str | None,
    settings: Mapping[str, Mapping[str, Any]],
) -> None:
    everything: dict[str, Mapping[str, Any]] = {
        "ServerApp": {
            "ip": _HOST,
            "port": address.port,
            "port_retries": 0,
            "root_dir": str(root),
            "jpserver_extensions": {"bookstore_y.jupyter": True},
            "contents_manager_class": "bookstore_y.BookstoreContentsArchiver",
        },
        "ContentsManager": {"checkpoints_class": "bookstore_y.S3Checkpoints"},
        "LabApp": {"default_url": _lab_path(notebook)},
        "YDocExtension": {"ystore_class": "bookstore_y.S3YStore"},
        **settings,
    }
    lines = [
        f"c.{cls}.{trait} = {value!r}"
        for cls, traits in everything.items()
        for trait, value in traits.items()
    ]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "jupyter_server_config.py").write_text("\n".join(["c = get_config()", *lines, ""]))


def _write_settings(directory: Path) -> None:
    """Keep JupyterLab from asking whether it may fetch news."""
    file = directory / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"fetchNews": "false"}\n')
