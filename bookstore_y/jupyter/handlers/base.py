"""What all REST calls share: authorization and error responses."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web

from ...errors import BookstoreError
from ..http_errors import disk_of, http_error, message_of
from ..services import Services


def call(method: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    """A call for users who have logged in and are authorized for the resource `bookstore`.

    What of this package is raised in it becomes the HTTP error that says so.
    """

    @web.authenticated
    @authorized
    @wraps(method)
    async def answered(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            await method(self, *args, **kwargs)
        except BookstoreError as error:
            raise http_error(error, as_s3=self.as_s3) from error
        except (OSError, web.HTTPError) as error:
            told = disk_of(error)
            if told is None:
                raise
            raise web.HTTPError(*told) from error

    return answered


def services_of(handler: JupyterHandler) -> Services:
    """The parts of the server extension."""
    services: Services = handler.settings["bookstore_extension"]
    return services


async def require_contents_write(handler: JupyterHandler) -> None:
    """Raise 403 unless the user may write files, which `bookstore` alone does not allow."""
    user: Any = handler.current_user
    allowed = handler.authorizer.is_authorized(handler, user, "write", "contents")
    if not await ensure_async(allowed):
        raise web.HTTPError(403, "User is not authorized to write on resource: contents.")


class BookstoreHandler(APIHandler):
    """Base of the REST calls. An error is answered as `{"message": …, "reason": …}`."""

    auth_resource = "bookstore"

    as_s3 = False
    """Whether an error of S3's keeps its status."""

    @property
    def services(self) -> Services:
        """The parts of the server extension."""
        return services_of(self)

    def answer(self, value: dict[str, Any]) -> None:
        """Answer JSON. Notebooks may hold NaN, which is not JSON: it becomes null.

        Raises `HTTPError` 422 for what is nested too deeply to be JSON.
        """
        try:
            try:
                text = json.dumps(value, allow_nan=False, default=_plain)
            except ValueError:
                text = json.dumps(_finite(value), allow_nan=False, default=_plain)
        except RecursionError:
            raise web.HTTPError(422, "The content is nested too deeply to be sent.") from None
        self.finish(text)

    def compute_etag(self) -> str | None:
        """No ETag: nothing here is worth hashing for a browser's cache."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error's own sentence, or with the name of its status."""
        answer_error(self, status_code, kwargs)


def answer_error(handler: APIHandler, status: int, details: dict[str, Any]) -> None:
    """Answer a request that ended with an error."""
    message = message_of(status, details)
    error = details.get("exc_info", (None, None, None))[1]
    handler.log.warning("wrote error: %r", message)
    say_allowed(handler, status)
    handler.finish(json.dumps({"message": message, "reason": getattr(error, "reason", None)}))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say_allowed(handler: JupyterHandler, status: int) -> None:
    """Say with a 405 which methods there are, as it has to (RFC 9110, 15.5.6)."""
    if status == 405:
        names = web.RequestHandler.SUPPORTED_METHODS
        own, base = type(handler), web.RequestHandler
        there = [n for n in names if getattr(own, n.lower()) is not getattr(base, n.lower())]
        handler.set_header("Allow", ", ".join(there))
