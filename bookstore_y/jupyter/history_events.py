"""Jupyter events that tell all open windows what somebody did with a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp

from ..archive.version import Version
from .requester import name_of_requester

HISTORY_EVENTS = "https://schema.jupyter.org/bookstore_y/history/v1"
HISTORY_SCHEMA = Path(__file__).with_name("history.v1.yaml")


class HistoryEvents:
    """The Jupyter events of the schema `HISTORY_EVENTS`."""

    def __init__(self, serverapp: ServerApp) -> None:
        logger: Any = serverapp.event_logger
        logger.register_event_schema(HISTORY_SCHEMA)
        self._logger = logger

    def restored(self, path: str, old: Version, made: Version, present: set[str]) -> None:
        """The document at `path` says again what `old` says; that is the version `made`.

        `present` are the names of those who have it open.
        """
        self._emit("restored", path, made, present, restored=old.to_dict())

    def labelled(self, path: str, version: Version) -> None:
        """The version has another label, or none any more."""
        self._emit("labelled", path, version, set(), restored=None)

    def _emit(
        self, action: str, path: str, version: Version, present: set[str], **more: Any
    ) -> None:
        data = {
            "action": action,
            "path": path,
            "by": name_of_requester(present),
            "version": version.to_dict(),
        }
        self._logger.emit(schema_id=HISTORY_EVENTS, data={**data, **more})
