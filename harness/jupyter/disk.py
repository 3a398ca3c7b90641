"""Disk: one machine's file tree. Making another one is losing the first."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Disk:
    """Everything a Jupyter server keeps between two starts, below one directory.

    Settings, data, the file id database, the RTC store's database, temporary files and the
    notebooks themselves are all in it, so a server on a new `Disk` remembers nothing.
    """

    path: Path

    @property
    def root(self) -> Path:
        """The directory whose files the server serves."""
        return self._directory("root")

    @property
    def data(self) -> Path:
        """A directory for what must survive a restart, such as a buffer's database."""
        return self._directory("data")

    def file(self, path: str) -> Path:
        """The file behind the Jupyter path `path`."""
        return self.root / path

    def place(self, path: str, content: dict[str, Any]) -> Path:
        """Write `content` as JSON to the Jupyter path `path`, making its directories."""
        target = self.file(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return target

    def environment(self) -> dict[str, str]:
        """Environment of a server on this disk: nothing but it, `PATH` and the repository."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(_REPOSITORY),
            "PYTHONSAFEPATH": "1",
            "PYTHONFAULTHANDLER": "1",
            "HOME": str(self._directory("home")),
            "TMPDIR": str(self._directory("tmp")),
            "JUPYTER_CONFIG_DIR": str(self._directory("config")),
            "JUPYTER_DATA_DIR": str(self._directory("jupyter-data")),
            "JUPYTER_RUNTIME_DIR": str(self._directory("runtime")),
        }

    def write_config(self, config: dict[str, Any]) -> None:
        """Write `config` to the `jupyter_server_config.json` that a server here reads."""
        target = self._directory("config") / "jupyter_server_config.json"
        target.write_text(json.dumps(config, indent=2), encoding="utf-8")

    def new_log(self) -> Path:
        """Path of a log file that does not exist yet."""
        logs = self._directory("logs")
        return logs / f"server-{len(list(logs.iterdir())) + 1}.log"

    def _directory(self, name: str) -> Path:
        directory = self.path / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory
