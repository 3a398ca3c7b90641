"""The REST calls."""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from .. import __version__
from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    ConfigurationError,
    InvalidPath,
    NotFound,
    SnapshotError,
    UnsupportedDocument,
)
from ..keys import Document
from .documents import Conflict, Documents

_STATUS: list[tuple[type[BookstoreError], int]] = [
    (InvalidPath, 400),
    (UnsupportedDocument, 400),
    (NotFound, 404),
    (Conflict, 409),
    (AccessDenied, 502),
    (SnapshotError, 502),
    (BucketError, 503),
    (ConfigurationError, 503),
]


def http_error(error: BookstoreError) -> web.HTTPError:
    """The HTTP error that tells a client the same."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return web.HTTPError(status, str(error))


def _answered(handler: APIHandler, details: dict[str, Any]) -> bool:
    """Answer with an error's own message, if it has one: tornado doubles each % for its log."""
    error = details.get("exc_info", (None, None, None))[1]
    if not isinstance(error, web.HTTPError) or error.log_message is None:
        return False
    message = error.log_message % error.args
    handler.log.warning("wrote error: %r", message)
    handler.set_header("Content-Type", "application/json")
    handler.finish(json.dumps({"message": message, "reason": error.reason}))
    return True


class BookstoreHandler(APIHandler):
    """Base of the REST calls: authenticated, and authorized as the resource `bookstore`."""

    auth_resource = "bookstore"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer `{"message": …}` with the error's own sentence."""
        if not _answered(self, kwargs):
            super().write_error(status_code, **kwargs)

    @property
    def documents(self) -> Documents:
        """The server's documents."""
        documents: Documents = self.settings["bookstore_extension"].documents
        return documents


class StatusHandler(BookstoreHandler):
    """GET /api/bookstore: release, bucket and the state of the archive."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer the state. Nothing in it is secret."""
        documents = self.documents
        settings = documents.settings
        answer: dict[str, Any] = {
            "version": __version__,
            "bucket": settings.s3_bucket,
            "endpoint_url": settings.endpoint if settings.s3_endpoint_url else None,
            "workspace_prefix": settings.workspace_prefix,
            "published_prefix": settings.published_prefix,
            "status": "stopping",
        }
        if documents.checkpointer is not None:
            answer.update(documents.checkpointer.status())
        self.finish(answer)


class VersionsHandler(BookstoreHandler):
    """GET /api/bookstore/versions/<path>: all versions of a document, newest first."""

    @web.authenticated
    @authorized
    async def get(self, path: str) -> None:
        """Answer `{"versions": […]}`; `?type=` chooses one RTC document type."""
        kind = self.get_query_argument("type", None)
        path = path.strip("/")
        try:
            versions = await self.documents.versions(Document(path, kind) if kind else path)
        except BookstoreError as error:
            raise http_error(error) from error
        self.finish({"versions": [version.to_dict() for version in versions]})


class RestoreHandler(BookstoreHandler):
    """POST /api/bookstore/restore/<path>: make a document say what a version says."""

    @web.authenticated
    @authorized
    async def post(self, path: str) -> None:
        """Takes `{"version_id": …, "type": …}`, the type being optional; answers
        `{"version": …, "changed": …}`."""
        body = self._body()
        try:
            version, changed = await self.documents.restore(
                path.strip("/"), body["version_id"], body.get("type")
            )
        except BookstoreError as error:
            raise http_error(error) from error
        self.finish({"version": version.to_dict(), "changed": changed})

    def _body(self) -> dict[str, Any]:
        try:
            body = json.loads(self.request.body.decode("utf-8"))
        except (ValueError, RecursionError):
            body = None
        if (
            not isinstance(body, dict)
            or not isinstance(body.get("version_id"), str)
            or not body["version_id"]
            or not isinstance(body.get("type"), (str, type(None)))
        ):
            raise web.HTTPError(
                400, 'Send a JSON object with a string "version_id", and at most a string "type".'
            )
        return body


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
            if not _answered(self, kwargs):
                super().write_error(status_code, **kwargs)

        @web.authenticated
        @authorized
        async def put(self, path: str) -> None:
            try:
                body = json.loads(self.request.body)
                kind, _ = str(body["type"]), str(body["format"])
            except (ValueError, TypeError, KeyError, RecursionError):
                raise web.HTTPError(400, "Send a JSON object with format and type.") from None
            try:
                documents: Documents = self.settings["bookstore_extension"].documents
                await documents.bring_back(path.strip("/"), kind)
            except BookstoreError as error:
                raise http_error(error) from error
            await super().put(path)

    return SessionHandler
