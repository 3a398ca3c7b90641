"""The websocket of a collaborative document's room, for tabs that come back to it."""

from __future__ import annotations

from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.websocket import WebSocketHandler

from ...errors import BookstoreError
from ..sessions import Session
from .base import documents_of, http_error
from .session import versions_of

ROUTE = r"/api/collaboration/room/(.*)"
"""jupyter_server_ydoc's own (its app.py)."""


class _Preparing(JupyterHandler):
    """Comes between jupyter_server's `prepare`, which tells who asks, and that of
    jupyter_server_ydoc, which makes the room before it is known whether they may enter it."""

    async def prepare(self, **options: Any) -> None:
        await super().prepare(**options)
        if self.current_user is None:
            raise web.HTTPError(403)
        try:
            await documents_of(self).wait_started()
            await self._find_room()
        except BookstoreError as error:
            raise http_error(error) from error

    async def _find_room(self) -> None:
        """Have the request name the room that its tab means, and the session of this process."""
        documents = documents_of(self)
        where, _, room_id = self.request.path.rpartition("/")
        if not documents.rooms.archived or room_id.count(":") < 2:
            return  # such as the room of who is there, which is no document's
        reading = self.authorizer.is_authorized(self, self.current_user, "read", "contents")
        if not await ensure_async(reading):
            raise web.HTTPError(403)
        session = Session.from_id(self.get_query_argument("sessionId", ""))
        room_id = await documents.returning.room_of(room_id, session)
        self.request.path = f"{where}/{room_id}"
        if session is not None and (session.server, session.model) == versions_of(
            room_id.split(":")[1]
        ):
            self.request.query_arguments["sessionId"] = [_server_session().encode()]


def room_handler() -> type[WebSocketHandler] | None:
    """A handler of collaboration's rooms. None without jupyter_server_ydoc."""
    try:
        from jupyter_server_ydoc.handlers import (  # type: ignore[import-untyped]
            YDocWebSocketHandler,
        )
    except ImportError:
        return None

    class RoomHandler(YDocWebSocketHandler, _Preparing):  # type: ignore[misc]
        """GET /api/collaboration/room/<format>:<type>:<file id>."""

        def initialize(self) -> None:
            """With what jupyter_server_ydoc gives its own handler, once both are loaded."""
            collaboration = documents_of(self).rooms.collaboration
            handlers = () if collaboration is None else collaboration.handlers
            for _, handler, *arguments in handlers:
                if handler is YDocWebSocketHandler:
                    super().initialize(**(arguments[0] if arguments else {}))
                    return
            raise web.HTTPError(404)

    return RoomHandler


def _server_session() -> str:
    from jupyter_server_ydoc import handlers  # type: ignore[import-untyped]

    return str(handlers.SERVER_SESSION)
