"""What S3 refuses is told in S3's own words, and one version in cold storage hides no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.bucket import Bucket
from bookstore_y.errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketUnavailable,
    VersionInColdStorage,
)
from bookstore_y.snapshot import EMPTY_UPDATE, compress

from .servers import S3Server, connect, s3_options

KEY = "workspace/a.txt.file.y.zst"
KMS = (
    "User: arn:aws:sts::123456789012:assumed-role/jupyter is not authorized to perform: "
    "kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:123456789012:key/1"
)


@pytest.fixture
async def archive(moto_server: S3Server, moto_bucket: str) -> AsyncIterator[Archive]:
    async with Archive(BookstoreSettings(**s3_options(moto_server, moto_bucket))) as archive:
        yield archive


@pytest.fixture
def cold(moto_server: S3Server, moto_bucket: str) -> str:
    """The id of a version in GLACIER, beneath one that can be read."""
    s3, body = connect(moto_server), compress(EMPTY_UPDATE)
    put = s3.put_object(Bucket=moto_bucket, Key=KEY, Body=body, StorageClass="GLACIER")
    s3.put_object(Bucket=moto_bucket, Key=KEY, Body=body)
    return put["VersionId"]


@pytest.mark.parametrize("details", [False, True])
async def test_a_version_in_cold_storage_is_listed_and_marked(
    archive: Archive, cold: str, details: bool
) -> None:
    page = await archive.history("a.txt", details=details)
    assert {version.version_id: version.cold for version in page.versions} == {
        cold: True,
        page.versions[0].version_id: False,
    }


async def test_reading_it_says_what_to_do(archive: Archive, cold: str) -> None:
    with pytest.raises(VersionInColdStorage, match=r"InvalidObjectState.*restore-object"):
        await archive.read("a.txt", cold)


@pytest.mark.parametrize(
    ("status", "code", "said", "kind"),
    [
        (403, "AccessDenied", KMS, AccessDenied),
        (400, "KMS.DisabledException", "The key is disabled.", BucketError),
        (
            403,
            "AccessDenied",
            "Access Denied because object protected by object lock.",
            AccessDenied,
        ),
        (503, "SlowDown", "Please reduce your request rate.", BucketUnavailable),
        (405, "MethodNotAllowed", "The specified method is not allowed.", BucketError),
    ],
)
async def test_a_refusal_quotes_code_and_message(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    said: str,
    kind: type[BookstoreError],
) -> None:
    answer: Any = {
        "Error": {"Code": code, "Message": said},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    async def refuse(self: Bucket, what: str, request: Any) -> Any:
        raise self._refused(what, ClientError(answer, "PutObject"))

    monkeypatch.setattr(Bucket, "_call", refuse)
    with pytest.raises(kind) as refused:
        await archive.bucket.put(KEY, b"", {})
    assert f"{code}: {said.rstrip('.')}" in str(refused.value)
    assert KEY in str(refused.value)
