"""The REST calls and their pages; docs/openapi.yaml describes them."""

from __future__ import annotations

from tornado.web import RequestHandler

from .landing import ClonePage, FSClonePage, GalleryPage, LoggedInPage
from .path_changes import DropMoveHandler, MovesHandler, RetryMovesHandler
from .sharing import CloneHandler, FSCloneHandler, PublishedHandler, PublishHandler
from .status import DescriptionHandler, StatusHandler
from .versions import (
    DiffHandler,
    LabelHandler,
    RestoreHandler,
    UndeleteHandler,
    VersionHandler,
    VersionsHandler,
)

_PATH = r"(?P<path>/.*)?"
"""A document's path. Which paths can be a key is for `keys.check_path` to say."""


def routes() -> list[tuple[str, type[RequestHandler]]]:
    """All routes, below the server's base URL."""
    return [
        (r"/api/bookstore/?", StatusHandler),
        (r"/api/bookstore/openapi\.yaml", DescriptionHandler),
        (rf"/api/bookstore/versions{_PATH}", VersionsHandler),
        (rf"/api/bookstore/version{_PATH}", VersionHandler),
        (rf"/api/bookstore/diff{_PATH}", DiffHandler),
        (rf"/api/bookstore/label{_PATH}", LabelHandler),
        (rf"/api/bookstore/restore{_PATH}", RestoreHandler),
        (rf"/api/bookstore/undelete{_PATH}", UndeleteHandler),
        (rf"/api/bookstore/publish{_PATH}", PublishHandler),
        (r"/api/bookstore/published/?", PublishedHandler),
        (r"/api/bookstore/moves/?", MovesHandler),
        (r"/api/bookstore/moves/retry", RetryMovesHandler),
        (r"/api/bookstore/moves/drop", DropMoveHandler),
        (r"/api/bookstore/clone/*", CloneHandler),
        (r"/api/bookstore/fs-clone/*", FSCloneHandler),
        (r"/bookstore/?", GalleryPage),
        (r"/bookstore/logged-in/?", LoggedInPage),
        (r"/bookstore/clone/*", ClonePage),
        (r"/bookstore/fs-clone/*", FSClonePage),
    ]
