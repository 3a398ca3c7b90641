"""One versioned bucket: its objects, and their versions and tags.

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
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING, Any

from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketUnavailable,
    DocumentNotFound,
    DocumentTooLarge,
    ListingDenied,
    PreconditionFailed,
    VersionInColdStorage,
    VersionNotFound,
)
from ..settings import BookstoreSettings
from .client import and_aiohttps
from .listing import Listing
from .objects import Copied, ObjectVersion, StoredObject, Written, is_cold
from .preconditions import Precondition
from .refusals import (
    CopyNeedsDigest,
    NoSuchRange,
    NothingSaid,
    answer_of,
    reason_of,
    says_wrong_credentials,
)
from .requests import Requests
from .unanswered import Unanswered

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

log = logging.getLogger("bookstore_y.bucket")

_LARGE = 1 << 20
"""Bytes of a body."""

_ID = re.compile(r"[!-~]{1,1024}")


class _BrokeOff(OSError):
    """A body was shorter than announced."""


class Bucket:
    """The bucket that `settings` name. Use it as an async context manager.

    All buckets of one event loop with equal settings share one S3 client, which is closed when
    the last of them is, and one limit of `max_threads` requests at a time.

    Every method raises `BucketUnavailable`, `AccessDenied`, `BucketNotFound` or `BucketError`
    when the bucket cannot be used; further errors are named where they occur.
    """

    def __init__(self, settings: BookstoreSettings) -> None:
        self.settings = settings
        self.requests = Requests(settings)
        self.listing = Listing(self.requests)

    async def __aenter__(self) -> Bucket:
        self.requests.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.requests.close()

    @property
    def name(self) -> str:
        """The bucket's name. Raises `ConfigurationError` when none is set."""
        return self.requests.name

    @property
    def where(self) -> str:
        """How messages call this bucket."""
        return self.requests.where

    @property
    def unanswered(self) -> Unanswered:
        """The requests that are under way, those of other buckets with equal settings included."""
        return self.requests.connection.unanswered

    async def put(
        self,
        key: str,
        body: bytes,
        metadata: dict[str, str],
        *,
        content_type: str = "application/zstd",
        precondition: Precondition | None = None,
        digest: str | None = None,
    ) -> Written:
        """Write a new version of `key`. `metadata` is ASCII, and 2 KB at most in all.

        `digest` is the body's MD5 in base64, by which the server can tell damage;
        it is made from the body unless it is given. Raises `PreconditionFailed` when the bucket
        says that the current version is another.
        """
        condition = {} if precondition is None else precondition.parameters()
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
            answer = await self.requests.call(f"write {key!r} to", write)
        except DocumentNotFound as error:  # S3's answer to If-Match on a key that was deleted
            raise PreconditionFailed(str(error)) from error
        return Written(answer.get("VersionId", "null"), self.requests.field(answer, "ETag"))

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
            etag = self.requests.field(answer, "ETag")
            if max_size is not None and size > max_size:
                answer["Body"].close()
                raise DocumentTooLarge(
                    f"{key!r} in {self.where} has {size} bytes, more than max_document_size "
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
                last_modified=self.requests.field(answer, "LastModified").astimezone(timezone.utc),
                size=size,
                metadata=answer["Metadata"],
                content_type=answer.get("ContentType", ""),
                tag_count=answer.get("TagCount", 0),
            )

        # botocore retries requests, but not bodies that break off.
        for attempt in range(self.settings.max_attempts):
            try:
                with self._about(key, version_id):
                    return await self.requests.call(f"read {key!r} from", read)
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
            if says_wrong_credentials(answer_of(error)[0]):
                raise  # which says so, while the answer to a HEAD has no body
            raise ListingDenied(self._cannot_tell(key, version_id, denied)) from denied
        except BookstoreError:
            return  # nothing is known, so the refusal stands
        if missing and version_id is not None:
            raise VersionNotFound(self._has_no(key, version_id))
        if missing:
            raise DocumentNotFound(f"{key!r} is not in the listing of {self.where}.")

    def _cannot_tell(self, key: str, version_id: str | None, denied: AccessDenied) -> str:
        code, said = answer_of(denied)
        reason = reason_of(code, said) or str(denied).rstrip(".")
        about = "a document that is new" if version_id is None else "a version that is gone"
        wanted = (
            "s3:ListBucket and s3:ListBucketVersions on the bucket, and s3:GetObject"
            if version_id is None
            else "s3:ListBucketVersions on the bucket, and s3:GetObjectVersion"
        )
        return (
            f"Could not read {key!r} from {self.where}: S3 refused it ({reason}). Without "
            f"permission to list the bucket, S3 gives the same answer for {about}; allow "
            f"{wanted}."
        )

    async def _is_current(self, key: str) -> bool:
        """Whether a listing has a current version of a key: that of versions or, where it is
        denied, that of objects, which may be allowed for a prefix alone."""
        try:
            listed = [e async for e in self._first_entries(key, None)]
        except AccessDenied:
            page = await self.listing.object_page(key, limit=1)  # keys come in order, its own first
            return any(each.key == key for each in page.objects)
        return bool(listed) and not listed[0].is_delete_marker

    async def _first_entries(
        self, key: str, version_id: str | None
    ) -> AsyncIterator[ObjectVersion]:
        """The entry of a version, or the current one, if there is one."""
        async for entry in self.listing.versions(key, first_page=10):
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
                etag=self.requests.field(answer, "ETag"),
                last_modified=self.requests.field(answer, "LastModified").astimezone(timezone.utc),
                size=int(self.requests.field(answer, "ContentRange").rpartition("/")[2]),
                metadata=answer["Metadata"],
                content_type=answer.get("ContentType", ""),
                tag_count=answer.get("TagCount", 0),
            )

        with self._about(key, version_id):
            try:
                return await self.requests.call(f"read {key!r} from", read)
            except NoSuchRange:  # it is empty
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
            answer = await self.requests.call(
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
                await self.requests.call(
                    f"take the tags off {key!r} in",
                    lambda s3: s3.delete_object_tagging(
                        Bucket=self.name, Key=key, VersionId=version_id
                    ),
                )
                return
            await self.requests.call(
                f"tag {key!r} in",
                lambda s3: s3.put_object_tagging(
                    Bucket=self.name, Key=key, VersionId=version_id, Tagging=chosen
                ),
            )

    async def _head(self, key: str, version_id: str | None) -> StoredObject:
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        what = f"read {key!r} from"
        try:
            answer: Any = await self.requests.call(
                what, lambda s3: s3.head_object(Bucket=self.name, Key=key, **chosen)
            )
        except NothingSaid:
            # A HEAD's answer has no body to say why, and a status alone may be a proxy's: ask.
            answer = await self.requests.call(
                what,
                lambda s3: s3.get_object(Bucket=self.name, Key=key, Range="bytes=0-0", **chosen),
            )
            answer["Body"].close()
            answer["ContentLength"] = int(
                self.requests.field(answer, "ContentRange").rpartition("/")[2]
            )
        return StoredObject(
            key=key,
            body=b"",
            version_id=answer.get("VersionId", "null"),
            etag=self.requests.field(answer, "ETag"),
            last_modified=self.requests.field(answer, "LastModified").astimezone(timezone.utc),
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
            answer: Any = await self.requests.call(
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
        except (AccessDenied, CopyNeedsDigest) as error:
            log.info("Reading and writing %r instead of copying it: %s", source, error)
            read = await self.get(source, version_id, max_size=self.settings.max_document_size)
            put = await self.put(target, read.body, metadata, content_type=content_type)
            return Copied(put.version_id, put.etag, version_id)
        result = self.requests.field(answer, "CopyObjectResult")
        if "VersionId" not in answer:  # Ceph does not tell, and leaves the quotes off the ETag
            written = await self.head(target)
            return Copied(written.version_id, written.etag, version_id)
        return Copied(answer["VersionId"], self.requests.field(result, "ETag"), version_id)

    async def delete(self, key: str, version_id: str | None = None) -> None:
        """Put a delete marker on `key`; or, given a version id, remove that version for good."""
        chosen: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        await self.requests.call(
            f"delete {key!r} from",
            lambda s3: s3.delete_object(Bucket=self.name, Key=key, **chosen),
        )


def md5(body: bytes) -> str:
    """What Content-MD5 says of a body, in base64 (RFC 1864)."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
