"""What has been published: listed, and searched by name."""

from __future__ import annotations

from ...archive.workspace import ArchivedFile
from ...errors import InvalidToken
from ..cloning import FeatureOff
from .arguments import Query
from .base import BookstoreHandler, call

PAGE = 50
MOST = 1000
"""Documents on a page, by default and at most."""


class PublishedHandler(BookstoreHandler):
    """GET /api/bookstore/published: a page of the published documents, the latest first."""

    @call
    async def get(self) -> None:
        """Answers `{"documents": [{"path": …, "versions": […]}], "next": …}`; `q` is words that
        all have to be in the path. `details` fills in authors and labels."""
        documents = self.documents
        if not documents.settings.published_prefix:
            raise FeatureOff(
                "Publishing is turned off on this server; a prefix in "
                "c.BookstoreSettings.published_prefix turns it on."
            )
        query = Query(self)
        words = (query.text("q") or "").casefold().split()
        limit, start = query.number("limit", PAGE, MOST), _start(query.text("after"))
        archive = documents.running().archive
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


def _written(file: ArchivedFile) -> tuple[float, str]:
    return file.newest.last_modified.timestamp(), file.path


def _start(after: str | None) -> int:
    """How many documents the pages before had."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise InvalidToken("That is not what a page gave to go on with; list from the beginning.")
    return int(after)
