"""Replacements for jupyter_server_ydoc's handlers that let tabs come back to their rooms."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio import Future
from functools import partial
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from pycrdt import read_message
from tornado import web
from tornado.websocket import WebSocketHandler

from ...errors import BookstoreError
from ...store import S3YStore
from ..http_errors import http_error
from ..rooms import REFUSED, has_read
from ..tab_sessions import TabSession, server_session_of
from .arguments import Fields
from .base import answer_error, services_of
from .contents import rules

NEW = 60.0
"""Seconds after which a client that asks for its room has had it before."""

PAUSE = 2.5
"""Seconds before a tab whose room cannot be opened may try again, as it does at once."""

TRY_AGAIN = 4500
"""Close code of what went wrong in the server (jupyter_server_ydoc's handlers.py)."""

_ALL_IT_HAS = b"\x00\x01"
"""How the message begins with which a client gives what the server lacks (y-protocols' sync.js)."""


class _Preparing(JupyterHandler):
    """Comes between jupyter_server's `prepare`, which tells who asks, and that of
    jupyter_server_ydoc, which makes the room before it is known whether they may enter it."""

    comes_back = False
    """Whether the tab has had the document before, and may hold what nobody else does."""

    brings: TabSession | None = None
    """The session of a tab that was led to another room than it asked for."""

    outdated = False
    """Whether the tab's page is of another release of jupyter_server_ydoc, and not told so yet."""

    async def prepare(self, **options: Any) -> None:
        """Let in only whom the server knows, and find the room that they mean."""
        await super().prepare(**options)
        if self.current_user is None:
            raise web.HTTPError(403)
        try:
            await services_of(self).wait_started()
            await self._find_room()
        except BookstoreError as error:
            raise http_error(error) from error

    async def _find_room(self) -> None:
        """Have the request name the room that its tab means, and the session of this process."""
        services = services_of(self)
        where, _, room_id = self.request.path.rpartition("/")
        if not services.rooms.archived or room_id.count(":") < 2:
            return  # such as the room of who is there, which is no document's
        reading = self.authorizer.is_authorized(self, self.current_user, "read", "contents")
        if not await ensure_async(reading):
            raise web.HTTPError(403)
        named = self.get_query_argument("sessionId", "")
        session = TabSession.from_id(named)
        server, model = _versions_of(room_id.split(":")[1])
        # A session leads to a path, so it counts from no page that could not ask for that path:
        # jupyter_server_ydoc takes connections of every origin.
        trusted = session if JupyterHandler.check_origin(self) else None

        async def may_bring() -> bool:
            return session is not None and session.model == model and await self._may_write()

        asked = room_id
        room_id = await services.returning_tabs.room_of(room_id, trusted, may_bring)
        if trusted is not None:
            services.moved_files.was_at(room_id.split(":", 2)[2], trusted.path)
        self.request.path = f"{where}/{room_id}"
        if session is None:
            return
        self.brings = session if room_id != asked else None
        ours, theirs = _server_session(), server_session_of(named)
        self.comes_back = ours != theirs or time.time() - session.issued > NEW
        self.outdated = session.server != server and services.returning_tabs.is_first(named)
        self.request.query_arguments["sessionId"] = [
            (ours if session.model == model else theirs).encode()
        ]

    async def _may_write(self) -> bool:
        """Whether the user may make files."""
        writing = self.authorizer.is_authorized(self, self.current_user, "write", "contents")
        return bool(await ensure_async(writing))


def _room_handler(theirs: Any) -> type[WebSocketHandler]:
    """A handler of collaboration's rooms, made of jupyter_server_ydoc's own."""

    class RoomHandler(theirs, _Preparing):  # type: ignore[misc]
        """GET /api/collaboration/room/<format>:<type>:<file id>."""

        _opens = False
        """Whether the room is being opened for this connection."""

        async def open(self, room_id: str) -> None:
            self._opens = True
            try:
                await super().open(room_id)
            finally:
                self._opens = False

        def close(self, code: int | None = None, reason: str | None = None) -> None:
            """Close the connection, but let nobody who comes back lose what they hold.

            JupyterLab's client lets go of its document when a room cannot be opened. With this
            code it does so only if it never had the document, and else tries again at once.
            """
            if self._opens and self.comes_back and "initialization_error" in str(reason):
                refuse = partial(super().close, TRY_AGAIN, "The document can't be opened yet.")
                asyncio.get_running_loop().call_later(PAUSE, refuse)
            else:
                super().close(code, reason)

        async def on_message(self, message: Any) -> None:
            gives_all = bytes(message[:2]) == _ALL_IT_HAS
            if gives_all and self._has_nothing(bytes(message[2:])):
                self.close(TRY_AGAIN, "The document is not in this tab either.")
                return
            await super().on_message(message)
            if gives_all and self.outdated:
                self.outdated = False
                self.create_task(self._send_away())

        def _has_nothing(self, message: bytes) -> bool:
            """Whether the tab was to bring the document, and does not have it."""
            session, self.brings = self.brings, None
            store = getattr(self.room, "ystore", None)
            if session is None or not isinstance(store, S3YStore):
                return False
            from_tabs = services_of(self).from_tabs
            return from_tabs.has_nothing(store, session, read_message(message))

        async def _send_away(self) -> None:
            """The page has to be loaded again; what was typed into it is here by now."""
            await has_read(self)
            reason = {"reason": "version_mismatch", "sessionId": "", "reloadable": True}
            self.close(REFUSED, json.dumps(reason))

    return RoomHandler


def _server_session() -> str:
    from jupyter_server_ydoc import handlers  # type: ignore[import-untyped]

    return str(handlers.SERVER_SESSION)


def _session_handler(theirs: Any) -> type[APIHandler]:
    """A handler of collaboration's session request that brings a lost file back first, made of
    jupyter_server_ydoc's own.

    A client asks for a session before it opens a document's room, and a room needs the file.
    """

    class SessionHandler(theirs):  # type: ignore[misc]
        """PUT /api/collaboration/session/<path>."""

        _given: TabSession | None = None
        """The session to give out in place of the server's own."""

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            answer_error(self, status_code, kwargs)

        @web.authenticated
        @authorized
        async def put(self, path: str) -> None:
            fields = Fields(self.request.body)
            kind, _ = fields.required("type"), fields.required("format")
            try:
                await services_of(self).workspace.bring_back(path)
            except BookstoreError as error:
                raise http_error(error) from error
            if services_of(self).rooms.archived:
                self._given = TabSession.now(path.strip("/"), *_versions_of(kind))
            await super().put(path)

        def finish(self, chunk: Any = None) -> Future[None]:
            if self._given is not None and isinstance(chunk, str) and self.get_status() < 300:
                answer = json.loads(chunk)
                answer["sessionId"] = self._given.to_id(answer["sessionId"])
                chunk = json.dumps(answer)
            finished: Future[None] = super().finish(chunk)
            return finished

    return SessionHandler


def _versions_of(kind: str) -> tuple[str, str]:
    """The releases of jupyter_server_ydoc and of the shared model of a document type. A tab whose
    page is of others may not go on with this server."""
    from jupyter_server_ydoc import __version__
    from jupyter_ydoc import ydocs

    model = ydocs.get(kind, ydocs["file"])()
    return __version__, str(getattr(model, "version", ""))


def serve_rooms(application: web.Application) -> None:
    """Have tabs be led to the rooms of their documents, and given sessions that say which.

    Each handler is replaced by a subclass of its own, at its place in the routing table, so that
    another extension's that has the same address is left alone.
    """
    try:
        from jupyter_server_ydoc.handlers import (  # type: ignore[import-untyped]
            DocSessionHandler,
            YDocWebSocketHandler,
        )
    except ImportError:
        return
    ours = {
        DocSessionHandler: _session_handler(DocSessionHandler),
        YDocWebSocketHandler: _room_handler(YDocWebSocketHandler),
    }
    for rule in rules(application.default_router):
        rule.target = ours.get(rule.target, rule.target)
