"""A bucket whose policy refuses some calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from bookstore_y.archive.archive import Archive

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

_ANSWER: Any = {
    "Error": {"Code": "AccessDenied", "Message": "told to refuse"},
    "ResponseMetadata": {"HTTPStatusCode": 403},
}


class _Limited:
    """A client that is refused one operation."""

    def __init__(self, client: S3Client, denied: str) -> None:
        self._client = client
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        if name != self._denied:
            return getattr(self._client, name)

        async def refuse(**arguments: Any) -> Any:
            raise ClientError(_ANSWER, "".join(map(str.title, name.split("_"))))

        return refuse


def deny(archive: Archive, operation: str, patch: pytest.MonkeyPatch) -> None:
    """Have the archive's bucket refuse an operation, by its name in boto3."""
    call = archive.bucket.requests.call

    async def limited(what: str, request: Callable[[Any], Awaitable[Any]]) -> Any:
        return await call(what, lambda client: request(_Limited(client, operation)))

    patch.setattr(archive.bucket.requests, "call", limited)
