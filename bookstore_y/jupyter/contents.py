"""Contents managers that archive every file they save."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import mimetypes
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets import Float
from traitlets.config import LoggingConfigurable

from ..archive.file_content import notebook_bytes
from ..replication.file_uploads import FileUploads
from ..replication.pending_upload import Save
from .requester import requesting_authors
from .save_origin import is_from_archive, save_origin
from .server_files import Model, is_notebook

_Steps = Generator[Any, Any, None]
"""Work that yields what a contents manager's methods give, and is sent it back, awaited."""

_DONE = object()

LAST_CHUNK = -1
"""The number of an upload's last chunk."""


class Archiver:
    """Where contents managers hand over what they have saved, from any thread."""

    def __init__(self, saves: FileUploads, in_rooms: Callable[[str], Iterable[str]]) -> None:
        """Made in the event loop of `saves`. `in_rooms` gives the names of those who are in a
        file's live rooms."""
        self._saves = saves
        self._in_rooms = in_rooms
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def submit(self, path: str, save: Save) -> None:
        """Take in a save. Raises `RuntimeError` when the server has stopped."""
        if threading.get_ident() == self._thread:
            self._submit(path, save)
        else:
            self._loop.call_soon_threadsafe(self._submit, path, save)

    def _submit(self, path: str, save: Save) -> None:
        if not save.authors:
            authors = tuple(sorted(self._in_rooms(path)))
            save = Save(save.body, authors, save.origin, save.content_type)
        self._saves.submit(path, save)


class BookstoreContentsMixin(LoggingConfigurable):
    """Makes any contents manager, synchronous or not, archive what it saves.

    ```py
    class Manager(BookstoreContentsMixin, SomeContentsManager): ...
    ```

    The server extension of this package does the archiving; saving never waits for it.
    """

    archive_min_interval = Float(
        0.0,
        min=0.0,
        help="Minimum number of seconds between two versions of a saved file. Saves in between "
        "wait, and the last one is archived. This limits the versions that autosave makes.",
    ).tag(config=True)

    archiver: Archiver | None = None
    """Set by the server extension as long as it runs."""

    _told = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        loop = getattr(self.parent, "io_loop", None)
        if isinstance(self.parent, ServerApp) and loop is not None:
            loop.add_callback(self._check_extension)  # runs when the server does

    def _check_extension(self) -> None:
        server: Any = self.parent
        if "bookstore_extension" not in server.web_app.settings:
            self._tell(
                "bookstore_y's server extension is not loaded; enable it with 'jupyter server "
                "extension enable bookstore_y.jupyter' and restart the server."
            )

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            self.log.error("Saved files are not archived: %s", why)

    # -- the contents manager ------------------------------------------------------------------

    def save(self, model: Model, path: str = "") -> Any:
        """Save a file, and have it archived."""
        manager: Any = super()
        # Pre-save hooks change the model in place, so afterwards it says what was saved.
        return self._after(manager.save(model, path), lambda _: self._saved(model, path))

    def copy(self, from_path: str, to_path: str | None = None) -> Any:
        """Copy a file, which saves it, or a directory, whose files are archived."""
        manager: Any = super()
        return self._after(manager.copy(from_path, to_path), self._copied)

    # -- archiving -----------------------------------------------------------------------------

    def _after(self, result: Any, work: Callable[[Any], _Steps]) -> Any:
        """`result` of a method, awaited or to be awaited, once `work` on it has been done."""
        if inspect.isawaitable(result):
            return self._after_awaiting(result, work)
        steps = work(result)
        answer = None
        with self._errors_told():
            while (answer := _step(steps.send, answer)) is not _DONE:
                pass
        return result

    async def _after_awaiting(self, coming: Any, work: Callable[[Any], _Steps]) -> Any:
        result = await coming
        steps = work(result)
        with self._errors_told():
            coming = _step(steps.send, None)
            while coming is not _DONE:
                try:
                    answer = await coming
                except HTTPError as error:
                    coming = _step(steps.throw, error)
                else:
                    coming = _step(steps.send, answer)
        return result

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except HTTPError as error:  # the file is saved, whatever becomes of its archiving
            self.log.error("A saved file cannot be read to archive it: %s", error)  # noqa: TRY400

    def _saved(self, model: Model, path: str) -> _Steps:
        path = path.strip("/")
        kind, chunk = model.get("type"), model.get("chunk")
        if kind not in ("notebook", "file") or chunk not in (None, LAST_CHUNK):
            return
        if chunk is not None or is_transformed(path, model):
            model = yield from self._read(path, model)
        self._hand_over(path, model)

    def _read(self, path: str, model: Model) -> Generator[Any, Any, Model]:
        """What is in a file; `model` if the manager has that as nothing else."""
        manager: Any = self
        try:
            read: Model = yield manager.get(path, content=True, type="file", format="base64")
        except HTTPError:
            if not is_transformed(path, model):
                raise
            return model
        return read

    def _copied(self, model: Model) -> _Steps:
        if model["type"] != "directory":
            return
        manager: Any = self
        todo = [model]
        while todo:
            inside = yield manager.get(todo.pop()["path"], content=True)
            for found in inside["content"]:
                if found["type"] == "directory":
                    todo.append(found)
                    continue
                path, copied = found["path"], (yield manager.get(found["path"], content=True))
                if is_transformed(path, copied):
                    copied = yield from self._read(path, copied)
                self._hand_over(path, copied)

    def _hand_over(self, path: str, model: Model) -> None:
        if is_from_archive():
            return
        if self.archiver is None:
            self._tell("bookstore_y's server extension does not run here.")
            return
        body = partial(bytes_of, dict(model))
        save = Save(body, requesting_authors(), save_origin(), mimetype_of(path, model))
        try:
            self.archiver.submit(path, save)
        except RuntimeError as error:  # from a thread that is still saving
            self.log.error("%s was saved after the server had stopped: %s", path, error)  # noqa: TRY400


class BookstoreContentsArchiver(  # type: ignore[misc] # its bases disagree on resolve_path
    BookstoreContentsMixin, AsyncLargeFileManager
):
    """jupyter_server's own contents manager, archiving what it saves.

    ```py
    c.ServerApp.contents_manager_class = "bookstore_y.BookstoreContentsArchiver"
    ```
    """


def is_transformed(path: str, model: Model) -> bool:
    """Whether a file is no notebook by its name, and is one to its manager: there may be something
    else in it, as jupytext has it."""
    return bool(model.get("type") == "notebook") and not is_notebook(path)


def bytes_of(model: Model) -> bytes:
    """The bytes that a model with content is saved as; a notebook's without its trust."""
    content = model["content"]
    if model["type"] == "notebook":
        return notebook_bytes(content)
    if model.get("format") == "base64":
        return base64.b64decode(content)
    return str(content).encode()


def _step(go_on: Callable[[Any], Any], answer: Any) -> Any:
    try:
        return go_on(answer)
    except StopIteration:
        return _DONE


def mimetype_of(path: str, model: Model) -> str:
    """The content type of a file; a notebook is JSON."""
    if model["type"] == "notebook" or is_notebook(path):
        return "application/json"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"
