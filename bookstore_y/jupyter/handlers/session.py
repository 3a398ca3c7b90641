"""The session request of collaboration, which brings a lost file back first."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from ...errors import BookstoreError
from .arguments import Fields
from .base import answer_error, documents_of, http_error


def session_handler() -> type[APIHandler] | None:
    """A handler of collaboration's session request that brings a lost file back first.

    A client asks for a session before it opens a document's room, and a room needs the file.
    None without jupyter_server_ydoc.
    """
    try:
        from jupyter_server_ydoc.handlers import (  # type: ignore[import-untyped]
            DocSessionHandler,
        )
    except ImportError:
        return None

    class SessionHandler(DocSessionHandler):  # type: ignore[misc]
        """PUT /api/collaboration/session/<path>."""

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            answer_error(self, status_code, kwargs)

        @web.authenticated
        @authorized
        async def put(self, path: str) -> None:
            fields = Fields(self.request.body)
            fields.required("type"), fields.required("format")
            try:
                await documents_of(self).workspace.bring_back(path)
            except BookstoreError as error:
                raise http_error(error) from error
            await super().put(path)

    return SessionHandler
