"""Labels of versions."""

from __future__ import annotations

from .arguments import Fields, Query, path_of
from .base import BookstoreHandler, call


class LabelHandler(BookstoreHandler):
    """PUT and DELETE /api/bookstore/label/<path>: name a version, or take its name away."""

    @call
    async def put(self, path: str | None) -> None:
        """Takes `{"version_id": …, "label": …}`; answers `{"version": …}`."""
        fields = Fields(self.request.body)
        version_id, label = fields.required("version_id"), fields.required("label")
        name = path_of(path)
        version = await self.documents.running().archive.label(name, version_id, label)
        self.documents.history_events.labelled(name, version)
        self.answer({"version": version.to_dict()})

    @call
    async def delete(self, path: str | None) -> None:
        """Takes `?version_id=`; answers `{"version": …}`."""
        version_id = Query(self).required("version_id")
        name = path_of(path)
        version = await self.documents.running().archive.unlabel(name, version_id)
        self.documents.history_events.labelled(name, version)
        self.answer({"version": version.to_dict()})
