"""Authorizers that servers under test are configured with."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth import Authorizer


class NoBookstore(Authorizer):
    """Allows everything but the resource `bookstore`."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "bookstore"


class NoWriting(Authorizer):
    """Allows everything but to write files."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return (action, resource) != ("write", "contents")
