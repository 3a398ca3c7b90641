"""The server extension, and the contents managers and checkpoints for Jupyter servers."""

from __future__ import annotations

from typing import Any

from ..secret import hide


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_server.serverapp import ServerApp

    from .extension import BookstoreExtension

    # Before any extension is linked, since each of them has the configuration logged.
    if ServerApp.initialized():
        hide(ServerApp.instance().config)

    return [{"module": "bookstore_y.jupyter", "app": BookstoreExtension}]
