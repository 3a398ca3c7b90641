"""The client's errors."""

from __future__ import annotations

from ..errors import BookstoreError, NotFound


class ClientError(BookstoreError):
    """Base of what the client itself raises."""


class ServerNotFound(ClientError):
    """No Jupyter server could be found, or several were; the message says what to pass."""


class NotebookNotFound(ClientError):
    """Which notebook this code runs in could not be told; the message says what to pass."""


class ServerUnreachable(ClientError):
    """The server did not answer, or its certificate is not trusted."""


class RequestRefused(ClientError):
    """The server answered that it would not; the message is its own sentence."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class NotFoundThere(RequestRefused, NotFound):
    """The server answered that there is no such document, version or file."""
