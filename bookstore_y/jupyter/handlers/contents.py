"""Requests for files, which also find files that the disk has lost.

The handlers that serve files are those of jupyter_server and of other extensions. Each is
replaced by a subclass of its own, at its place in the routing table, so that all else about it
stays, whatever contents manager it asks.
"""

from __future__ import annotations

import json
import mimetypes
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, cast

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.contents.handlers import (
    CheckpointsHandler,
    ContentsHandler,
    ModifyCheckpointsHandler,
    TrustNotebooksHandler,
)
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.routing import Rule

from ...errors import BookstoreError
from ..absent_files import Children
from ..bringing_back import Found
from ..http_errors import http_error
from ..server_files import model_type
from ..taken_names import reserve
from ..workspace_on_disk import WorkspaceOnDisk
from .base import services_of

_PAGES = r"(?:files|view|nbconvert|tree|edit|notebooks)\b"
"""Beginnings of other addresses that name a file: jupyter_server's, and Jupyter Notebook's."""

_COPY = re.compile(r"-Copy\d*")

_ACTIONS = {"GET": "read", "HEAD": "read"}
"""What a method does, for the authorizer; the others write."""


class _OfWorkspace(JupyterHandler):
    """Base of the subclasses: a request that names a file finds it on the disk."""

    @property
    def _workspace(self) -> WorkspaceOnDisk:
        return services_of(self).workspace

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Bring back first what the request is about."""
        coming: Any = super().prepare(*args, **kwargs)
        if coming is not None:
            await coming
        if not self._finished and await self._may():
            try:
                await self._bring_back()
            except BookstoreError as error:
                raise http_error(error) from error

    async def _may(self) -> bool:
        """Whether the one who asks may do so; if not, the handler itself says it."""
        user: Any = self.current_user
        if not user:
            return False
        action = _ACTIONS.get(self.request.method or "", "write")
        resource = getattr(self, "auth_resource", "contents")
        allowed = self.authorizer.is_authorized(self, user, action, resource)
        return bool(await ensure_async(allowed))

    @property
    def _path(self) -> str:
        named = self.path_kwargs.get("path")
        given = named if named is not None else next(iter(self.path_args), "")
        return str(given or "").strip("/")

    async def _bring_back(self) -> None:
        if self.request.method in ("GET", "HEAD", "POST") and self._path:
            await self._workspace.bring_back(self._path)


class _OfContents(_OfWorkspace, ContentsHandler):
    """`/api/contents/<path>`: the files, as if the disk had all that the archive holds."""

    _held: str | None = None
    """The path at which nothing is brought back until the request is answered."""

    _children = Children({}, frozenset())

    _now = ""
    """What the name of a new file ends with where nobody knows which names are taken."""

    async def _bring_back(self) -> None:
        method = self.request.method
        if method == "GET":
            await self._before_get()
        elif method == "POST":
            await self._before_post()
        elif method == "PUT":
            await self._before_put()
        elif method == "PATCH":
            await self._before_patch()
        elif method == "DELETE":
            await self._before_delete()

    # -- looking -------------------------------------------------------------------------------

    async def _before_get(self) -> None:
        manager: Any = self.contents_manager
        if self._path:
            await self._workspace.bring_back(self._path)
        if await ensure_async(manager.dir_exists(self._path)):
            self._children = await self._workspace.children(self._path)

    def _finish_model(self, model: Any, location: bool = True) -> None:
        if model["type"] == "directory" and model["content"] is not None:
            model["content"] += self._absent_from(model)
        super()._finish_model(model, location)  # type: ignore[no-untyped-call]

    def _absent_from(self, directory: Any) -> list[dict[str, Any]]:
        """Models of what is in the archive alone."""
        manager: Any = self.contents_manager
        here = {model["name"] for model in directory["content"]}
        above = f"{self._path}/" if self._path else ""
        files, directories = self._children
        found = [
            _model(name, above + name, files.get(name))
            for name in sorted({*files, *directories} - here)
            if manager.should_list(name) and (manager.allow_hidden or not name.startswith("."))
        ]
        for model in found:
            if model["last_modified"] is None:  # a directory has none in the archive
                model["last_modified"] = model["created"] = directory["last_modified"]
        return found

    # -- making --------------------------------------------------------------------------------

    async def _before_post(self) -> None:
        asked = self._asked()
        if asked is None:
            return  # the handler says what is wrong with it
        if self._path:
            await self._workspace.bring_back(self._path)
        source = str(asked.get("copy_from") or "").strip("/")
        if source:
            await self._bring_back_whole(source)
            stem = _COPY.sub("", source.rpartition("/")[2])
            stem = stem.partition(".")[0] or stem
        else:
            stem = self._untitled(asked)
        try:
            reserve(await self._workspace.names(self._path, stem))
        except BookstoreError as error:
            if source:
                raise
            # Nobody knows which names are taken, but none is like this one, nor is that of
            # anybody else who asks in the same second.
            self.log.warning("The names in the archive are not known. %s", error)
            now = datetime.now(timezone.utc).strftime("-%Y%m%dT%H%M%SZ")
            self._now = f"{now}-{secrets.token_hex(3)}"

    async def _new_untitled(self, path: Any, type: str = "", ext: str = "") -> None:
        if not self._now:
            await super()._new_untitled(path, type=type, ext=ext)  # type: ignore[no-untyped-call]
            return
        kind = type or ("notebook" if ext == ".ipynb" else "file")
        ext = ".ipynb" if kind == "notebook" else ext
        name = self._untitled({"type": kind, "ext": ext}) + self._now
        target = f"{path.strip('/')}/{name}{'' if kind == 'directory' else ext}".lstrip("/")
        await self._upload({"type": kind}, target)  # type: ignore[no-untyped-call]

    def _untitled(self, asked: dict[str, Any]) -> str:
        """The beginning of the names that the contents manager chooses from."""
        manager: Any = self.contents_manager
        kind = asked.get("type") or ("notebook" if asked.get("ext") == ".ipynb" else "file")
        if kind == "directory":
            return str(manager.untitled_directory)
        return str(manager.untitled_notebook if kind == "notebook" else manager.untitled_file)

    async def _bring_back_whole(self, path: str) -> None:
        manager: Any = self.contents_manager
        await self._workspace.bring_back(path)
        if await ensure_async(manager.dir_exists(path)):
            await self._workspace.bring_back_below(path)

    async def _before_put(self) -> None:
        """What is saved over has to be there first: it is then replaced as any file is."""
        path = self._path
        try:
            if await self._workspace.bring_back(path) is Found.FILE:
                self.log.warning(
                    "Writing %s, although the archive has a file with that name that was not "
                    "on this disk; its content stays in its history.",
                    path,
                )
            elif "/" in path:
                await self._workspace.bring_back(path.rpartition("/")[0])
        except BookstoreError as error:
            # Saving never waits for the archive, which keeps what it has.
            self.log.warning(
                "Writing %s without knowing its content in the archive; that content stays in "
                "its history. %s",
                path,
                error,
            )

    # -- renaming and deleting -----------------------------------------------------------------

    async def _before_patch(self) -> None:
        asked = self._asked()
        target = str((asked or {}).get("path") or "").strip("/")
        if not self._path or not target or target == self._path:
            return
        await self._workspace.bring_back(self._path)
        if "/" in target:
            await self._workspace.bring_back(target.rpartition("/")[0])
        if await self._workspace.holds(target):
            raise web.HTTPError(
                409,
                f"The archive has {target}, which is not on this disk; open it, or choose "
                "another name.",
            )
        await self._hold()

    async def _before_delete(self) -> None:
        path, manager = self._path, cast("Any", self.contents_manager)
        if not path:
            return
        await self._hold()
        is_directory = await ensure_async(manager.dir_exists(path))
        if not is_directory and await ensure_async(manager.file_exists(path)):
            return
        if is_directory or not await self._workspace.holds(path):
            empties = getattr(manager, "delete_to_trash", True) or manager.always_delete_dir
            if is_directory and not empties and await self._workspace.is_absent_below(path):
                raise web.HTTPError(400, f"Directory {path} not empty")
            return
        # Nothing is to be deleted on the disk; the archive, and whoever listens, follows.
        self.log.warning("delete %s", path)
        manager.emit(data={"action": "delete", "path": path})
        self.set_status(204)
        self.finish()

    async def _hold(self) -> None:
        await self._workspace.hold(self._path)
        self._held = self._path

    def on_finish(self) -> None:
        """Let others write there again."""
        held, self._held = self._held, None
        if held is not None:
            self._workspace.release(held)
        super().on_finish()

    def _asked(self) -> dict[str, Any] | None:
        """The body, if it is one that the handler takes."""
        try:
            asked = json.loads(self.request.body) if self.request.body.strip() else {}
        except ValueError:
            return None
        return asked if isinstance(asked, dict) else None


def _model(name: str, path: str, file: Any) -> dict[str, Any]:
    """A model of Jupyter's contents API, without content; of a directory without a file."""
    kind = "directory" if file is None else model_type(name)
    when = None if file is None else file.newest.last_modified
    known = file is not None and not file.newest.is_snapshot
    return {
        "name": name,
        "path": path,
        "type": kind,
        "last_modified": when,
        "created": when,
        "content": None,
        "format": None,
        "mimetype": mimetypes.guess_type(name)[0] if kind == "file" else None,
        "size": file.newest.size if known else None,
        "writable": True,
        "hash": None,
        "hash_algorithm": None,
    }


def serve_workspace(application: web.Application, base_url: str) -> None:
    """Have all handlers of files that an application has by now find what the archive holds."""
    pages = re.compile(re.escape(base_url) + _PAGES)
    for rule in rules(application.default_router):
        target, pattern = rule.target, getattr(rule.matcher, "regex", None)
        if not isinstance(target, type) or issubclass(target, _OfWorkspace):
            continue
        if issubclass(target, ContentsHandler):
            rule.target = _with(_OfContents, target)
        elif issubclass(
            target, (CheckpointsHandler, ModifyCheckpointsHandler, TrustNotebooksHandler)
        ) or (
            issubclass(target, JupyterHandler)
            and pattern is not None
            and pages.match(pattern.pattern)
        ):
            rule.target = _with(_OfWorkspace, target)


def _with(base: type[_OfWorkspace], handler: type[JupyterHandler]) -> type[JupyterHandler]:
    return type(handler.__name__, (base, handler), {"__module__": handler.__module__})


def rules(router: Any) -> Iterator[Rule]:
    """All rules of a router, those of routers in it included."""
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from rules(rule.target)
        else:
            yield rule
