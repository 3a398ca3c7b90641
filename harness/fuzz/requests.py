"""Bodies of REST calls."""

from __future__ import annotations

from tornado.web import HTTPError

from bookstore_y.errors import BookstoreError
from bookstore_y.jupyter.handlers.arguments import Fields
from bookstore_y.jupyter.http_errors import http_error
from bookstore_y.keys import Document

from .target import Target, hold, only


def request(data: bytes) -> None:
    """A body is understood, or the answer is a 400 that says how to send one."""
    fields, kind = None, None
    with only(HTTPError):
        try:
            fields = Fields(data)
            fields.required("version_id")
            kind = fields.text("type")
        except HTTPError as error:
            hold(error.status_code == 400, f"{error.status_code} for a body that is no request")
            raise
    if fields is None:
        return
    with only(HTTPError):
        try:
            Document("a.ipynb", kind)
        except BookstoreError as error:
            str(http_error(error))  # tornado formats it


def seeds() -> list[bytes]:
    """Requests, and what is not quite one."""
    return [
        b'{"version_id": "v1", "type": "notebook"}',
        b'{"version_id": "v1", "type": null}',
        b'{"version_id": 1}',
        b'{"version_id": "%s", "type": "%"}',
        b"[" * 100,
        b"\xff{}",
        b"NaN",
    ]


TARGET = Target("request", request, seeds)
