"""Probe: a server extension that says how a server under load is doing.

It is on where it is asked for, `jpserver_extensions: {"bookstore_y.stress.probe": true}`, and
answers `GET /api/bookstore-stress` to whoever is logged in: `loop_lag`, the longest that the
event loop was late since it was last asked; `checkpoint_lag`, the age of the oldest update that no
version in the bucket holds (None without bookstore_y's own extension); both in seconds;
`pending_updates`; and `rss`, the resident memory in bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psutil  # type: ignore[import-untyped]
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web

from ..replication.checkpointer import Checkpointer

PATH = "api/bookstore-stress"
_INTERVAL = 0.02


class LoopWatch:
    """How late the running event loop wakes up whoever sleeps."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._woken = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._watch())

    def take(self) -> float:
        """The longest lateness in seconds since the last call."""
        longest, self._longest = self._longest, 0.0
        return longest

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._longest = max(self._longest, loop.time() - due)


class ProbeHandler(APIHandler):
    """GET /api/bookstore-stress."""

    auth_resource = "bookstore-stress"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the figures as JSON."""
        watch: LoopWatch = self.settings["bookstore_stress_watch"]
        extension = self.settings.get("bookstore_extension")
        checkpointer = extension.checkpointer if extension is not None else None
        self.finish(
            {
                "loop_lag": watch.take(),
                "rss": psutil.Process().memory_info().rss,
                **(_archive(checkpointer) if checkpointer is not None else _NO_ARCHIVE),
            }
        )


_NO_ARCHIVE = {"checkpoint_lag": None, "pending_updates": None}


def _archive(checkpointer: Checkpointer) -> dict[str, Any]:
    now = asyncio.get_running_loop().time()
    pending = [entry for entry in checkpointer.entries.values() if entry.pending]
    return {
        "checkpoint_lag": max((now - entry.first_pending for entry in pending), default=0.0),
        "pending_updates": sum(entry.pending for entry in pending),
    }


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "bookstore_y.stress.probe"}]


def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    url = url_path_join(serverapp.web_app.settings["base_url"], PATH)
    routes: Any = serverapp.web_app
    routes.add_handlers(".*$", [(url, ProbeHandler)])


async def _start_jupyter_server_extension(serverapp: ServerApp) -> None:
    serverapp.web_app.settings["bookstore_stress_watch"] = LoopWatch()
