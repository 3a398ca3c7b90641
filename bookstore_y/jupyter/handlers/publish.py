"""Publishing notebooks."""

from __future__ import annotations

import asyncio

from nbformat import ValidationError, validate
from tornado.web import HTTPError

from ...archive.version import Version
from ...keys import file_key
from .. import publishing
from ..cloning import FeatureOff, s3_path
from ..requester import authors_of
from .arguments import Fields, path_of
from .base import BookstoreHandler, call


class PublishHandler(BookstoreHandler):
    """PUT /api/bookstore/publish/<path>: a notebook goes where all may read it."""

    as_s3 = True

    @call
    async def put(self, path: str | None) -> None:
        """Takes a contents model of a notebook; or instead of its content a `version_id`, or
        `live: true`. Answers `{"s3_path": …, "versionID": …}`."""
        settings = self.documents.settings
        if not settings.published_prefix:
            raise FeatureOff(
                "Publishing is turned off on this server; a prefix in "
                "c.BookstoreSettings.published_prefix turns it on."
            )
        name = path_of(path)
        if not name:
            raise HTTPError(400, "The path is empty; say where to publish the notebook.")
        key = file_key(settings.published_prefix, name)
        version = await self._publish(name)
        self.answer({"s3_path": s3_path(settings.s3_bucket, key), "versionID": version.version_id})

    async def _publish(self, path: str) -> Version:
        fields = Fields(self.request.body, limit=self.documents.settings.max_document_size)
        if fields.value("type") != "notebook":
            raise HTTPError(415, 'Only notebooks are published; "type" must be "notebook".')
        version_id, live = fields.text("version_id"), fields.flag("live")
        if sum((version_id is not None, live, "content" in fields)) > 1:
            raise HTTPError(400, 'Send only one of "content", "version_id" and "live".')
        if version_id is not None:
            return await publishing.publish_version(self.documents, path, version_id)
        if live:
            return await publishing.publish_live(self.documents, path, authors_of(self))
        notebook = fields.value("content")
        if not notebook or not isinstance(notebook, dict):
            raise HTTPError(422, 'The "content" is empty, or no notebook.')
        await asyncio.to_thread(_validate, notebook)
        return await publishing.publish_notebook(self.documents, path, notebook, authors_of(self))


def _validate(notebook: dict[str, object]) -> None:
    """Raise 422 for what is not a notebook of a known format."""
    try:
        validate(notebook)
    except ValidationError as error:
        raise HTTPError(422, f"The content is no valid notebook: {_first_line(error)}.") from None
    except Exception:  # noqa: BLE001 - it trusts the content's own numbers, and asserts the rest
        raise HTTPError(422, "The content is no valid notebook.") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".:")[:500]
