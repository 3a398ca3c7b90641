"""Sharing notebooks: publish, list and clone."""

from __future__ import annotations

import asyncio

from nbformat import ValidationError, validate
from tornado.web import HTTPError

from ...archive.version import Version
from ...archive.workspace import ArchivedFile
from ...errors import InvalidToken
from ...keys import file_key
from ...settings import BookstoreSettings
from .. import cloning, publishing
from ..cloning import FeatureOff, s3_path
from ..requester import authors_of
from .arguments import Fields, Query, path_of
from .base import BookstoreHandler, call, require_contents_write


class PublishHandler(BookstoreHandler):
    """PUT /api/bookstore/publish/<path>: a notebook goes where all may read it."""

    as_s3 = True

    @call
    async def put(self, path: str | None) -> None:
        """Takes a contents model of a notebook; or instead of its content a `version_id`, or
        `live: true`. Answers `{"s3_path": …, "versionID": …}`."""
        settings = self.services.settings
        _require_publishing(settings)
        name = path_of(path)
        if not name:
            raise HTTPError(400, "The path is empty; give the path to publish the notebook under.")
        key = file_key(settings.published_prefix, name)
        version = await self._publish(name)
        self.answer({"s3_path": s3_path(settings.s3_bucket, key), "versionID": version.version_id})

    async def _publish(self, path: str) -> Version:
        fields = Fields(self.request.body, limit=self.services.settings.max_document_size)
        if fields.value("type") != "notebook":
            raise HTTPError(415, 'Only notebooks can be published; "type" must be "notebook".')
        version_id, live = fields.text("version_id"), fields.flag("live")
        if sum((version_id is not None, live, "content" in fields)) > 1:
            raise HTTPError(400, 'Send only one of "content", "version_id" and "live".')
        if version_id is not None:
            return await publishing.publish_version(self.services, path, version_id)
        if live:
            return await publishing.publish_live(self.services, path, authors_of(self))
        notebook = fields.value("content")
        if not notebook or not isinstance(notebook, dict):
            raise HTTPError(422, '"content" is empty or not a notebook.')
        await asyncio.to_thread(_validate, notebook)
        return await publishing.publish_notebook(self.services, path, notebook, authors_of(self))


class PublishedHandler(BookstoreHandler):
    """GET /api/bookstore/published: a page of the published documents, the latest first."""

    @call
    async def get(self) -> None:
        """Answers `{"documents": [{"path": …, "versions": […]}], "next": …}`; `q` is words that
        all have to be in the path. `details` fills in authors and labels."""
        _require_publishing(self.services.settings)
        query = Query(self)
        words = (query.text("q") or "").casefold().split()
        limit, start = query.limit(), _start(query.text("after"))
        archive = self.services.archive
        found = [
            file
            async for file in archive.files(published=True)
            if all(word in file.path.casefold() for word in words)
        ]
        found.sort(key=_written, reverse=True)
        end = start + limit
        page = found[start:end]
        if query.flag("details"):
            page = await archive.with_details(page)
        self.answer(
            {
                "documents": [file.to_dict() for file in page],
                "next": str(end) if end < len(found) else None,
            }
        )


class CloneHandler(BookstoreHandler):
    """POST /api/bookstore/clone: copy an object of a bucket to a file."""

    as_s3 = True

    @call
    async def post(self) -> None:
        """Takes `{"s3_bucket": …, "s3_key": …}`, and at most `target_path`, `s3_version_id` and
        `overwrite`; answers the file's contents model with `s3_path` and `versionID`."""
        cloning.require_s3_cloning(self.services.settings)
        await require_contents_write(self)
        fields = Fields(self.request.body)
        model = await cloning.clone(
            self.services,
            fields.required("s3_bucket"),
            fields.required("s3_key"),
            version_id=fields.text("s3_version_id"),
            target=fields.text("target_path") or "",
            overwrite=fields.flag("overwrite"),
        )
        self.answer(model)


class FSCloneHandler(BookstoreHandler):
    """POST /api/bookstore/fs-clone: copy a file of this machine."""

    @call
    async def post(self) -> None:
        """Takes `{"relpath": …}`, and at most `target_path` and `overwrite`; answers the file's
        contents model."""
        cloning.basedir(self.services.settings)
        await require_contents_write(self)
        fields = Fields(self.request.body)
        model = await cloning.clone_file(
            self.services,
            fields.required("relpath"),
            target=fields.text("target_path") or "",
            overwrite=fields.flag("overwrite"),
        )
        self.answer(model)


def _require_publishing(settings: BookstoreSettings) -> None:
    """Raise `FeatureOff` unless notebooks may be published."""
    if not settings.published_prefix:
        raise FeatureOff(
            "Publishing is off on this server; set c.BookstoreSettings.published_prefix to "
            "turn it on."
        )


def _validate(notebook: dict[str, object]) -> None:
    """Raise 422 for what is not a notebook of a known format."""
    try:
        validate(notebook)
    except ValidationError as error:
        raise HTTPError(
            422, f"The content is not a valid notebook: {_first_line(error)}."
        ) from None
    except Exception:  # noqa: BLE001 - it trusts the content's own numbers, and asserts the rest
        raise HTTPError(422, "The content is not a valid notebook.") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".:")[:500]


def _written(file: ArchivedFile) -> tuple[float, str]:
    return file.newest.last_modified.timestamp(), file.path


def _start(after: str | None) -> int:
    """How many documents the pages before had."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise InvalidToken("This is not the `next` of a page; list from the beginning.")
    return int(after)
