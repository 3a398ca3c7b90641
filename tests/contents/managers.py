"""Contents managers and hooks that the tests' servers are configured with, by their names."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from nbformat import v4

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


class Scripts(LargeFileManager):
    """One that keeps a notebook under the name of a script as a script, as jupytext does."""

    def save(self, model: dict[str, Any], path: str = "") -> Any:
        """Save a file."""
        if model["type"] == "notebook" and path.endswith(".py"):
            cells = [f"# %%\n{cell['source']}" for cell in model["content"]["cells"]]
            model = {"type": "file", "format": "text", "content": "\n".join(cells)}
        manager: Any = super()
        return manager.save(model, path)

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,
        format: str | None = None,
        require_hash: bool = False,
    ) -> Any:
        """A file's model."""
        manager: Any = super()
        model = manager.get(path, content, type, format, require_hash)
        if path.endswith(".py") and type in (None, "notebook"):
            model |= {"type": "notebook", "format": "json", "mimetype": None}
            if content:
                sources = model["content"].split("# %%\n")[1:]
                cells = [v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
                model["content"] = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
        return model


class ArchivingScripts(BookstoreContentsMixin, Scripts):
    """The same with archiving in front."""


class Silent(LargeFileManager):
    """One that emits no events."""

    def emit(self, data: dict[str, Any]) -> None:
        """Tells nobody."""


class TakesNothing(AsyncLargeFileManager):
    """Its disk refuses a file for the reason that the file's name tells."""

    _REASONS: ClassVar = {
        "full.txt": errno.ENOSPC,
        "quota.txt": errno.EDQUOT,
        "read-only.txt": errno.EROFS,
    }

    async def _save_file(self, os_path: str, content: Any, format: Any) -> None:
        number = self._REASONS.get(Path(os_path).name)
        if number is not None:
            raise OSError(number, os.strerror(number), os_path)
        await super()._save_file(os_path, content, format)  # type: ignore[no-untyped-call]
