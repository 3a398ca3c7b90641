"""The server's files, as its contents manager keeps them."""

from __future__ import annotations

import base64
import copy
import errno
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from .. import keys
from ..errors import BookstoreError, InvalidPath

MAX_NAME_BYTES = 255
"""The longest file name that common file systems keep (POSIX's NAME_MAX on Linux and macOS)."""

NOTEBOOK_SUFFIXES = (".ipynb", ".jpynb")

_BAD_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR)

_BAD_CONTENT = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What nbformat stumbles with over a notebook that is none."""

Model = dict[str, Any]
"""A model of the contents API."""


class UnusableContent(BookstoreError):
    """What should be written as a file cannot be the content of that file."""


class ServerFiles:
    """The files of one server. Methods raise the contents manager's own `HTTPError`s, too."""

    def __init__(self, serverapp: ServerApp) -> None:
        self._serverapp = serverapp

    @property
    def _contents(self) -> Any:
        return self._serverapp.contents_manager

    async def exists(self, path: str) -> bool:
        """Whether there is a file at `path`."""
        return bool(await ensure_async(self._contents.file_exists(path)))

    async def read(self, path: str, type: str, format: str | None = None) -> Model:
        """The file at `path` with its content; `type` is `notebook` or `file`, and `format` is as
        in a model. None takes what the file is."""
        model: Model = await ensure_async(
            self._contents.get(path, type=type, content=True, format=format)
        )
        return model

    async def about(self, path: str) -> Model:
        """The file at `path`, without its content."""
        model: Model = await ensure_async(self._contents.get(path, content=False))
        return model

    async def body(self, path: str, type: str) -> Any:
        """What `write` would take for the file as it is. A notebook that cannot be read as one
        is a text, or bytes."""
        try:
            model = await self.read(path, type)
        except HTTPError:
            if type != "notebook":
                raise
            model = await self.read(path, "file")
        body = model["content"]
        return base64.b64decode(body) if model["format"] == "base64" else body

    async def write(self, path: str, body: Any) -> Model:
        """Write a file, with the folders it needs; returns its model without the content.

        A dict is a notebook, which nobody trusts as yet, a str a text, bytes are bytes. Raises
        `UnusableContent`.
        """
        model = _model(path, body)
        await self.make_folder(path.rpartition("/")[0])
        try:
            saved: Model = await ensure_async(self._contents.save(model, path))
        except HTTPError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _BAD_NAMES:
                raise InvalidPath(
                    f"The file system rejects the file name {path!r} ({cause.strerror}); choose "
                    "another."
                ) from error
            if isinstance(cause, _BAD_CONTENT):
                raise UnusableContent(
                    f"The contents manager can't write {path}, because its content is not a "
                    "notebook."
                ) from error
            raise
        return saved

    async def make_folder(self, path: str) -> None:
        """Make a folder with those above it, as far as they are not there."""
        segments = path.split("/") if path else []
        for depth in range(1, len(segments) + 1):
            folder = "/".join(segments[:depth])
            if not await self.is_folder(folder):
                try:
                    await ensure_async(self._contents.save({"type": "directory"}, folder))
                except (HTTPError, FileExistsError):
                    if not await self.is_folder(folder):  # else another made it meanwhile
                        raise

    def check_target(self, path: str) -> None:
        """Raise `InvalidPath` unless this server's users may write a file at `path`."""
        keys.check_path(path)
        for segment in path.split("/"):
            if len(segment.encode()) > MAX_NAME_BYTES:
                raise InvalidPath(
                    f"The name {segment[:40]!r}… has more than {MAX_NAME_BYTES} bytes; shorten it."
                )
            if segment.startswith(".") and not getattr(self._contents, "allow_hidden", False):
                raise InvalidPath(
                    f"The path {path!r} is hidden, and this server's contents manager doesn't "
                    "allow hidden files (allow_hidden); choose another target path."
                )

    async def free_path(self, path: str) -> str:
        """`path`, or the first of `name-1`, `name-2`, … that is not taken."""
        folder, _, name = path.rpartition("/")
        free = await ensure_async(self._contents.increment_filename(name, folder, insert="-"))
        return f"{folder}/{free}" if folder else free

    async def is_folder(self, path: str) -> bool:
        """Whether there is a directory at `path`."""
        return bool(await ensure_async(self._contents.dir_exists(path)))


def is_notebook(path: str) -> bool:
    """Whether a file of this name is a notebook to Jupyter."""
    return path.endswith(NOTEBOOK_SUFFIXES)


def model_type(path: str) -> str:
    """What the contents API calls a file of this name: `notebook` or `file`."""
    return "notebook" if is_notebook(path) else "file"


def untrusted(notebook: Any) -> dict[str, Any]:
    """A notebook without the marks by which its outputs are trusted to run scripts.

    Saving a notebook whose cells all bear the mark makes the contents manager sign it. Raises
    `UnusableContent` for what has not the shape of a notebook.
    """
    plain: dict[str, Any] = copy.deepcopy(notebook)
    # Until nbformat 4 the cells were in worksheets.
    for holder in [plain, *_listed(plain, "worksheets")]:
        for cell in _listed(holder, "cells"):
            metadata = cell.get("metadata", {})
            if not isinstance(metadata, dict):
                raise UnusableContent("A cell's metadata is not a JSON object.")
            metadata.pop("trusted", None)
    return plain


def _listed(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UnusableContent(f"The notebook's {name} are not a list of JSON objects.")
    return found


def _model(path: str, body: Any) -> Model:
    if isinstance(body, dict):
        try:
            return {"type": "notebook", "format": "json", "content": untrusted(body)}
        except RecursionError:
            raise UnusableContent(f"The content of {path} is nested too deeply.") from None
    if isinstance(body, bytes):
        encoded = base64.b64encode(body).decode()
        return {"type": "file", "format": "base64", "content": encoded}
    return {"type": "file", "format": "text", "content": body}
