"""Notices to people about their documents, in the panel and as Jupyter events."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp

SCHEMA_ID = "https://schema.jupyter.org/bookstore_y/notice/v1"
SCHEMA = Path(__file__).with_name("notice.v1.yaml")

KEPT = 20
"""Notices that are told to whoever asks for the state."""


class Notices:
    """The notices of one server, the newest last."""

    def __init__(self, serverapp: ServerApp) -> None:
        self._serverapp: Any = serverapp
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, path: str, kind: str, version_id: str, message: str) -> None:
        """Tell of a version that somebody should know of. `kind` is `late edits`."""
        notice = {
            "path": path,
            "kind": kind,
            "version_id": version_id,
            "message": message,
            "at": time.time(),
        }
        self._kept.append(notice)
        self._serverapp.event_logger.emit(schema_id=SCHEMA_ID, data=notice)

    def recent(self, path: str | None = None) -> list[dict[str, Any]]:
        """Those of one file, or of all; JSON types only."""
        return [dict(each) for each in self._kept if path in (None, each["path"])]
