"""The session request of collaboration, which brings a lost file back first."""

from __future__ import annotations

import json
from asyncio import Future
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from ...errors import BookstoreError
from ..http_errors import http_error
from ..tab_sessions import TabSession
from .arguments import Fields
from .base import answer_error, documents_of


def session_handler(theirs: Any) -> type[APIHandler]:
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
                await documents_of(self).workspace.bring_back(path)
            except BookstoreError as error:
                raise http_error(error) from error
            if documents_of(self).rooms.archived:
                self._given = TabSession.now(path.strip("/"), *versions_of(kind))
            await super().put(path)

        def finish(self, chunk: Any = None) -> Future[None]:
            if self._given is not None and isinstance(chunk, str) and self.get_status() < 300:
                answer = json.loads(chunk)
                answer["sessionId"] = self._given.to_id(answer["sessionId"])
                chunk = json.dumps(answer)
            finished: Future[None] = super().finish(chunk)
            return finished

    return SessionHandler


def versions_of(kind: str) -> tuple[str, str]:
    """The releases of jupyter_server_ydoc and of the shared model of a document type. A tab whose
    page is of others may not go on with this server."""
    from jupyter_server_ydoc import __version__  # type: ignore[import-untyped]
    from jupyter_ydoc import ydocs

    model = ydocs.get(kind, ydocs["file"])()
    return __version__, str(getattr(model, "version", ""))
