"""The S3 client: equal settings in an event loop share one, and it renews its credentials."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, DataNotFoundError, NoCredentialsError
from botocore.handlers import add_expect_header
from botocore.loaders import create_loader

from ..errors import ConfigurationError
from ..settings import BookstoreSettings
from .refusals import code_of, says_wrong_credentials
from .unanswered import Unanswered

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client


class _NoEchoes(logging.Filter):
    """Keeps aiohttp's second report of a connection that broke out of the log.

    The task that writes a request's body fails with the request itself (`ClientRequest.write_bytes`
    in aiohttp 3.14), and nobody retrieves its exception; the request's own is raised and told.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None:
            return True
        echo = isinstance(error, and_aiohttps("ClientError", ConnectionError))
        return not (echo and "ClientRequest.write_bytes" in record.getMessage())


def and_aiohttps(name: str, *errors: type[BaseException]) -> tuple[type[BaseException], ...]:
    """The errors and one of aiohttp's, for `except` and `isinstance`; without it while aiohttp,
    which is slow to import, has not been, or is just being imported by another thread."""
    error = getattr(sys.modules.get("aiohttp"), name, None)
    return errors if error is None else (*errors, error)


logging.getLogger("asyncio").addFilter(_NoEchoes())


@dataclass(eq=False)
class _Client:
    s3: S3Client
    closing: AsyncExitStack
    users: int = 0
    retired: bool = False


class Connection:
    """The S3 client that all buckets with equal settings share in one event loop."""

    def __init__(self, settings: BookstoreSettings) -> None:
        self.users = 0
        self.probing = asyncio.Lock()
        self.unanswered = Unanswered()
        self._slots = asyncio.Semaphore(settings.max_threads)
        self._settings = settings
        self._opening = asyncio.Lock()
        self._client: _Client | None = None

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[S3Client]:
        """The client, for one request."""
        async with self._slots:
            client = await self._current()
            client.users += 1
            try:
                with self.unanswered.asking():
                    yield client.s3
            except (ClientError, NoCredentialsError) as error:
                # botocore reads files and the environment once a session.
                client.retired = client.retired or _may_be_renewed(error)
                raise
            finally:
                client.users -= 1
                if client.retired:
                    if self._client is client:
                        self._client = None
                    if not client.users:
                        await client.closing.aclose()

    async def _current(self) -> _Client:
        async with self._opening:
            if self._client is None:
                async with AsyncExitStack() as stack:
                    s3 = await self._open(stack)
                    self._client = _Client(s3, stack.pop_all())
            return self._client

    async def _open(self, stack: AsyncExitStack) -> S3Client:
        settings = self._settings
        is_aws = _is_aws(settings.effective_endpoint_url)
        # The checksums that boto3 adds since 1.36 are refused by many servers other than AWS.
        checksums: Any = "when_supported" if is_aws else "when_required"
        s3_options: Any = {"addressing_style": "path" if settings.s3_endpoint_url else "auto"}
        if not is_aws:
            # What is sent over plain http is hashed in the event loop otherwise, besides its MD5;
            # over https botocore never does.
            s3_options["payload_signing_enabled"] = False
        # Slow to import, so that a server starts sooner without it.
        aioboto3: Any = await asyncio.to_thread(import_module, "aioboto3")
        session = aioboto3.Session(
            aws_access_key_id=settings.s3_access_key_id or None,
            aws_secret_access_key=settings.s3_secret_access_key or None,
            aws_session_token=settings.s3_session_token or None,
            region_name=settings.s3_region_name or None,
        )
        session._session.register_component("data_loader", _loader())
        await asyncio.to_thread(_load_models)
        config = Config(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            max_pool_connections=settings.max_threads,
            retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            s3=s3_options,
        )
        region = session.region_name or ("us-east-1" if settings.s3_endpoint_url else None)
        client: S3Client = await stack.enter_async_context(
            session.client(
                "s3",
                endpoint_url=settings.s3_endpoint_url or None,
                region_name=region,
                config=config,
            )
        )
        # With a stream as the body botocore asks the server first whether to send it (RFC 9110,
        # 10.1.1), and then waits for ever where a server or a proxy does not know of that.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        return client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.retired = True
            await client.closing.aclose()


connections: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], Connection]] = (
    WeakKeyDictionary()
)
"""The connections of each event loop, by `BookstoreSettings.identity`."""


def _may_be_renewed(error: ClientError | NoCredentialsError) -> bool:
    """Whether the AWS chain may have newer credentials by now."""
    if isinstance(error, NoCredentialsError):
        return True
    code = code_of(error)
    # The answer to a HEAD has no body that could say more.
    bare = error.operation_name.startswith("Head") and code in ("400", "401", "403")
    return bare or says_wrong_credentials(code)


@cache
def _loader() -> Any:
    """botocore's loader of service models, shared so that a process holds them once."""
    return create_loader()


def _load_models() -> None:
    """Read what a client is made from, which are megabytes of JSON, outside the event loop."""
    loader = _loader()
    with contextlib.suppress(DataNotFoundError):  # then it is not needed either
        for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
            loader.load_data(name)
        for name in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model("s3", name)


def _is_aws(endpoint_url: str) -> bool:
    host = urlsplit(endpoint_url).hostname or ""
    return not endpoint_url or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def method_of_credentials() -> str | None:
    """Where the AWS chain finds credentials, by botocore's name for it; None if it finds none.

    Raises `ConfigurationError` when the AWS profile is wrong.
    """
    import botocore.session

    try:
        found = botocore.session.Session().get_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS chain doesn't work: {error}.") from error
    return None if found is None else str(found.method)
