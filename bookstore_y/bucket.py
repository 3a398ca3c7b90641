"""One versioned bucket, over aioboto3. The only module that speaks S3.

Every failure becomes one of the errors of `errors.py`: what the bucket said does not exist,
what it refused, and what could not be found out are never mixed up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aioboto3  # type: ignore[import-untyped]
import aiohttp
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    DataNotFoundError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from .errors import (
    AccessDenied,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    DocumentNotFound,
    DocumentTooLarge,
    PreconditionFailed,
    VersioningNotEnabled,
    VersionNotFound,
)
from .settings import BookstoreSettings

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

T = TypeVar("T")

log = logging.getLogger(__name__)


class _NoEchoes(logging.Filter):
    """Keeps aiohttp's second report of a connection that broke out of the log.

    The task that writes a request's body fails with the request itself (`ClientRequest.write_bytes`
    in aiohttp 3.14), and nobody retrieves its exception; the request's own is raised and told.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        echo = isinstance(error, (ConnectionError, aiohttp.ClientError))
        return not (echo and "ClientRequest.write_bytes" in record.getMessage())


logging.getLogger("asyncio").addFilter(_NoEchoes())


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read: one version's body (`size` bytes; empty from a HEAD) and user
    metadata."""

    key: str
    body: bytes
    version_id: str
    etag: str
    last_modified: datetime
    size: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class ObjectVersion:
    """One line of a version listing. `size` is in bytes, and 0 for a delete marker."""

    key: str
    version_id: str
    etag: str
    last_modified: datetime
    size: int
    is_latest: bool
    is_delete_marker: bool = False


@dataclass(frozen=True)
class Written:
    """What a PUT was answered with."""

    version_id: str
    etag: str


@dataclass(frozen=True)
class Copied(Written):
    """What a copy was answered with, and the version that it is of; empty if it is of several."""

    source_version_id: str


class _NothingSaid(BucketError):
    """The answer was a status alone."""


class NotImplementedByServer(BucketError):
    """The server knows the S3 API, but not this part of it."""


class Bucket:
    """The bucket that `settings` name. Use it as an async context manager.

    All buckets of one event loop with equal settings share one S3 client, which is closed when
    the last of them is, and one limit of `max_threads` requests at a time.

    Every method raises `BucketUnavailable`, `AccessDenied`, `BucketNotFound` or `BucketError`
    when the bucket cannot be used; further errors are named where they occur.
    """

    def __init__(self, settings: BookstoreSettings) -> None:
        self.settings = settings
        self._connection: _Connection | None = None

    @property
    def name(self) -> str:
        """The bucket's name. Raises `ConfigurationError` when none is set."""
        return self.settings.require_bucket()

    @property
    def where(self) -> str:
        """How messages call this bucket."""
        return f"bucket {self.settings.s3_bucket!r} at {self.settings.endpoint}"

    async def __aenter__(self) -> Bucket:
        connections = _connections.setdefault(asyncio.get_running_loop(), {})
        identity = self.settings.identity()
        connection = connections.get(identity)
        if connection is None:
            connection = connections[identity] = _Connection(self.settings)
        connection.users += 1
        self._connection = connection
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.users -= 1
        if connection.users == 0:
            _connections[asyncio.get_running_loop()].pop(self.settings.identity(), None)
            await connection.close()

    # -- the bucket itself ---------------------------------------------------------------------

    async def check(self) -> None:
        """See that the bucket can be archived into; make it if `create_bucket` says so.

        Raises `ConfigurationError` when no bucket is set, and `VersioningNotEnabled` when it
        keeps no versions and `allow_unversioned` is off.
        """
        name = self.name
        try:
            await self._call("reach", lambda s3: s3.head_bucket(Bucket=name))
        except BucketNotFound:
            if not self.settings.create_bucket:
                raise BucketNotFound(
                    f"There is no {self.where}; create it with versioning on, or set "
                    "c.BookstoreSettings.create_bucket = True."
                ) from None
            await self._create()
            return
        answer = await self._call(
            "read the versioning of", lambda s3: s3.get_bucket_versioning(Bucket=name)
        )
        if answer.get("Status") != "Enabled" and not self.settings.allow_unversioned:
            raise VersioningNotEnabled(
                f"Versioning is not enabled on {self.where}, so a checkpoint would overwrite the "
                "one before; enable it, or set c.BookstoreSettings.allow_unversioned = True."
            )

    async def _create(self) -> None:
        name, region = self.name, self.settings.s3_region_name

        async def create(s3: S3Client) -> None:
            if region and region != "us-east-1":
                location: Any = {"LocationConstraint": region}
                await s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
            else:
                await s3.create_bucket(Bucket=name)

        await self._call("create", create)
        await self._call(
            "enable versioning on",
            lambda s3: s3.put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            ),
        )
        log.info("Created %s with versioning enabled.", self.where)

    async def honours_conditions(self) -> bool:
        """Whether a PUT with If-Match or If-None-Match is refused exactly when it should be.

        Asks once a process, by writing a small object under the workspace prefix and
        removing it again (S3 has conditional writes since 2024; Ceph 16 ignores If-None-Match
        and fails every If-Match in versioned buckets).
        """
        if self.settings.conditional_writes is not None:
            return bool(self.settings.conditional_writes)
        connection = self._connected()
        async with connection.probing:
            identity = self.settings.identity()
            if identity not in _conditional:
                _conditional[identity] = await self._probe()
                honours = "honours" if _conditional[identity] else "does not honour"
                log.info("The %s %s conditional writes.", self.where, honours)
            return _conditional[identity]

    async def _probe(self) -> bool:
        key = f"{self.settings.workspace_prefix}.bookstore_y-probe-{uuid.uuid4().hex}"
        try:
            first = await self.put(key, b"probe", {}, if_match="")
            if not await self._is_refused(key, if_match=""):
                return False
            return not await self._is_refused(key, if_match=first.etag)
        except NotImplementedByServer:
            return False
        finally:
            try:
                async for version in self.list_versions(key):
                    await self.delete(key, version.version_id)
            except AccessDenied as error:  # archiving does without this right
                log.info("The probe object %r stays: %s", key, error)

    async def _is_refused(self, key: str, *, if_match: str) -> bool:
        try:
            await self.put(key, b"probe again", {}, if_match=if_match)
        except PreconditionFailed:
            return True
        return False

    # -- objects -------------------------------------------------------------------------------

    async def put(
        self,
        key: str,
        body: bytes,
        metadata: dict[str, str],
        *,
        content_type: str = "application/zstd",
        if_match: str | None = None,
    ) -> Written:
        """Write a new version of `key`. `metadata` is ASCII, and 2 KB at most in all.

        `if_match` is the ETag that the current version must have, or the empty string if there
        must be none. Raises `PreconditionFailed` when the bucket says it is otherwise.
        """
        condition: dict[str, Any] = {}
        if if_match is not None:
            condition = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}
        digest = await asyncio.to_thread(_md5, body)
        try:
            answer = await self._call(
                f"write {key!r} to",
                lambda s3: s3.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=body,
                    Metadata=metadata,
                    ContentType=content_type,
                    # Refused by the server if a bit flips on the way; every S3 server knows it.
                    ContentMD5=digest,
                    **condition,
                ),
            )
        except DocumentNotFound as error:  # S3's answer to If-Match on a key that was deleted
            raise PreconditionFailed(str(error)) from error
        return Written(answer.get("VersionId", "null"), self._said(answer, "ETag"))

    async def get(
        self, key: str, version_id: str | None = None, *, max_size: int | None = None
    ) -> StoredObject:
        """Read the current version of `key`, or the one named.

        Raises `DocumentNotFound` or `VersionNotFound` when the bucket says there is none, and
        `DocumentTooLarge` when the body is over `max_size` bytes.
        """
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}

        async def read(s3: S3Client) -> StoredObject:
            answer = await s3.get_object(Bucket=self.name, Key=key, **chosen)
            size = answer["ContentLength"]
            etag = self._said(answer, "ETag")
            if max_size is not None and size > max_size:
                answer["Body"].close()
                raise DocumentTooLarge(
                    f"{key!r} in {self.where} takes {size} bytes, over max_document_size "
                    f"({max_size}); raise c.BookstoreSettings.max_document_size to read it."
                )
            async with answer["Body"] as stream:
                body = await stream.read()
            if len(body) != size:
                raise aiohttp.ClientPayloadError(f"{len(body)} of {size} bytes arrived")
            return StoredObject(
                key=key,
                body=body,
                version_id=answer.get("VersionId", "null"),
                etag=etag,
                last_modified=self._said(answer, "LastModified"),
                size=size,
                metadata=answer["Metadata"],
            )

        # botocore retries requests, but not bodies that break off.
        for attempt in range(self.settings.max_attempts):
            try:
                with self._about(key, version_id):
                    return await self._call(f"read {key!r} from", read)
            except BucketUnavailable as error:
                broke_off = isinstance(error.__cause__, aiohttp.ClientPayloadError)
                if not broke_off or attempt + 1 == self.settings.max_attempts:
                    raise
        raise AssertionError("unreachable: max_attempts is at least 1")

    async def head(self, key: str, version_id: str | None = None) -> StoredObject:
        """The metadata of a version, with an empty body. Raises like `get`."""
        with self._about(key, version_id):
            return await self._head(key, version_id)

    @contextlib.contextmanager
    def _about(self, key: str, version_id: str | None) -> Iterator[None]:
        """Where a version was asked for, it is the version that is not there: Ceph says
        "no such key", and an empty id would mean the current version. No id is over 1,024 bytes
        of UTF-8 (S3 User Guide, "Version IDs")."""
        missing = f"{key!r} in {self.where} has no version {version_id!r}."
        if version_id is not None and not 0 < len(version_id.encode(errors="replace")) <= 1024:
            raise VersionNotFound(missing[:200])
        if version_id is not None and version_id.encode(errors="ignore").decode() != version_id:
            raise VersionNotFound(missing)
        try:
            yield
        except DocumentNotFound as error:
            if version_id is None:
                raise
            raise VersionNotFound(missing) from error

    async def _head(self, key: str, version_id: str | None) -> StoredObject:
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        what = f"read {key!r} from"
        try:
            answer: Any = await self._call(
                what, lambda s3: s3.head_object(Bucket=self.name, Key=key, **chosen)
            )
        except _NothingSaid:
            # A HEAD's answer has no body, and 404 alone may be a proxy's: ask for the reason.
            answer = await self._call(
                what,
                lambda s3: s3.get_object(Bucket=self.name, Key=key, Range="bytes=0-0", **chosen),
            )
            answer["Body"].close()
            answer["ContentLength"] = int(self._said(answer, "ContentRange").rpartition("/")[2])
        return StoredObject(
            key=key,
            body=b"",
            version_id=answer.get("VersionId", "null"),
            etag=self._said(answer, "ETag"),
            last_modified=self._said(answer, "LastModified"),
            size=answer["ContentLength"],
            metadata=answer["Metadata"],
        )

    async def copy(
        self, source: str, version_id: str, target: str, metadata: dict[str, str]
    ) -> Copied:
        """Copy a version to another key inside the bucket, with new user metadata."""
        answer: Any = await self._call(
            f"copy {source!r} to {target!r} in",
            lambda s3: s3.copy_object(
                Bucket=self.name,
                Key=target,
                CopySource={"Bucket": self.name, "Key": source, "VersionId": version_id},
                Metadata=metadata,
                MetadataDirective="REPLACE",
                ContentType="application/zstd",
            ),
        )
        result = self._said(answer, "CopyObjectResult")
        if "VersionId" not in answer:  # Ceph does not tell, and leaves the quotes off the ETag
            written = await self.head(target)
            return Copied(written.version_id, written.etag, version_id)
        return Copied(answer["VersionId"], self._said(result, "ETag"), version_id)

    async def delete(self, key: str, version_id: str | None = None) -> None:
        """Put a delete marker on `key`; or, given a version id, remove that version for good."""
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        await self._call(
            f"delete {key!r} from",
            lambda s3: s3.delete_object(Bucket=self.name, Key=key, **chosen),
        )

    async def list_versions(
        self, key: str, *, first_page: int = 1000
    ) -> AsyncIterator[ObjectVersion]:
        """The versions and delete markers of one key, newest first.

        A request a thousand; the first asks for `first_page`, for those who may stop there.
        """
        async for version in self._list(key, first_page):
            if version.key == key:
                yield version
            elif version.key > key:  # keys come in order, so the rest are others' too
                return

    async def list_prefix(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """The versions and delete markers of all keys under a prefix, by key, newest first."""
        async for version in self._list(prefix):
            yield version

    async def _list(self, prefix: str, first_page: int = 1000) -> AsyncIterator[ObjectVersion]:
        marker: dict[str, Any] = {"MaxKeys": first_page} if first_page < 1000 else {}

        def page(s3: S3Client) -> Awaitable[Any]:
            return s3.list_object_versions(Bucket=self.name, Prefix=prefix, **marker)

        while True:
            answer = await self._call(f"list the versions of {prefix!r} in", page)
            more = self._said(answer, "IsTruncated")
            listed = list(
                _in_order(
                    [_version(entry, False) for entry in answer.get("Versions", [])],
                    [_version(entry, True) for entry in answer.get("DeleteMarkers", [])],
                )
            )
            for version in listed:
                yield version
            if not more:
                return
            # The next marker is the last key. Ceph does not encode it as it does the keys, so
            # botocore decodes it wrongly.
            next_key = listed[-1].key if listed else self._said(answer, "NextKeyMarker")
            last, marker = marker, {"KeyMarker": next_key}
            if answer.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = answer["NextVersionIdMarker"]
            if marker == last:
                raise self._not_s3(f"list the versions of {prefix!r} in")

    # -- calls ---------------------------------------------------------------------------------

    def _connected(self) -> _Connection:
        if self._connection is None:
            raise RuntimeError("The bucket is not open; use it inside `async with`.")
        return self._connection

    async def _call(self, what: str, request: Callable[[S3Client], Awaitable[T]]) -> T:
        self.settings.require_bucket()
        connection = self._connected()
        try:
            async with connection.client() as s3:
                return await request(s3)
        except ClientError as error:
            raise self._refused(what, error) from error
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
                f"The settings do not allow to {what} {self.where} ({error}); correct them in "
                "BookstoreSettings or the AWS profile."
            ) from error
        except ResponseParserError as error:
            raise self._not_s3(what) from error
        except (BotoCoreError, aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise BucketUnavailable(
                f"Could not {what} {self.where} ({type(error).__name__}: {error}); check the "
                "endpoint URL and the network."
            ) from error

    def _said(self, answer: Any, name: str) -> Any:
        """A field that every answer of S3 has, and a page of some proxy has not."""
        if name not in answer:
            raise self._not_s3("use")
        return answer[name]

    def _not_s3(self, what: str) -> BucketError:
        return BucketError(
            f"Could not {what} {self.where}: the answer is not S3's; check that the endpoint URL "
            "is that of an S3 server, and that no proxy answers in its place."
        )

    def _refused(self, what: str, error: ClientError) -> Exception:
        answer: Any = error.response
        code = _code(error)
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = answer.get("Error", {}).get("Message", "") or code
        failed = f"Could not {what} {self.where}"
        operation = error.operation_name
        if code == "NoSuchBucket":
            return BucketNotFound(
                f"{failed}: there is no such bucket; create it with versioning on, or set "
                "c.BookstoreSettings.create_bucket = True."
            )
        if operation == "HeadObject" and status in (400, 404, 405):
            return _NothingSaid(f"{failed} ({status}).")
        if operation == "HeadBucket" and status == 404:
            return BucketNotFound(f"{failed}: there is no such bucket.")
        if code == "NoSuchKey":
            return DocumentNotFound(f"{failed}: there is no such object.")
        if code == "NoSuchVersion" or (
            operation in ("GetObject", "CopyObject")
            and not code.isdecimal()
            and (code in _NO_SUCH_VERSION or "version" in said.lower())
        ):
            return VersionNotFound(f"{failed}: there is no such version.")
        if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
            return PreconditionFailed(f"{failed}: another version came first.")
        if code == "RequestTimeTooSkewed":
            return AccessDenied(f"{failed}: this machine's clock is off ({said}); set the clock.")
        if status in (401, 403) or code in _EXPIRED:
            return AccessDenied(
                f"{failed}: the credentials were refused ({code or status}); check the key pair "
                "or role, and that its policy allows this on the bucket."
            )
        if code == "NotImplemented" or status == 501:
            return NotImplementedByServer(f"{failed}: the server does not implement this ({said}).")
        if status >= 500 or code in ("SlowDown", "RequestTimeout", "ServiceUnavailable"):
            return BucketUnavailable(f"{failed}: the server cannot do it now ({code or status}).")
        if status in (301, 307) or code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
            return BucketError(
                f"{failed}: it is in another region ({said}); set "
                "c.BookstoreSettings.s3_region_name."
            )
        return BucketError(f"{failed} ({code or status}): {said.rstrip('.')}.")


@dataclass(eq=False)
class _Client:
    s3: S3Client
    closing: AsyncExitStack
    users: int = 0
    retired: bool = False


class _Connection:
    """The S3 client that all buckets with equal settings share in one event loop."""

    def __init__(self, settings: BookstoreSettings) -> None:
        self.users = 0
        self.probing = asyncio.Lock()
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
        # The checksums that boto3 adds since 1.36 are refused by many servers other than AWS.
        checksums: Any = "when_supported" if _is_aws(settings.s3_endpoint_url) else "when_required"
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
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
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
        return client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.retired = True
            await client.closing.aclose()


_NO_SUCH_VERSION = ("InvalidArgument", "MethodNotAllowed")
"""What AWS answers to an id that it never made, and to the id of a delete marker."""

_STALE_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
"""Codes after which the AWS chain may have newer credentials."""

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken")
"""Codes of expired credentials that some servers send with status 400."""

_conditional: dict[tuple[Any, ...], bool] = {}

_connections: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], _Connection]] = (
    WeakKeyDictionary()
)


def _may_be_renewed(error: ClientError | NoCredentialsError) -> bool:
    """Whether the AWS chain may have newer credentials by now."""
    if isinstance(error, NoCredentialsError):
        return True
    code = _code(error)
    # The answer to a HEAD has no body that could say more.
    bare = error.operation_name.startswith("Head") and code in ("400", "401", "403")
    return bare or code in _STALE_CREDENTIALS


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


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
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        endpoint_url = endpoint_url or os.environ.get(variable, "")
    host = urlsplit(endpoint_url).hostname or ""
    return not endpoint_url or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _version(entry: Any, is_delete_marker: bool) -> ObjectVersion:
    return ObjectVersion(
        key=entry["Key"],
        version_id=entry.get("VersionId") or "null",
        etag=entry.get("ETag", ""),
        last_modified=entry["LastModified"],
        size=entry.get("Size", 0),
        is_latest=entry["IsLatest"],
        is_delete_marker=is_delete_marker,
    )


def _in_order(
    versions: list[ObjectVersion], markers: list[ObjectVersion]
) -> Iterator[ObjectVersion]:
    """Put delete markers back between the versions that S3 lists apart from them.

    Each list is in the bucket's own order, by key and newest first, which is kept: clocks are
    too coarse to sort versions by.
    """
    versions, markers = versions[::-1], markers[::-1]
    while versions and markers:
        version, marker = versions[-1], markers[-1]
        if version.key != marker.key:
            marker_first = marker.key < version.key
        else:
            marker_first = marker.is_latest or (
                not version.is_latest and marker.last_modified > version.last_modified
            )
        yield (markers if marker_first else versions).pop()
    yield from reversed(versions or markers)
