"""The minimal IAM policy for the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..settings import BookstoreSettings

_OBJECTS = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectTagging",
    "s3:GetObjectVersionTagging",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObject",
)
"""Reading and writing; a label is a tag, and DeleteObject is no more than a delete marker."""

_BUCKET = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucketVersioning",
    "s3:GetLifecycleConfiguration",
)


def policy(settings: BookstoreSettings, *, prune: bool = False) -> dict[str, Any]:
    """The policy, for the bucket and the prefixes of `settings`.

    No version can be removed with it, but for the objects by which servers try out what the
    bucket can do; `prune` allows it for all. Raises `ConfigurationError` when no bucket is set.
    """
    bucket = f"arn:{_partition(settings.s3_region_name)}:s3:::{settings.require_bucket()}"
    prefixes = sorted({settings.workspace_prefix, settings.published_prefix})
    whole = [f"{bucket}/{prefix}*" for prefix in prefixes]
    probes = [f"{bucket}/{prefix}.bookstore_y-probe-*" for prefix in prefixes]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("LookAtTheBucket", _BUCKET, [bucket]),
            _allow("KeepDocuments", _OBJECTS, whole),
            _allow(
                "RemoveVersions" if prune else "RemoveProbes",
                ["s3:DeleteObjectVersion"],
                whole if prune else probes,
            ),
        ],
    }


def _allow(name: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
