"""One versioned bucket, over aioboto3. The only module that speaks S3.

Every failure becomes one of the errors of `errors.py`: what the bucket said does not exist,
what it refused, and what could not be found out are never mixed up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
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

from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    DocumentNotFound,
    DocumentTooLarge,
    ListingDenied,
    ObjectLocked,
    PreconditionFailed,
    VersionInColdStorage,
    VersioningNotEnabled,
    VersionNotFound,
)
from ..settings import BookstoreSettings
from .client import (
    Connection,
    and_aiohttps,
    answer_of,
    are_wrong,
    code_of,
    connections,
)
from .objects import (
    Copied,
    CurrentObject,
    ListPage,
    ObjectPage,
    ObjectVersion,
    StoredObject,
    Written,
    in_order,
    is_cold,
    listed,
)
from .unanswered import Unanswered

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

T = TypeVar("T")

log = logging.getLogger("bookstore_y.bucket")


_AT_ONCE = timedelta(seconds=1)
"""By how much the times of one key's versions may be out of order, where several writers put at
the same time."""

_LARGE = 1 << 20
"""Bytes of a body."""


class _BrokeOff(OSError):
    """A body was shorter than announced."""


class _NotAllowed(BucketError):
    """The method is not allowed here, as many are not at an access point."""


class _NothingSaid(BucketError):
    """The answer was a status alone."""


class _NoLifecycle(BucketError):
    """The bucket has no lifecycle rules."""


class _NoSuchRange(BucketError):
    """The object is shorter than the range asked for."""


class _CopyNeedsDigest(BucketError):
    """A copy is refused for want of a digest, which S3's CopyObject has no field for."""


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
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The bucket's name. Raises `ConfigurationError` when none is set."""
        return self.settings.require_bucket()

    @property
    def where(self) -> str:
        """How messages call this bucket."""
        return f"bucket {self.settings.s3_bucket!r} at {self.settings.endpoint}"

    async def __aenter__(self) -> Bucket:
        known = connections.setdefault(asyncio.get_running_loop(), {})
        identity = self.settings.identity()
        connection = known.get(identity)
        if connection is None:
            connection = known[identity] = Connection(self.settings)
        connection.users += 1
        self._connection = connection
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.users -= 1
        if connection.users == 0:
            connections[asyncio.get_running_loop()].pop(self.settings.identity(), None)
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
            await self.create()
            return
        except AccessDenied:
            pass  # it takes s3:ListBucket on the whole bucket; what comes next says more
        if not self.settings.allow_unversioned and not await self._keeps_versions():
            raise VersioningNotEnabled(
                f"Versioning is not enabled on {self.where}, so a checkpoint would overwrite the "
                "one before; enable it, or set c.BookstoreSettings.allow_unversioned = True."
            )

    async def _keeps_versions(self) -> bool:
        """Whether versioning is on: asked of the bucket or, where that is denied or not possible,
        as at an access point, told by the version id that a write gets."""
        try:
            answer = await self._call(
                "read the versioning of", lambda s3: s3.get_bucket_versioning(Bucket=self.name)
            )
        except (AccessDenied, _NotAllowed):
            async with self._probing() as key:
                return (await self.put(key, b"probe", {})).version_id != "null"
        return answer.get("Status") == "Enabled"

    async def create(self) -> None:
        """Make the bucket, with versioning on."""
        name, region = self.name, self.settings.s3_region_name

        async def create(s3: S3Client) -> None:
            if region and region != "us-east-1":
                location: Any = {"LocationConstraint": region}
                await s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
            else:
                await s3.create_bucket(Bucket=name)

        await self._call("create", create)
        await self.enable_versioning()
        log.info("Created %s with versioning enabled.", self.where)

    async def enable_versioning(self) -> None:
        """Have the bucket keep versions from now on."""
        await self._call(
            "enable versioning on",
            lambda s3: s3.put_bucket_versioning(
                Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
            ),
        )

    async def lifecycle(self) -> list[dict[str, Any]]:
        """The bucket's lifecycle rules, as S3 writes them; none if it has none."""
        try:
            answer = await self._call(
                "read the lifecycle rules of",
                lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=self.name),
            )
        except _NoLifecycle:
            return []
        rules: Any = answer.get("Rules", [])
        return list(rules)

    async def set_lifecycle(self, rules: list[dict[str, Any]]) -> None:
        """Give the bucket these lifecycle rules in place of those it has."""
        chosen: Any = {"Rules": rules}
        await self._call(
            "set the lifecycle rules of",
            lambda s3: s3.put_bucket_lifecycle_configuration(
                Bucket=self.name, LifecycleConfiguration=chosen
            ),
        )

    async def clock_skew(self) -> timedelta:
        """By how much the server's clock is ahead of this machine's, to about a second."""
        before = datetime.now(timezone.utc)
        answer: Any = await self._call("reach", lambda s3: s3.head_bucket(Bucket=self.name))
        after = datetime.now(timezone.utc)
        said = self._said(answer["ResponseMetadata"]["HTTPHeaders"], "date")
        return parsedate_to_datetime(said) - (before + (after - before) / 2)

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

    @property
    def ignores_conditions(self) -> bool:
        """Whether `honours_conditions` is known by now to be False."""
        if self.settings.conditional_writes is not None:
            return not self.settings.conditional_writes
        return not _conditional.get(self.settings.identity(), True)

    async def _probe(self) -> bool:
        async with self._probing() as key:
            try:
                first = await self.put(key, b"probe", {}, if_match="")
                if not await self._is_refused(key, if_match=""):
                    return False
                return not await self._is_refused(key, if_match=first.etag)
            except NotImplementedByServer:
                return False

    @contextlib.asynccontextmanager
    async def _probing(self) -> AsyncIterator[str]:
        """A key of no document's under the workspace prefix, removed again afterwards."""
        key = f"{self.settings.workspace_prefix}.bookstore_y-probe-{uuid.uuid4().hex}"
        try:
            yield key
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
        digest: str | None = None,
    ) -> Written:
        """Write a new version of `key`. `metadata` is ASCII, and 2 KB at most in all.

        `if_match` is the ETag that the current version must have, or the empty string if there
        must be none. `digest` is the body's MD5 in base64, by which the server can tell damage;
        it is made from the body unless it is given. Raises `PreconditionFailed` when the bucket
        says that the current version is another.
        """
        condition: dict[str, Any] = {}
        if if_match is not None:
            condition = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}
        said = digest if digest is not None else await asyncio.to_thread(md5, body)

        async def write(s3: S3Client) -> Any:
            self.unanswered.carries(len(body))
            return await s3.put_object(
                Bucket=self.name,
                Key=key,
                # A stream goes out in pieces; the event loop stands still for bytes.
                Body=io.BytesIO(body) if len(body) > _LARGE else body,
                Metadata=metadata,
                ContentType=content_type,
                # Refused by the server if a bit flips on the way; every S3 server knows it.
                ContentMD5=said,
                **condition,
            )

        try:
            answer = await self._call(f"write {key!r} to", write)
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
            self.unanswered.carries(size)
            async with answer["Body"] as stream:
                body = await stream.read()
            if len(body) != size:
                raise _BrokeOff(f"{len(body)} of {size} bytes arrived")
            return StoredObject(
                key=key,
                body=body,
                version_id=answer.get("VersionId", "null"),
                etag=etag,
                last_modified=self._said(answer, "LastModified").astimezone(timezone.utc),
                size=size,
                metadata=answer["Metadata"],
                content_type=answer.get("ContentType", ""),
                tag_count=answer.get("TagCount", 0),
            )

        # botocore retries requests, but not bodies that break off.
        for attempt in range(self.settings.max_attempts):
            try:
                with self._about(key, version_id):
                    return await self._call(f"read {key!r} from", read)
            except AccessDenied as error:
                await self._raise_if_missing(key, version_id, error)
                raise
            except BucketUnavailable as error:
                noticed = and_aiohttps("ClientPayloadError", _BrokeOff)
                broke_off = isinstance(error.__cause__, noticed)
                if not broke_off or attempt + 1 == self.settings.max_attempts:
                    raise
        raise AssertionError("unreachable: max_attempts is at least 1")

    async def head(self, key: str, version_id: str | None = None) -> StoredObject:
        """The metadata of a version, with an empty body. Raises like `get`."""
        try:
            with self._about(key, version_id):
                return await self._head(key, version_id)
        except AccessDenied as error:
            await self._raise_if_missing(key, version_id, error)
            raise

    async def _raise_if_missing(
        self, key: str, version_id: str | None, denied: AccessDenied
    ) -> None:
        """Raise `DocumentNotFound` or `VersionNotFound` if a listing lacks what reading was denied
        of, and `ListingDenied` if that cannot be told. Without s3:ListBucket, S3 answers 403 for a
        key that is not there (API Reference, "GetObject", Permissions), and for one that is and may
        not be read."""
        try:
            if version_id is not None:
                missing = not [e async for e in self._first_entries(key, version_id)]
            else:
                missing = not await self._is_current(key)
        except AccessDenied as error:
            if are_wrong(answer_of(error)[0]):
                raise  # which says so, while the answer to a HEAD has no body
            raise ListingDenied(self._cannot_tell(key, version_id, denied)) from denied
        except BookstoreError:
            return  # nothing is known, so the refusal stands
        if missing and version_id is not None:
            raise VersionNotFound(self._has_no(key, version_id))
        if missing:
            raise DocumentNotFound(f"{key!r} is not in {self.where}, by its listing.")

    def _cannot_tell(self, key: str, version_id: str | None, denied: AccessDenied) -> str:
        code, said = answer_of(denied)
        reason = _reason(code, said) or str(denied).rstrip(".")
        about = "a document that is new" if version_id is None else "a version that is gone"
        wanted = (
            "s3:ListBucket and s3:ListBucketVersions on the bucket, and s3:GetObject"
            if version_id is None
            else "s3:ListBucketVersions on the bucket, and s3:GetObjectVersion"
        )
        return (
            f"Could not read {key!r} from {self.where}: S3 refused it ({reason}). It answers so "
            f"about {about}, too, where the bucket may not be listed; allow {wanted}."
        )

    async def _is_current(self, key: str) -> bool:
        """Whether a listing has a current version of a key: that of versions or, where it is
        denied, that of objects, which may be allowed for a prefix alone."""
        try:
            listed = [e async for e in self._first_entries(key, None)]
        except AccessDenied:
            page = await self.object_page(key, limit=1)  # keys come in order, its own first
            return any(each.key == key for each in page.objects)
        return bool(listed) and not listed[0].is_delete_marker

    async def _first_entries(
        self, key: str, version_id: str | None
    ) -> AsyncIterator[ObjectVersion]:
        """The entry of a version, or the current one, if there is one."""
        async for entry in self.list_versions(key, first_page=10):
            if version_id in (None, entry.version_id):
                yield entry
                return

    @contextlib.contextmanager
    def _about(self, key: str, version_id: str | None) -> Iterator[None]:
        """Where a version was asked for, it is the version that is not there: Ceph says
        "no such key", and an empty id would mean the current version. No id is over 1,024 bytes
        of UTF-8 (S3 User Guide, "Version IDs")."""
        if version_id is not None and not _ID.fullmatch(version_id):
            missing = self._has_no(key, version_id)
            raise VersionNotFound(missing[:200].encode(errors="replace").decode())
        try:
            yield
        except DocumentNotFound as error:
            if version_id is None:
                raise
            raise VersionNotFound(self._has_no(key, version_id)) from error

    def _has_no(self, key: str, version_id: str) -> str:
        return f"{key!r} in {self.where} has no version {version_id!r}."

    async def details(self, key: str, version_id: str) -> StoredObject:
        """Like `head`, with the number of tags. Asks for the first byte, since LocalStack 4.8
        does not tell it with a HEAD. Raises like `get`."""

        async def read(s3: S3Client) -> StoredObject:
            answer = await s3.get_object(
                Bucket=self.name, Key=key, VersionId=version_id, Range="bytes=0-0"
            )
            async with answer["Body"] as stream:
                await stream.read()
            return StoredObject(
                key=key,
                body=b"",
                version_id=answer.get("VersionId", "null"),
                etag=self._said(answer, "ETag"),
                last_modified=self._said(answer, "LastModified").astimezone(timezone.utc),
                size=int(self._said(answer, "ContentRange").rpartition("/")[2]),
                metadata=answer["Metadata"],
                content_type=answer.get("ContentType", ""),
                tag_count=answer.get("TagCount", 0),
            )

        with self._about(key, version_id):
            try:
                return await self._call(f"read {key!r} from", read)
            except _NoSuchRange:  # it is empty
                return await self.get(key, version_id)
            except VersionInColdStorage:
                # A HEAD is answered all the same. Its tags are asked for, since it tells no number.
                return replace(await self.head(key, version_id), tag_count=1, is_cold=True)
            except AccessDenied as error:
                await self._raise_if_missing(key, version_id, error)
                raise

    async def tags(self, key: str, version_id: str) -> dict[str, str]:
        """The tags of a version. Raises like `get`."""
        with self._about(key, version_id):
            answer = await self._call(
                f"read the tags of {key!r} in",
                lambda s3: s3.get_object_tagging(Bucket=self.name, Key=key, VersionId=version_id),
            )
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", [])}

    async def set_tags(self, key: str, version_id: str, tags: dict[str, str]) -> None:
        """Give a version these tags in place of those it has: ten at most, with values of 256
        letters, digits, spaces and `+-=._:/@` (Amazon S3 User Guide, "Categorizing your
        storage using tags"). Raises like `get`."""
        chosen: Any = {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
        with self._about(key, version_id):
            if not tags:  # moto 5.2 fails on an empty set
                await self._call(
                    f"take the tags off {key!r} in",
                    lambda s3: s3.delete_object_tagging(
                        Bucket=self.name, Key=key, VersionId=version_id
                    ),
                )
                return
            await self._call(
                f"tag {key!r} in",
                lambda s3: s3.put_object_tagging(
                    Bucket=self.name, Key=key, VersionId=version_id, Tagging=chosen
                ),
            )

    async def _head(self, key: str, version_id: str | None) -> StoredObject:
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        what = f"read {key!r} from"
        try:
            answer: Any = await self._call(
                what, lambda s3: s3.head_object(Bucket=self.name, Key=key, **chosen)
            )
        except _NothingSaid:
            # A HEAD's answer has no body to say why, and a status alone may be a proxy's: ask.
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
            last_modified=self._said(answer, "LastModified").astimezone(timezone.utc),
            size=answer["ContentLength"],
            metadata=answer["Metadata"],
            content_type=answer.get("ContentType", ""),
            is_cold=is_cold(answer.get("StorageClass"), answer.get("Restore")),
        )

    async def copy(
        self,
        source: str,
        version_id: str,
        target: str,
        metadata: dict[str, str],
        *,
        content_type: str = "application/zstd",
    ) -> Copied:
        """Copy a version to another key inside the bucket, with new user metadata and no tags.

        Where S3 refuses to copy what may be read and written, it is read and written. AWS wants
        s3:PutObjectTagging of a copy, though not of a write, where tags are involved (API
        Reference, "CopyObject", Permissions), and some servers want a digest of it in a bucket
        with Object Lock, for which CopyObject has no field. Raises like `get`.
        """
        try:
            answer: Any = await self._call(
                f"copy {source!r} to {target!r} in",
                lambda s3: s3.copy_object(
                    Bucket=self.name,
                    Key=target,
                    CopySource={"Bucket": self.name, "Key": source, "VersionId": version_id},
                    Metadata=metadata,
                    MetadataDirective="REPLACE",
                    TaggingDirective="REPLACE",  # a label is one version's
                    ContentType=content_type,
                ),
            )
        except (AccessDenied, _CopyNeedsDigest) as error:
            log.info("Reading and writing %r in place of copying it: %s", source, error)
            read = await self.get(source, version_id, max_size=self.settings.max_document_size)
            put = await self.put(target, read.body, metadata, content_type=content_type)
            return Copied(put.version_id, put.etag, version_id)
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
        page = await self.page(prefix, limit=first_page)
        given = 0
        while True:
            for version in page.entries:
                yield version
            given += len(page.entries)
            if page.next is None:
                return
            after, page = page.next, await self.page(prefix, after=page.next)
            if page.next == after:
                raise self._not_s3(f"list the versions of {prefix!r} in")
            if not page.entries and first_page < 1000:
                # LocalStack 4.8 does not find the place again when the key has a plus in it.
                page = await self.page(prefix)
                page = replace(page, entries=page.entries[given:])

    async def page(
        self,
        prefix: str,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 1000,
        delimiter: str = "",
    ) -> ListPage:
        """One request for versions and delete markers under a prefix: `limit` entries at most,
        which S3 holds to 1,000, beginning after a key and version id. Keys that go on with a
        `delimiter` are cut there, and listed once, as prefixes."""
        chosen: dict[str, Any] = {"MaxKeys": limit} if limit < 1000 else {}
        if delimiter:
            chosen["Delimiter"] = delimiter
        if after is not None:
            chosen["KeyMarker"] = after[0]
            if after[1]:
                chosen["VersionIdMarker"] = after[1]
        what = f"list the versions of {prefix!r} in"
        answer = await self._call(
            what, lambda s3: s3.list_object_versions(Bucket=self.name, Prefix=prefix, **chosen)
        )
        entries = list(
            in_order(
                [listed(entry, False) for entry in answer.get("Versions", [])],
                [listed(entry, True) for entry in answer.get("DeleteMarkers", [])],
            )
        )
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        following = None
        if self._said(answer, "IsTruncated"):
            # The next marker is the last key. Ceph does not encode it as it does the keys, so
            # botocore decodes it wrongly.
            last = max([entry.key for entry in entries[-1:]] + prefixes[-1:], default="")
            last = last or self._said(answer, "NextKeyMarker")
            following = (last, answer.get("NextVersionIdMarker") or "")
        return ListPage(entries, prefixes, following)

    async def object_page(
        self, prefix: str, *, after: str | None = None, limit: int = 1000, delimiter: str = ""
    ) -> ObjectPage:
        """One request for `limit` of the current objects under a prefix at most. However many
        versions there are, it costs nothing; what is deleted is left out.

        `after` is the `next` of the page before. Keys that go on with a `delimiter` are cut
        there, and listed once, as prefixes.
        """
        chosen: dict[str, Any] = {"MaxKeys": limit} if limit < 1000 else {}
        if delimiter:
            chosen["Delimiter"] = delimiter
        if after is not None:
            chosen["ContinuationToken"] = after
        what = f"list {prefix!r} in"
        answer = await self._call(
            what, lambda s3: s3.list_objects_v2(Bucket=self.name, Prefix=prefix, **chosen)
        )
        objects = [
            CurrentObject(
                entry["Key"], entry["LastModified"].astimezone(timezone.utc), entry.get("Size", 0)
            )
            for entry in answer.get("Contents", [])
        ]
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        following = None
        if self._said(answer, "IsTruncated"):
            following = self._said(answer, "NextContinuationToken")
            if following == after:
                raise self._not_s3(what)
        return ObjectPage(objects, prefixes, following)

    async def beginning(
        self, key: str, version_id: str, than: datetime, limit: int
    ) -> tuple[list[ObjectVersion], bool]:
        """Some `limit` versions and delete markers of one key, beginning with one of them, and
        whether there may be more. If that one is gone, those not later than a moment."""
        found: list[ObjectVersion] = []
        instead: list[ObjectVersion] = []
        async for entry in self.list_versions(key, first_page=limit):
            if found or entry.version_id == version_id:
                found.append(entry)
                if len(found) == limit:
                    return found, True
            elif entry.last_modified <= than and len(instead) < limit:
                instead.append(entry)
        return found or instead, len(instead) == limit and not found

    async def older(
        self,
        key: str,
        given: Sequence[str],
        than: datetime,
        limit: int,
        cursor: tuple[str, str] | None = None,
    ) -> tuple[list[ObjectVersion], tuple[str, str] | None, bool]:
        """Some `limit` versions and delete markers of one key that are older than the last of
        those `given`; where S3 says that the rest begins; and whether there may be more.

        Given are the ids of those of the moment `than` that are known already; `cursor` is what
        the page before was given. One request, and more if the server does not go on there.
        """
        page = await self.page(key, after=cursor or (key, given[-1]), limit=limit)
        entries = [entry for entry in page.entries if entry.key == key]
        if entries and not entries[0].is_latest and entries[0].last_modified <= than + _AT_ONCE:
            following = page.next if len(entries) == len(page.entries) else None
            # Within one moment, markers come apart from versions, so some may come again.
            new = [entry for entry in entries if entry.version_id not in given]
            return new, following, following is not None
        if page.entries and not entries and await self._is_there(key, given[-1]):
            return [], None, False
        # LocalStack 4.8 begins at the start when the key has a space in it, and says that there is
        # nothing when it has a plus; other servers answer as they like to an id that is gone.
        found: list[ObjectVersion] = []
        instead: list[ObjectVersion] = []
        passed = False
        async for entry in self.list_versions(key):
            if passed:
                found.append(entry)
                if len(found) > limit:
                    return found[:limit], None, True
            elif entry.version_id == given[-1]:
                passed = True
            elif entry.last_modified <= than and entry.version_id not in given:
                instead.append(entry)
        if not passed:  # it is gone: by time, then
            found = instead
        return found[:limit], None, len(found) > limit

    async def _is_there(self, key: str, version_id: str) -> bool:
        """Whether a key has a version or delete marker of that id."""
        try:
            await self.head(key, version_id)
        except VersionNotFound:
            async for entry in self.list_versions(key):
                if entry.version_id == version_id:
                    return True
            return False
        return True

    # -- calls ---------------------------------------------------------------------------------

    def _connected(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("The bucket is not open; use it inside `async with`.")
        return self._connection

    @property
    def unanswered(self) -> Unanswered:
        """The requests that are under way, those of other buckets with equal settings included."""
        return self._connected().unanswered

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
        except and_aiohttps("ClientError", BotoCoreError, asyncio.TimeoutError, OSError) as error:
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
        code = code_of(error)
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = answer.get("Error", {}).get("Message", "") or code
        reason = _reason(code or str(status), said)
        failed = f"Could not {what} {self.where}"
        operation = error.operation_name
        if code == "NoSuchBucket":
            return BucketNotFound(
                f"{failed}: there is no such bucket; create it with versioning on, or set "
                "c.BookstoreSettings.create_bucket = True."
            )
        if operation == "HeadObject" and status in (400, 403, 404, 405):
            return _NothingSaid(f"{failed} ({status}).")
        if operation == "HeadBucket" and status == 404:
            return BucketNotFound(f"{failed}: there is no such bucket.")
        if code == "NoSuchKey":
            return DocumentNotFound(f"{failed}: there is no such object.")
        if code == "NoSuchVersion" or (
            operation in ("GetObject", "CopyObject", *_TAGGING)
            and not code.isdecimal()
            and (code in _NO_SUCH_VERSION or "version" in said.lower())
        ):
            return VersionNotFound(f"{failed}: there is no such version.")
        if code == "NoSuchLifecycleConfiguration":
            return _NoLifecycle(f"{failed}: it has none.")
        if operation == "GetBucketVersioning" and status == 405:
            return _NotAllowed(f"{failed} ({reason}).")
        if code == "InvalidRange" or status == 416:
            return _NoSuchRange(f"{failed}: it is shorter than that.")
        if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
            return PreconditionFailed(f"{failed}: another version came first.")
        if code == "RequestTimeTooSkewed":
            return AccessDenied(f"{failed}: this machine's clock is off ({said}); set the clock.")
        if code == "InvalidObjectState":
            return VersionInColdStorage(
                f"{failed}: it is in cold storage ({reason}); have S3 bring it back with "
                "`aws s3api restore-object`, which takes hours, and try again then."
            )
        if status == 403 and "object lock" in said.lower():
            return ObjectLocked(
                f"{failed}: Object Lock protects it ({reason}); it can be removed when its "
                "retention has ended."
            )
        if status in (401, 403) or code in _EXPIRED:
            return AccessDenied(
                f"{failed}: S3 refused it ({reason}); check the credentials, and that their "
                "policy, the bucket's, and that of its KMS key allow "
                f"{_RIGHTS.get(operation, 'this')}."
            )
        if operation == "CopyObject" and status == 400 and _DIGEST.search(said):
            return _CopyNeedsDigest(f"{failed} ({reason}).")
        if code == "NotImplemented" or status == 501:
            return NotImplementedByServer(
                f"{failed}: the server does not implement this ({reason})."
            )
        if status >= 500 or code in ("SlowDown", "RequestTimeout", "ServiceUnavailable"):
            return BucketUnavailable(f"{failed}: the server cannot do it now ({reason}).")
        if status in (301, 307) or code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
            return BucketError(
                f"{failed}: it is in another region ({reason}); set "
                "c.BookstoreSettings.s3_region_name."
            )
        return BucketError(f"{failed} ({reason}); ask whoever runs the bucket.")


_ID = re.compile(r"[!-~]{1,1024}")

_TAGGING = ("GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging")

_DIGEST = re.compile("Content-MD5|checksum", re.IGNORECASE)

_RIGHTS = {
    "CopyObject": "s3:PutObject and s3:GetObjectVersion",
    "CreateBucket": "s3:CreateBucket",
    "DeleteObject": "s3:DeleteObject (s3:DeleteObjectVersion, to remove a version for good)",
    "DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "GetObjectTagging": "s3:GetObjectVersionTagging",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject and s3:GetObjectVersion",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "PutBucketVersioning": "s3:PutBucketVersioning",
    "PutObject": "s3:PutObject",
    "PutObjectTagging": "s3:PutObjectVersionTagging",
}
"""The rights that an operation takes as it is called here (Service Authorization Reference,
"Actions, resources, and condition keys for Amazon S3")."""

_NO_SUCH_VERSION = ("InvalidArgument", "MethodNotAllowed")
"""What AWS answers to an id that it never made, and to the id of a delete marker."""

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken")
"""Codes of expired credentials that some servers send with status 400."""

_conditional: dict[tuple[Any, ...], bool] = {}


def _reason(code: str, said: str) -> str:
    """S3's own words, to be quoted inside a sentence."""
    return (f"{code}: {said}" if said and said != code else code).rstrip(".")


def md5(body: bytes) -> str:
    """What Content-MD5 says of a body, in base64 (RFC 1864)."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
