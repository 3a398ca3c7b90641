"""What S3 refuses is told in S3's own words, and one version in cold storage hides no others."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketUnavailable,
    DocumentNotFound,
    ListingDenied,
    ObjectLocked,
    VersionInColdStorage,
    VersioningNotEnabled,
    VersionNotFound,
)
from bookstore_y.s3 import setup
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.refusals import answer_of, refusal
from bookstore_y.s3.requests import Requests
from bookstore_y.store import _in_a_frame
from bookstore_y.ydoc.frame import compress
from bookstore_y.ydoc.updates import EMPTY_UPDATE
from harness.servers import S3Server, connect, s3_options

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


async def test_a_version_that_s3_has_brought_back_is_cold_no_more(
    archive: Archive, moto_server: S3Server, moto_bucket: str
) -> None:
    s3, body = connect(moto_server), compress(EMPTY_UPDATE)
    s3.put_object(Bucket=moto_bucket, Key=KEY, Body=body, StorageClass="GLACIER")

    async def is_cold() -> bool:
        (version,) = (await archive.history("a.txt", details=True)).versions
        return version.cold

    assert await is_cold()
    # Of moto, only the current version can be asked back.
    s3.restore_object(Bucket=moto_bucket, Key=KEY, RestoreRequest={"Days": 1})
    assert not await is_cold()


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
            ObjectLocked,
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

    async def refuse(self: Requests, what: str, request: Any) -> Any:
        raise refusal(f"Could not {what} the bucket", ClientError(answer, "PutObject"))

    monkeypatch.setattr(Requests, "call", refuse)
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
        call = Requests.call
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

        async def calling(requests: Requests, what: str, request: Any) -> Any:
            return await call(requests, what, lambda s3: request(Client(s3)))

        monkeypatch.setattr(Requests, "call", calling)


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
    await setup.check(archive.bucket)
    left = connect(moto_server).list_object_versions(Bucket=archive.bucket.name)
    assert not left.get("Versions")  # what was written to find out is gone

    connect(moto_server).create_bucket(Bucket=f"unversioned-{status}")
    settings = BookstoreSettings(**s3_options(moto_server, f"unversioned-{status}"))
    async with Bucket(settings) as bucket:
        with pytest.raises(VersioningNotEnabled):
            await setup.check(bucket)


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
    with pytest.raises(ListingDenied, match=r"AccessDenied: Denied.*allow s3:ListBucket "):
        await archive.bucket.get(KEY)
    with pytest.raises(ListingDenied, match=r"allow s3:ListBucketVersions .*s3:GetObjectVersion"):
        await archive.bucket.head(KEY, "another")


def test_no_message_is_none() -> None:
    bare: Any = {"Error": {"Code": "AccessDenied", "Message": None}}  # as botocore reads Ceph's
    assert answer_of(ClientError(bare, "DeleteObject")) == ("AccessDenied", "")


@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch", "x" * 60, 'a"b', ""])
@pytest.mark.parametrize("kind", [AccessDenied, ListingDenied])
def test_what_a_page_is_told_of_a_refusal_fits_into_a_close_frame(
    code: str, kind: type[BookstoreError]
) -> None:
    error = kind("A sentence that is too long for a frame, as all of them are.")
    error.__cause__ = ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")
    said = _in_a_frame(error)
    payload = {"reason": "initialization_error", "reloadable": False, "errorReason": said}
    assert len(json.dumps(payload)) <= 123  # RFC 6455, 5.5, without the status
    assert ("s3:ListBucket" in said) == (kind is ListingDenied)
    if kind is AccessDenied and code in ("AccessDenied", "SignatureDoesNotMatch"):
        assert code in said


async def test_a_refusal_names_the_right_that_it_takes(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    Denying(monkeypatch, 403, "put_object", "list_object_versions", "put_object_tagging")
    bucket = archive.bucket
    for call, right in [
        (bucket.put(KEY, b"", {}), "s3:PutObject"),
        (bucket.listing.page(KEY), "s3:ListBucketVersions"),
        (bucket.set_tags(KEY, "id", {"label": "x"}), "s3:PutObjectVersionTagging"),
    ]:
        with pytest.raises(AccessDenied, match=rf"allow {right}\.$"):
            await call


async def test_a_version_whose_details_are_denied_is_listed_with_the_reason(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.save_file("a.txt", b"there", authors={"Ann"})
    Denying(monkeypatch, 403, "get_object", "head_object")
    page = await archive.history("a.txt", details=True)
    assert [(version.authors, version.label) for version in page.versions] == [((), None)]
    assert "AccessDenied: Denied" in page.versions[0].details_error
    assert "s3:GetObjectVersion" in page.versions[0].details_error
    for filtered in (
        archive.history("a.txt", author="Ann"),
        archive.history("a.txt", labelled=True),
    ):
        with pytest.raises(AccessDenied):  # nobody may take what is unknown for what is not there
            await filtered


# -- copies ----------------------------------------------------------------------------------------


async def test_what_may_not_be_copied_is_read_and_written(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.save_file("a.txt", b"said")
    (version,) = (await archive.history("a.txt")).versions
    await archive.label("a.txt", version.version_id, "sent")
    Denying(monkeypatch, 403, "copy_object")  # as it is where s3:PutObjectTagging is denied
    await archive.delete_file("a.txt")
    (back,) = await archive.undelete("a.txt")
    assert (await archive.read("a.txt")).raw() == b"said"
    assert (await archive.find("a.txt", back.version_id)).label is None
    assert (await archive.bucket.head(back.key)).content_type == "application/octet-stream"


async def test_a_copy_that_cannot_be_written_either_says_so(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.save_file("a.txt", b"said")
    await archive.delete_file("a.txt")
    Denying(monkeypatch, 403, "copy_object", "put_object", said=KMS)
    with pytest.raises(AccessDenied, match=r"Could not write .*kms:GenerateDataKey"):
        await archive.undelete("a.txt")


async def test_object_lock_does_not_stop_what_is_copied(moto_server: S3Server) -> None:
    s3, name = connect(moto_server), f"locked-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    async with Archive(BookstoreSettings(**s3_options(moto_server, name))) as archive:
        await archive.save_file("a.txt", b"said")
        await archive.delete_file("a.txt")
        (back,) = await archive.undelete("a.txt")
        assert (await archive.read("a.txt")).raw() == b"said"
    locked = s3.head_object(Bucket=name, Key=back.key, VersionId=back.version_id)
    assert locked["ObjectLockMode"] == "GOVERNANCE"
