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
    DocumentNotFound,
    VersionInColdStorage,
    VersioningNotEnabled,
    VersionNotFound,
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


async def test_a_refused_head_is_asked_for_its_reason(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.bucket.put(KEY, b"there", {})
    Denying(monkeypatch, 403, "get_object", said=KMS)
    Denying(monkeypatch, 403, "head_object", said="")  # a HEAD's answer has no body
    with pytest.raises(AccessDenied, match="kms:GenerateDataKey"):
        await archive.bucket.head(KEY)


class Denying:
    """Answers some operations of the bucket as S3 does where a policy denies them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, status: int, *operations: str, said: str = "Denied"
    ) -> None:
        call = Bucket._call
        code = "AccessDenied" if status == 403 else "MethodNotAllowed"
        answer: Any = {
            "Error": {"Code": code, "Message": said} if said else {"Code": str(status)},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

        class Client:
            def __init__(self, s3: Any) -> None:
                self._s3 = s3

            def __getattr__(self, name: str) -> Any:
                if name not in operations:
                    return getattr(self._s3, name)
                operation = "".join(map(str.title, name.split("_")))
                raise ClientError(answer, operation)

        async def calling(bucket: Bucket, what: str, request: Any) -> Any:
            return await call(bucket, what, lambda s3: request(Client(s3)))

        monkeypatch.setattr(Bucket, "_call", calling)


@pytest.mark.parametrize(
    ("status", "denied"),
    [(403, ["get_bucket_versioning", "head_bucket"]), (405, ["get_bucket_versioning"])],
)
async def test_whether_versions_are_kept_is_told_by_a_write_where_it_cannot_be_asked(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    moto_server: S3Server,
    status: int,
    denied: list[str],
) -> None:
    Denying(monkeypatch, status, *denied)
    await archive.bucket.check()
    left = connect(moto_server).list_object_versions(Bucket=archive.bucket.name)
    assert not left.get("Versions")  # what was written to find out is gone

    connect(moto_server).create_bucket(Bucket=f"unversioned-{status}")
    settings = BookstoreSettings(**s3_options(moto_server, f"unversioned-{status}"))
    async with Bucket(settings) as bucket:
        with pytest.raises(VersioningNotEnabled):
            await bucket.check()


async def test_what_the_listing_lacks_is_not_found_where_reading_is_answered_403(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await archive.bucket.put(KEY, b"there", {})
    Denying(monkeypatch, 403, "get_object", "head_object")
    for read in (archive.bucket.get, archive.bucket.head):
        with pytest.raises(DocumentNotFound):
            await read(KEY + "x")
        with pytest.raises(VersionNotFound):
            await read(KEY, "another")
        with pytest.raises(AccessDenied):  # it is there, and may not be read
            await read(KEY, saved.version_id)
    await archive.bucket.delete(KEY)
    with pytest.raises(DocumentNotFound):
        await archive.bucket.get(KEY)


async def test_the_listing_of_objects_says_what_is_missing_where_that_of_versions_is_denied(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.bucket.put(KEY, b"there", {})
    await archive.bucket.put(KEY + "xy", b"begins like what is missing", {})
    Denying(monkeypatch, 403, "get_object", "head_object", "list_object_versions")
    for read in (archive.bucket.get, archive.bucket.head):
        with pytest.raises(DocumentNotFound):
            await read(KEY + "x")
        with pytest.raises(AccessDenied):
            await read(KEY)
        with pytest.raises(AccessDenied):  # no listing of objects knows old versions
            await read(KEY, "another")


async def test_nothing_is_called_missing_where_every_listing_is_denied(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = ("list_object_versions", "list_objects_v2")
    Denying(monkeypatch, 403, "get_object", "head_object", *listings)
    with pytest.raises(AccessDenied):
        await archive.bucket.get(KEY)
