"""S3Checkpoints: Jupyter's checkpoints are the versions of the saved file."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from datetime import datetime, timezone
from typing import Any, TypeVar

import nbformat
from jupyter_server.services.contents.checkpoints import (
    AsyncCheckpoints,
    GenericCheckpointsMixin,
)
from jupyter_server.services.contents.manager import AsyncContentsManager
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError
from traitlets import Int

from .. import keys
from ..archive.archive import Archive
from ..archive.file_content import FileContent
from ..errors import BookstoreError, InvalidPath
from ..settings import BookstoreSettings
from .background_loop import background
from .checkpoint_list import (
    Checkpoint,
    checkpoint_of,
    current_save,
    find_save,
    read_save,
    saved_versions,
    version_id_of,
)
from .contents import (
    BookstoreContentsMixin,
    bytes_of,
    is_transformed,
    mimetype_of,
)
from .http_errors import http_error
from .requester import requesting_authors
from .restoring import restore
from .save_origin import saving_as
from .server_files import Model, is_notebook, untrusted
from .services import Services

T = TypeVar("T")


STAND_IN = "bucket-is-away"
"""The id of what is listed when nothing is known of a file's checkpoints."""


class S3Checkpoints(GenericCheckpointsMixin, AsyncCheckpoints):
    """Keeps checkpoints in the bucket of BookstoreSettings, for any contents manager.

    ```py
    c.ContentsManager.checkpoints_class = "bookstore_y.S3Checkpoints"
    ```

    A checkpoint is a version of the saved file, so what is archived on saving is one as well.
    With an asynchronous contents manager the methods give something to await; with a
    synchronous one they block. They raise `HTTPError`: 404 for a checkpoint that is not there,
    400 for a path that cannot be a key, and 403 or 503 when the bucket cannot be used. Listing
    raises nothing, since files could not be opened then: it gives what was listed last, or one
    stand-in, `STAND_IN`.

    The mixin is how nbdime knows that it can ask for what a checkpoint holds (its
    nb_server_extension.py): its clock in a notebook's toolbar compares with the oldest listed one.
    """

    max_checkpoints = Int(
        50, min=1, help="Number of checkpoints that are listed at most: the newest."
    ).tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = BookstoreSettings(parent=self)
        self._blocking = self.parent is not None and not _is_async(self.parent)
        self._listed: dict[str, list[Checkpoint]] = {}
        self._first: dict[str, Future[None]] = {}
        self._failing = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- Jupyter's checkpoints API -------------------------------------------------------------

    def create_checkpoint(self, contents_mgr: Any, path: str) -> Any:
        """Have the file as it is now as a version, and return that as a checkpoint. If it is
        what the newest version says, that one is the checkpoint."""
        return self._done(self._create(contents_mgr, path.strip("/")))

    def list_checkpoints(self, path: str) -> Any:
        """The newest `max_checkpoints`, the oldest of them first, as JupyterLab expects it."""
        path = path.strip("/")
        caller = inspect.currentframe()
        caller = caller and caller.f_back
        if caller is not None and caller.f_code.co_name == "save":
            # jupyter_server's contents managers ask whether the notebook that they are saving
            # has one, and create one if not (its filemanager.py).
            return self._done(self._list_in_save(path))
        return self._done(self._list(path))

    def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> Any:
        """Save the content of a checkpoint over the file, or put it into its live room."""
        return self._done(self._restore(contents_mgr, checkpoint_id, path.strip("/")))

    def get_notebook_checkpoint(self, checkpoint_id: str | Checkpoint, path: str) -> Any:
        """The contents model of a notebook as a checkpoint has it, trusted by nobody. Takes a
        listed checkpoint, too, which is what nbdime gives."""
        return self._done(self._get(checkpoint_id, path.strip("/"), "notebook"))

    def get_file_checkpoint(self, checkpoint_id: str | Checkpoint, path: str) -> Any:
        """The contents model of any other file as a checkpoint has it."""
        return self._done(self._get(checkpoint_id, path.strip("/"), "file"))

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Remove a version from the bucket for good."""
        return self._done(self._delete(checkpoint_id, path.strip("/")))

    def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> Any:
        """Follow the rename of the file, since its versions go with it."""
        return self.rename_all_checkpoints(old_path, new_path)

    def rename_all_checkpoints(self, old_path: str, new_path: str) -> Any:
        """Follow the rename of a file or directory."""
        source, target = old_path.strip("/"), new_path.strip("/")

        async def rename(archive: Archive) -> None:
            for path in await archive.files_under(source):
                await archive.renaming.rename_file(path, target + path[len(source) :])

        return self._done(self._follow(f"the rename of {source} to {target}", rename))

    def delete_all_checkpoints(self, path: str) -> Any:
        """Follow the deletion of a file or directory, with delete markers: it can be undone."""
        source = path.strip("/")

        async def delete(archive: Archive) -> None:
            for path in await archive.files_under(source):
                await archive.delete_file(path)

        return self._done(self._follow(f"the deletion of {source}", delete))

    # -- two ways of calling -------------------------------------------------------------------

    def _done(self, work: Coroutine[Any, Any, T]) -> Any:
        """What `work` gives, or something to await that gives it.

        A synchronous contents manager has nothing to await, so with it the work never pauses.
        """
        if not self._blocking:
            return work
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        work.close()
        raise RuntimeError("A synchronous contents manager gave something to await.")

    async def _ask(self, question: Callable[[Archive], Awaitable[T]]) -> T:
        """Have the bucket asked, in the background. Raises `HTTPError`."""

        async def answer() -> T:
            return await question(await background().archive(self._settings))

        coming = background().start(answer())
        try:
            return coming.result() if self._blocking else await asyncio.wrap_future(coming)
        except BookstoreError as error:
            raise http_error(error) from error

    # -- the server ----------------------------------------------------------------------------

    def _extension(self) -> Services | None:
        """The server extension, if it runs in this server."""
        server = getattr(self.parent, "parent", None)
        app = getattr(server, "web_app", None)
        services: Services | None = app and app.settings.get("bookstore_extension")
        return services if services is not None and services.is_archiving else None

    async def _caught_up(self, path: str) -> str:
        """The path at which the bucket has the file: where it has not followed a rename, and
        cannot be waited for, the former. Empty if what it has is of another, deleted one."""
        extension = self._extension()
        if extension is None:
            return path
        moves = extension.path_changes
        if not self._blocking:
            try:
                await moves.follow(path)
            except BookstoreError as error:
                raise http_error(error) from error
        return moves.former(path) or ""  # what was set aside is not followed

    # -- listing -------------------------------------------------------------------------------

    async def _list(self, path: str) -> list[Checkpoint]:
        extension = self._extension()
        checkpointer = extension.checkpointer if extension is not None else None
        if checkpointer is not None and checkpointer.health.error is not None:
            return self._listed_without(path)
        try:
            there = await self._caught_up(path)
            asked = self._ask(lambda archive: self._newest(archive, there)) if there else None
            self._listed[path] = await asked if asked is not None else []
        except HTTPError as error:
            self._tell("The checkpoints of %s cannot be listed: %s", path, error)
            return self._listed_without(path)
        return self._listed[path]

    def _listed_without(self, path: str) -> list[Checkpoint]:
        """What is listed when the bucket cannot be asked: what is remembered, or a stand-in.

        JupyterLab lists a file's checkpoints when it opens it, creates one if there is none, and
        does not open the file if any of that fails.
        """
        stand_in = {"id": STAND_IN, "last_modified": datetime.now(timezone.utc)}
        return self._listed.get(path) or [stand_in]

    def _tell(self, message: str, path: str, error: Exception) -> None:
        """Log what keeps coming once."""
        if str(error) != self._failing:
            self._failing = str(error)
            self.log.warning(message, path, error)

    async def _newest(self, archive: Archive, path: str) -> list[Checkpoint]:
        await self._first_done(path)
        versions = await saved_versions(archive, path, self.max_checkpoints)
        return [checkpoint_of(version) for version in reversed(versions)]

    async def _list_in_save(self, path: str) -> list[Checkpoint]:
        """A notebook was just saved, and is to have one checkpoint at least: if it has none, it
        gets it in the background. Saving waits for nothing, and never fails for S3's sake."""
        known = self._listed.get(path)
        manager: Any = self.parent
        archiving = isinstance(manager, BookstoreContentsMixin) and manager.archiver is not None
        making = path in self._first and not self._first[path].done()
        if not known and not archiving and not making and _is_key(path):
            model = await _read_file(manager, path)
            self._first[path] = background().start(self._make_first(path, dict(model)))
        return known or self._listed_without(path)

    async def _make_first(self, path: str, model: Model) -> None:
        try:
            archive = await background().archive(self._settings)
            known = await saved_versions(archive, path, 1)
            if not known:
                body = await asyncio.to_thread(bytes_of, model)
                await archive.save_file(
                    path, body, origin="checkpoint", content_type=mimetype_of(path, model)
                )
                known = [await current_save(archive, path)]
            self._listed[path] = [checkpoint_of(version) for version in known]
            self._failing = ""
        except BookstoreError as error:  # the next save tries again
            self._tell("%s has no first checkpoint yet: %s", path, error)

    async def _first_done(self, path: str) -> None:
        coming = self._first.get(path)
        if coming is not None:
            await asyncio.gather(asyncio.wrap_future(coming), return_exceptions=True)

    # -- creating, restoring, deleting ---------------------------------------------------------

    async def _create(self, contents_mgr: Any, path: str) -> Checkpoint:
        there = await self._caught_up(path) or path
        await self._settle(path)  # the save before it is the same version
        model = await _read_file(contents_mgr, path)
        if model["type"] == "directory":
            raise HTTPError(400, f"{path} is a directory, and only files have checkpoints.")
        authors, mimetype = requesting_authors(), mimetype_of(path, model)

        async def create(archive: Archive) -> Checkpoint:
            await self._first_done(there)
            body = await asyncio.to_thread(bytes_of, model)
            version = await archive.save_file(
                there, body, authors=authors, origin="checkpoint", content_type=mimetype
            )
            return checkpoint_of(version or await current_save(archive, there))

        return await self._ask(create)

    async def _get(self, checkpoint: str | Checkpoint, path: str, kind: str) -> Model:
        there = await self._caught_up(path) or path
        checkpoint_id = checkpoint if isinstance(checkpoint, str) else checkpoint["id"]
        version_id = version_id_of(checkpoint_id)
        return _model(kind, await self._ask(lambda a: read_save(a, there, version_id)))

    async def _restore(self, contents_mgr: Any, checkpoint_id: str, path: str) -> None:
        there = await self._caught_up(path) or path
        version_id = version_id_of(checkpoint_id)
        await self._settle(path)  # what is replaced stays a version
        old = await self._ask(lambda archive: read_save(archive, there, version_id))
        extension = self._extension()
        if extension is not None and await self._has_document(extension, there):
            restoring = restore(extension, path, version_id)
            if self._blocking:
                self._later(restoring, path)
                return
            try:
                await restoring
            except BookstoreError as error:
                raise http_error(error) from error
            return
        if await ensure_async(contents_mgr.file_exists(path)):
            kind = (await ensure_async(contents_mgr.get(path, content=False)))["type"]
        else:
            kind = "notebook" if is_notebook(path) else "file"
        if not is_notebook(path) and old.format != "json":
            kind = "file"  # what is in it, whatever its manager makes of that
        with saving_as(f"restore:{version_id}"):
            await ensure_async(contents_mgr.save(_model(kind, old), path))

    async def _settle(self, path: str) -> None:
        """Have the newest save as a version, where saves are archived."""
        extension = self._extension()
        if extension is not None and extension.saves is not None and not self._blocking:
            try:
                await extension.saves.settle(path)
            except BookstoreError as error:
                raise http_error(error) from error

    async def _has_document(self, extension: Services, path: str) -> bool:
        """Whether the file has a history of edits, which has to go the same way as the file."""
        if await extension.documents.has_room(path):
            return True
        found = await self._ask(lambda archive: archive.snapshots.documents_under(path))
        return any(document.path == path for document in found)

    def _later(self, work: Coroutine[Any, Any, Any], path: str) -> None:
        def finished(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.log.error("%s was not restored: %s", path, task.exception())

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finished)

    async def _delete(self, checkpoint_id: str, path: str) -> None:
        there = await self._caught_up(path) or path
        version_id = version_id_of(checkpoint_id)

        async def delete(archive: Archive) -> None:
            version = await find_save(archive, there, version_id)
            await archive.bucket.delete(version.key, version_id)

        self._listed.pop(path, None)
        await self._ask(delete)

    # -- following -----------------------------------------------------------------------------

    async def _follow(self, what: str, work: Callable[[Archive], Awaitable[None]]) -> None:
        """Have the bucket follow what has happened to files already, so nothing is raised.

        Where the server extension runs it is told of that by itself, and keeps trying.
        """
        self._listed.clear()
        if self._extension() is not None:
            return
        try:
            await self._ask(work)
        except HTTPError as error:
            self.log.error("The bucket has not followed %s: %s", what, error)  # noqa: TRY400


async def _read_file(contents_mgr: Any, path: str) -> Model:
    """The file with its content; a notebook, where that can be had, as it was saved."""
    if is_notebook(path):
        try:
            plain = contents_mgr.get(path, content=True, type="file", format="text")
            return dict(await ensure_async(plain))
        except HTTPError:
            pass  # this contents manager has it as a notebook only, or not at all
    model = dict(await ensure_async(contents_mgr.get(path, content=True)))
    if is_transformed(path, model):
        with contextlib.suppress(HTTPError):
            plain = contents_mgr.get(path, content=True, type="file", format="base64")
            return dict(await ensure_async(plain))
    return model


def _model(kind: str, old: FileContent) -> Model:
    """What is saved over the file. Raises `HTTPError` when it cannot be the content of one."""
    if kind != "notebook":
        if old.format == "json":
            return {"type": "file", "format": "text", "content": old.raw().decode()}
        return {"type": "file", "format": old.format, "content": old.content}
    try:
        notebook = old.content if old.format == "json" else nbformat.reads(old.raw(), as_version=4)  # type: ignore[no-untyped-call]
        return {"type": "notebook", "format": "json", "content": untrusted(notebook)}
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        raise HTTPError(
            422, f"What that checkpoint holds is no notebook, so it stays as it is: {error}"
        ) from error


def _is_async(contents_mgr: Any) -> bool:
    return isinstance(contents_mgr, AsyncContentsManager) or inspect.iscoroutinefunction(
        contents_mgr.get
    )


def _is_key(path: str) -> bool:
    try:
        keys.check_path(path)
    except InvalidPath:
        return False
    return True
