"""The server extension. Everything that imports jupyter_server is in this package."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .extension import BookstoreExtension

    return [{"module": "bookstore_y.jupyter", "app": BookstoreExtension}]
