"""The versions of a document: list, read, compare, label and restore."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from posixpath import basename
from typing import Any
from urllib.parse import quote

from tornado.web import HTTPError

from ...archive.diff import diff_of
from ...archive.file_content import FileContent
from ...archive.history import Page
from ...archive.version import Version
from ...errors import DocumentNotFound
from ...keys import Document, check_path
from .. import restoring
from ..current_content import current_content
from ..server_files import model_type
from .arguments import Fields, Query, path_of
from .base import BookstoreHandler, call, require_contents_write

KINDS = ("snapshot", "save", "published")
WORKSPACE = ("snapshot", "save")
"""The kinds that come of working on a document, which are meant where none is named."""


class VersionsHandler(BookstoreHandler):
    """GET /api/bookstore/versions/<path>: a page of a document's versions, newest first."""

    @call
    async def get(self, path: str | None) -> None:
        """Answers `{"versions": […], "next": …}`, `next` being the `after` of the next page."""
        query = Query(self)
        kind = query.text("type")
        name = path_of(path)
        try:
            page = await self.services.archive.history(
                Document(name, kind) if kind else name,
                limit=query.limit(),
                after=query.text("after"),
                kinds=query.choices("kind", KINDS, WORKSPACE),
                since=query.time("since"),
                until=query.time("until"),
                author=query.text("author"),
                labelled=query.flag("labelled"),
                details=query.flag("details"),
            )
        except DocumentNotFound:
            if not await self.services.files.exists(name):
                raise
            page = Page((), None)  # a file that has no version yet
        self.answer(page.to_dict())


class VersionHandler(BookstoreHandler):
    """GET /api/bookstore/version/<path>: one version, chosen by its id or by a moment."""

    @call
    async def get(self, path: str | None) -> None:
        """Answers `{"version": …, "model": …}`, the model being the contents API's; or, as
        `format=raw`, the file itself. Without `version_id` and `at` it is the newest."""
        query = Query(self)
        raw = query.choice("format", ("model", "raw")) == "raw"
        with_content = query.flag("content", default=True)
        version_id, at = query.text("version_id"), query.time("at")
        if version_id is not None and at is not None:
            raise HTTPError(400, "Give only one of version_id and at.")
        name = path_of(path)
        if raw:
            await self._send_file(await self._read(name, version_id, at))
        elif with_content:
            read = await self._read(name, version_id, at)
            self.answer({"version": read.version.to_dict(), "model": read.model()})
        else:
            version = await self._find(name, version_id, at)
            self.answer({"version": version.to_dict(), "model": _bare_model(version)})

    async def _read(self, path: str, version_id: str | None, at: datetime | None) -> FileContent:
        archive = self.services.archive
        if at is not None:
            return await archive.content(await self._find(path, None, at))
        return await archive.read(path, version_id)

    async def _find(self, path: str, version_id: str | None, at: datetime | None) -> Version:
        archive = self.services.archive
        if version_id is None:
            moment = at or datetime.now(timezone.utc)
            version_id = (await archive.version_at(path, moment)).version_id
        return await archive.find(path, version_id)

    async def _send_file(self, read: FileContent) -> None:
        # Whatever it holds, the browser is not to show it as a page of this server's.
        name = basename(read.version.path) or "version"
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, '')}")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        body = await asyncio.to_thread(read.raw)
        self.finish(body, set_content_type="application/octet-stream")


class DiffHandler(BookstoreHandler):
    """GET /api/bookstore/diff/<path>: what changed between two versions, or since one."""

    @call
    async def get(self, path: str | None) -> None:
        """Answers `{"type": …, "base": …, "diff": …, "changed": …, "before": …, "after": …}`;
        without `after` it is what the document says now."""
        query = Query(self)
        before_id, after_id = query.required("before"), query.text("after")
        name = path_of(path)
        check_path(name)
        archive = self.services.archive
        before = await archive.read(name, before_id)
        after = await (
            current_content(self.services, name)
            if after_id is None
            else archive.read(name, after_id)
        )
        diff = await asyncio.to_thread(diff_of, before, after)
        self.answer(diff.to_dict())


class LabelHandler(BookstoreHandler):
    """PUT and DELETE /api/bookstore/label/<path>: name a version, or take its name away."""

    @call
    async def put(self, path: str | None) -> None:
        """Takes `{"version_id": …, "label": …}`; answers `{"version": …}`."""
        fields = Fields(self.request.body)
        version_id, label = fields.required("version_id"), fields.required("label")
        name = path_of(path)
        version = await self.services.archive.label(name, version_id, label)
        self.services.history_events.labelled(name, version)
        self.answer({"version": version.to_dict()})

    @call
    async def delete(self, path: str | None) -> None:
        """Takes `?version_id=`; answers `{"version": …}`."""
        version_id = Query(self).required("version_id")
        name = path_of(path)
        version = await self.services.archive.unlabel(name, version_id)
        self.services.history_events.labelled(name, version)
        self.answer({"version": version.to_dict()})


class RestoreHandler(BookstoreHandler):
    """POST /api/bookstore/restore/<path>: make a document say what a version says."""

    @call
    async def post(self, path: str | None) -> None:
        """Takes `{"version_id": …, "type": …}`, the type being optional; answers
        `{"version": …, "changed": …}`."""
        await require_contents_write(self)
        fields = Fields(self.request.body)
        version_id, kind = fields.required("version_id"), fields.text("type")
        document = Document(path_of(path), kind)
        version, changed = await restoring.restore(self.services, document.path, version_id, kind)
        self.answer({"version": version.to_dict(), "changed": changed})


class UndeleteHandler(BookstoreHandler):
    """POST /api/bookstore/undelete/<path>: take a deletion back."""

    @call
    async def post(self, path: str | None) -> None:
        """Answers `{"versions": […]}`, those that are current again."""
        await require_contents_write(self)
        name = path_of(path)
        check_path(name)
        versions = await restoring.undelete(self.services, name)
        self.answer({"versions": [version.to_dict() for version in versions]})


def _bare_model(version: Version) -> dict[str, Any]:
    """A model of the contents API without the content, which was not read."""
    time = version.last_modified.isoformat()
    return {
        "name": basename(version.path),
        "path": version.path,
        "type": model_type(version.path),
        "format": None,
        "content": None,
        "mimetype": None,
        "created": time,
        "last_modified": time,
        "size": None,
        "writable": False,
    }
