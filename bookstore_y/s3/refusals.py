"""S3's error codes, and the exception for each."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError

from ..errors import (
    AccessDenied,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    DocumentNotFound,
    ObjectLocked,
    PreconditionFailed,
    VersionInColdStorage,
    VersionNotFound,
)


class NotAllowed(BucketError):
    """The method is not allowed here, as many are not at an access point."""


class NothingSaid(BucketError):
    """The answer was a status alone."""


class NoLifecycle(BucketError):
    """The bucket has no lifecycle rules."""


class NoSuchRange(BucketError):
    """The object is shorter than the range asked for."""


class CopyNeedsDigest(BucketError):
    """A copy is refused for want of a digest, which S3's CopyObject has no field for."""


class NotImplementedByServer(BucketError):
    """The server knows the S3 API, but not this part of it."""


def refusal(failed: str, error: ClientError) -> Exception:
    """What S3's refusal of a request means; `failed` says in words what could not be done."""
    answer: Any = error.response
    code = code_of(error)
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = answer.get("Error", {}).get("Message", "") or code
    reason = reason_of(code or str(status), said)
    operation = error.operation_name
    if code == "NoSuchBucket":
        return BucketNotFound(
            f"{failed}: there is no such bucket; create it with versioning enabled, or set "
            "c.BookstoreSettings.create_bucket = True."
        )
    if operation == "HeadObject" and status in (400, 403, 404, 405):
        return NothingSaid(f"{failed} ({status}).")
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
        return NoLifecycle(f"{failed}: it has none.")
    if operation == "GetBucketVersioning" and status == 405:
        return NotAllowed(f"{failed} ({reason}).")
    if code == "InvalidRange" or status == 416:
        return NoSuchRange(f"{failed}: it is shorter than that.")
    if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
        return PreconditionFailed(f"{failed}: another version came first.")
    if code == "RequestTimeTooSkewed":
        return AccessDenied(f"{failed}: this machine's clock is wrong ({said}); set the clock.")
    if code == "InvalidObjectState":
        return VersionInColdStorage(
            f"{failed}: it is in cold storage ({reason}); restore it with `aws s3api "
            "restore-object`, which takes hours, and try again."
        )
    if status == 403 and "object lock" in said.lower():
        return ObjectLocked(
            f"{failed}: Object Lock protects it ({reason}); remove it after its retention has "
            "ended."
        )
    if status in (401, 403) or code in _EXPIRED:
        return AccessDenied(
            f"{failed}: S3 refused it ({reason}); check the credentials, and that their policy, "
            "the bucket's policy and its KMS key's policy allow "
            f"{_RIGHTS.get(operation, 'this')}."
        )
    if operation == "CopyObject" and status == 400 and _DIGEST.search(said):
        return CopyNeedsDigest(f"{failed} ({reason}).")
    if code == "NotImplemented" or status == 501:
        return NotImplementedByServer(f"{failed}: the server does not implement this ({reason}).")
    if status >= 500 or code in ("SlowDown", "RequestTimeout", "ServiceUnavailable"):
        return BucketUnavailable(f"{failed}: the server cannot do it now ({reason}).")
    if status in (301, 307) or code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
        return BucketError(
            f"{failed}: it is in another region ({reason}); set c.BookstoreSettings.s3_region_name."
        )
    return BucketError(f"{failed} ({reason}); ask the administrator of the bucket.")


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

_STALE_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
"""Codes after which the AWS chain may have newer credentials."""


def code_of(error: ClientError) -> str:
    """S3's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def says_wrong_credentials(code: str) -> bool:
    """Whether an error code says that S3 knows no such credentials, whatever they may do."""
    return code in _STALE_CREDENTIALS


def answer_of(error: BaseException) -> tuple[str, str]:
    """The error code and message with which S3 caused an error; empty where there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ClientError):
            # Ceph's has a message without text, of which botocore makes None.
            return code_of(cause), str(cause.response.get("Error", {}).get("Message") or "")
        cause = cause.__cause__
    return "", ""


def reason_of(code: str, said: str) -> str:
    """S3's own words, to be quoted inside a sentence."""
    return (f"{code}: {said}" if said and said != code else code).rstrip(".")
