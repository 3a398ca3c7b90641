"""Bringing content back: an old version's, or a deleted document's."""

from __future__ import annotations

from ...keys import Document, check_path
from .. import restoring
from .arguments import Fields, path_of
from .base import BookstoreHandler, call, require_contents_write


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
        version, changed = await restoring.restore(self.documents, document.path, version_id, kind)
        self.answer({"version": version.to_dict(), "changed": changed})


class UndeleteHandler(BookstoreHandler):
    """POST /api/bookstore/undelete/<path>: take a deletion back."""

    @call
    async def post(self, path: str | None) -> None:
        """Answers `{"versions": […]}`, those that are current again."""
        await require_contents_write(self)
        name = path_of(path)
        check_path(name)
        versions = await restoring.undelete(self.documents, name)
        self.answer({"versions": [version.to_dict() for version in versions]})
