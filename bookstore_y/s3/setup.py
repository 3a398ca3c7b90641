"""Setting up a bucket for archiving: creation, versioning and lifecycle rules."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..errors import AccessDenied, BucketNotFound, VersioningNotEnabled
from .bucket import Bucket
from .probing import probe_key
from .refusals import NoLifecycle, NotAllowed

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

log = logging.getLogger("bookstore_y.bucket")


async def check(bucket: Bucket) -> None:
    """See that the bucket can be archived into; make it if `create_bucket` says so.

    Raises `ConfigurationError` when no bucket is set, and `VersioningNotEnabled` when it
    keeps no versions and `allow_unversioned` is off.
    """
    name = bucket.name
    try:
        await bucket.requests.call("reach", lambda s3: s3.head_bucket(Bucket=name))
    except BucketNotFound:
        if not bucket.settings.create_bucket:
            raise BucketNotFound(
                f"There is no {bucket.where}; create it with versioning enabled, or set "
                "c.BookstoreSettings.create_bucket = True."
            ) from None
        await create(bucket)
        return
    except AccessDenied:
        pass  # it takes s3:ListBucket on the whole bucket; what comes next says more
    if not bucket.settings.allow_unversioned and not await _keeps_versions(bucket):
        raise VersioningNotEnabled(
            f"Versioning is not enabled on {bucket.where}, so a checkpoint would overwrite the "
            "previous one; enable it, or set c.BookstoreSettings.allow_unversioned = True."
        )


async def _keeps_versions(bucket: Bucket) -> bool:
    """Whether versioning is on: asked of the bucket or, where that is denied or not possible,
    as at an access point, told by the version id that a write gets."""
    try:
        answer = await bucket.requests.call(
            "read the versioning of", lambda s3: s3.get_bucket_versioning(Bucket=bucket.name)
        )
    except (AccessDenied, NotAllowed):
        async with probe_key(bucket) as key:
            return (await bucket.put(key, b"probe", {})).version_id != "null"
    return answer.get("Status") == "Enabled"


async def create(bucket: Bucket) -> None:
    """Make the bucket, with versioning on."""
    name, region = bucket.name, bucket.settings.s3_region_name

    async def create(s3: S3Client) -> None:
        if region and region != "us-east-1":
            location: Any = {"LocationConstraint": region}
            await s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
        else:
            await s3.create_bucket(Bucket=name)

    await bucket.requests.call("create", create)
    await enable_versioning(bucket)
    log.info("Created %s with versioning enabled.", bucket.where)


async def enable_versioning(bucket: Bucket) -> None:
    """Have the bucket keep versions from now on."""
    await bucket.requests.call(
        "enable versioning on",
        lambda s3: s3.put_bucket_versioning(
            Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
        ),
    )


async def lifecycle(bucket: Bucket) -> list[dict[str, Any]]:
    """The bucket's lifecycle rules, as S3 writes them; none if it has none."""
    try:
        answer = await bucket.requests.call(
            "read the lifecycle rules of",
            lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=bucket.name),
        )
    except NoLifecycle:
        return []
    rules: Any = answer.get("Rules", [])
    return list(rules)


async def set_lifecycle(bucket: Bucket, rules: list[dict[str, Any]]) -> None:
    """Give the bucket these lifecycle rules in place of those it has."""
    chosen: Any = {"Rules": rules}
    await bucket.requests.call(
        "set the lifecycle rules of",
        lambda s3: s3.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration=chosen
        ),
    )


async def clock_skew(bucket: Bucket) -> timedelta:
    """By how much the server's clock is ahead of this machine's, to about a second."""
    before = datetime.now(timezone.utc)
    answer: Any = await bucket.requests.call("reach", lambda s3: s3.head_bucket(Bucket=bucket.name))
    after = datetime.now(timezone.utc)
    said = bucket.requests.field(answer["ResponseMetadata"]["HTTPHeaders"], "date")
    return parsedate_to_datetime(said) - (before + (after - before) / 2)
