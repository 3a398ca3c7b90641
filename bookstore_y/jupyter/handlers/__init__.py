"""The REST calls, and the pages that they are used from; described in docs/openapi.yaml."""

from __future__ import annotations

from tornado.web import RequestHandler

from .base import http_error
from .clone import CloneHandler, FSCloneHandler
from .contents import serve_workspace
from .history import DiffHandler, VersionHandler, VersionsHandler
from .label import LabelHandler
from .landing import ClonePage, FSClonePage, GalleryPage, LoggedInPage
from .moves import DropMoveHandler, MovesHandler, RetryMovesHandler
from .publish import PublishHandler
from .published import PublishedHandler
from .restore import RestoreHandler, UndeleteHandler
from .room import ROUTE as ROOM_ROUTE
from .room import room_handler
from .session import session_handler
from .status import DescriptionHandler, StatusHandler

__all__ = ["http_error", "room_handler", "routes", "serve_workspace", "session_handler"]

_PATH = r"(?P<path>/.*)?"
"""A document's path. Which paths can be a key is for `keys.check_path` to say."""


def routes() -> list[tuple[str, type[RequestHandler]]]:
    """All routes, below the server's base URL."""
    found: list[tuple[str, type[RequestHandler]]] = [
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
    session, room = session_handler(), room_handler()
    if session is not None and room is not None:
        # Extensions load by name, so these routes come before jupyter_server_ydoc's own.
        found += [(r"/api/collaboration/session/(.*)", session), (ROOM_ROUTE, room)]
    return found
