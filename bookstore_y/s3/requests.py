"""Requests to one bucket, through the shared client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from ..errors import AccessDenied, BucketError, BucketUnavailable, ConfigurationError
from ..settings import BookstoreSettings
from .client import Connection, and_aiohttps, connections
from .refusals import refusal

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

T = TypeVar("T")


class Requests:
    """Makes requests between `open` and `close`, and has every failure raised as one of the
    errors of `errors.py`."""

    def __init__(self, settings: BookstoreSettings) -> None:
        self.settings = settings
        self._connection: Connection | None = None

    def open(self) -> None:
        """Share the connection of all buckets with equal settings in this event loop."""
        known = connections.setdefault(asyncio.get_running_loop(), {})
        identity = self.settings.identity()
        connection = known.get(identity)
        if connection is None:
            connection = known[identity] = Connection(self.settings)
        connection.users += 1
        self._connection = connection

    async def close(self) -> None:
        """Leave the connection, which ends with its last user."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.users -= 1
        if connection.users == 0:
            connections[asyncio.get_running_loop()].pop(self.settings.identity(), None)
            await connection.close()

    @property
    def connection(self) -> Connection:
        """The connection. Raises `RuntimeError` unless it is open."""
        if self._connection is None:
            raise RuntimeError("The bucket is not open; use it inside `async with`.")
        return self._connection

    @property
    def name(self) -> str:
        """The bucket's name. Raises `ConfigurationError` when none is set."""
        return self.settings.require_bucket()

    @property
    def where(self) -> str:
        """How messages call this bucket."""
        return f"bucket {self.settings.s3_bucket!r} at {self.settings.endpoint}"

    async def call(self, what: str, request: Callable[[S3Client], Awaitable[T]]) -> T:
        """Make one request; `what` says in words what for, up to the name of the bucket. Raises
        what `Bucket` says of all of its methods."""
        self.settings.require_bucket()
        connection = self.connection
        try:
            async with connection.client() as s3:
                return await request(s3)
        except ClientError as error:
            raise refusal(f"Could not {what} {self.where}", error) from error
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
            TokenRetrievalError,
        ) as error:
            raise AccessDenied(
                f"No usable S3 credentials to {what} {self.where} ({error}); set "
                "s3_access_key_id and s3_secret_access_key of BookstoreSettings, or give "
                "the server an AWS profile or role."
            ) from error
        except (
            NoRegionError,
            ParamValidationError,
            ProfileNotFound,
            ValueError,  # how botocore says that an endpoint is not a URL
        ) as error:
            raise ConfigurationError(
                f"With these settings, bookstore_y could not {what} {self.where} ({error}); "
                "correct BookstoreSettings or the AWS profile."
            ) from error
        except ResponseParserError as error:
            raise self.not_s3(what) from error
        except and_aiohttps("ClientError", BotoCoreError, asyncio.TimeoutError, OSError) as error:
            raise BucketUnavailable(
                f"Could not {what} {self.where} ({type(error).__name__}: {error}); check the "
                "endpoint URL and the network."
            ) from error

    def field(self, answer: Any, name: str) -> Any:
        """A field that every answer of S3 has, and a page of some proxy has not."""
        if name not in answer:
            raise self.not_s3("use")
        return answer[name]

    def not_s3(self, what: str) -> BucketError:
        """The error for an answer that is no S3 server's."""
        return BucketError(
            f"Could not {what} {self.where}: the response is not from S3; check that the "
            "endpoint URL is an S3 server's, and that no proxy answers instead."
        )
