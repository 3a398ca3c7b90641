"""Contents managers and hooks that the tests' servers are configured with, by their names."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.services.contents.largefilemanager import LargeFileManager

from bookstore_y import BookstoreContentsMixin


class Blocking(BookstoreContentsMixin, LargeFileManager):
    """A synchronous one."""


class InWorkerThreads(BookstoreContentsMixin, LargeFileManager):
    """A synchronous one whose files are saved in worker threads."""

    def save(self, model: dict[str, Any], path: str = "") -> Any:
        """Save a file."""
        return asyncio.to_thread(super().save, model, path)

    def emit(self, data: dict[str, Any]) -> None:
        """Event loggers are not for worker threads."""
        if threading.current_thread() is threading.main_thread():
            super().emit(data)  # type: ignore[no-untyped-call]


class Ada(IdentityProvider):
    """Everybody who has the token is Ada."""

    def generate_anonymous_user(self, handler: Any) -> User:
        return User("ada", "Ada Lovelace", "Ada")


def without_outputs(model: dict[str, Any], **_: Any) -> None:
    """A pre-save hook that removes outputs."""
    if model["type"] == "notebook":
        for cell in model["content"]["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = []
