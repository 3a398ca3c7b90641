"""Placing files: writing archived files where the server has none.

What is there is never overwritten. Where jupyter_server's own contents manager keeps plain files,
they are made exclusively and get the times of their versions; any other contents manager is asked
to save them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.filemanager import FileContentsManager
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from ..archive.file_content import FileBody
from ..errors import BookstoreError
from ..tools.directory import Directory, Refused
from ..tools.pulling import time_of
from .save_origin import saving_from_archive
from .server_files import ServerFiles, UnusableContent, is_notebook

_OURS = ("jupyter_server.", "bookstore_y.")

_METHODS = ("get", "save", "_read_file", "_save_file", "_save_notebook", "_get_os_path")
"""Where a contents manager keeps the rest as jupyter_server has it, its files are plain ones."""


BesideRoom = Callable[[str], AbstractAsyncContextManager[None]]


def _alone(path: str) -> AbstractAsyncContextManager[None]:
    return nullcontext()


class NotPlaced(BookstoreError):
    """A file of the archive cannot be written to this server's disk."""


class Placer:
    """Writes files of the archive where the server has none."""

    def __init__(
        self, serverapp: ServerApp, files: ServerFiles, beside_room: BesideRoom = _alone
    ) -> None:
        """`beside_room` is held while a file is written, so that a room that has the file open
        takes no notice."""
        self._serverapp = serverapp
        self._beside_room = beside_room
        self._files = files

    @property
    def root(self) -> Path | None:
        """The directory that the files are plain files of; None if they are none."""
        contents = self._contents
        return Path(contents.root_dir) if writes_plain_files(contents) else None

    def check(self, path: str) -> None:
        """Raise `InvalidPath` unless this server's users may have a file at `path`."""
        self._files.check_target(path)

    async def is_free(self, path: str) -> bool:
        """Whether there is neither a file nor a directory at `path`."""
        return not await ensure_async(self._contents.exists(path))

    async def place(self, path: str, file: FileBody) -> bool:
        """Write a file; False if there is something at `path` by now.

        Raises `InvalidPath` and `NotPlaced`.
        """
        self.check(path)
        async with self._beside_room(path):
            if not await self.is_free(path):
                return False
            root = self.root
            if root is None:
                await self._save(path, file.body)
                return True
            try:
                if not await self._write(root, path, file.body, time_of(file.version)):
                    return False
            except BookstoreError as error:
                told = f"{path} is in the archive but not on this disk. {error}"
                raise NotPlaced(told) from error
            self._contents.emit(data={"action": "save", "path": path})
            return True

    async def place_for_now(self, path: str, body: bytes, time_ns: int) -> bool:
        """Write a plain file that `remove` may take away again, of which nobody is told; False if
        there is something at `path`, or files are no plain ones here.

        Raises `InvalidPath` and `NotPlaced`.
        """
        self.check(path)
        root = self.root
        if root is None or not await self.is_free(path):
            return False
        try:
            return await self._write(root, path, body, time_ns)
        except BookstoreError as error:
            raise NotPlaced(f"{path} cannot be written to this disk. {error}") from error

    async def remove(self, path: str, time_ns: int, size: int) -> bool:
        """Remove what `place_for_now` has written; False if it was changed since, or is gone."""
        root = self.root
        if root is None or not Directory(root).holds(path, time_ns, size):
            return False
        await asyncio.to_thread((root / path).unlink, missing_ok=True)
        return True

    async def _write(self, root: Path, path: str, body: bytes, time_ns: int) -> bool:
        directory = Directory(root)
        try:
            await asyncio.to_thread(directory.write, path, body, time_ns, overwrite=False)
        except Refused:
            if not await self.is_free(path):
                return False
            raise
        return True

    async def make_directory(self, path: str) -> None:
        """Make a directory with those above it, if it is not there. Raises `InvalidPath` and
        `NotPlaced`."""
        self.check(path)
        try:
            await self._files.make_folder(path)
        except (HTTPError, OSError) as error:
            told = getattr(error, "log_message", None) or str(error)
            raise NotPlaced(
                f"The directory {path} is in the archive but can't be created here ({told})."
            ) from error

    @property
    def _contents(self) -> Any:
        return self._serverapp.contents_manager

    async def _save(self, path: str, body: bytes) -> None:
        """Have the contents manager save a file: its bytes, or what it takes in their place."""
        refusal: Exception | None = None
        with saving_from_archive():
            for content in _forms(path, body):
                try:
                    await self._files.write(path, content)
                except (HTTPError, UnusableContent) as error:
                    refusal = refusal or error
                else:
                    return
        told = getattr(refusal, "log_message", None) or str(refusal)
        raise NotPlaced(
            f"{path} is in the archive, but the contents manager rejects it ({told})."
        ) from refusal


def writes_plain_files(manager: Any) -> bool:
    """Whether a contents manager keeps the bytes of a file as they are, in a file of its own."""
    kept = all(
        getattr(getattr(type(manager), name, None), "__module__", "").startswith(_OURS)
        for name in _METHODS
    )
    return isinstance(manager, FileContentsManager) and kept


def _forms(path: str, body: bytes) -> list[Any]:
    """What a contents manager may take: bytes as they are, a notebook, a text."""
    found: list[Any] = [body]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return found
    if is_notebook(path):
        try:
            notebook = json.loads(text)
        except (RecursionError, ValueError):
            notebook = None
        if isinstance(notebook, dict):
            return [*found, notebook]
    return [*found, text]
