"""What `Bucket` promises, on every S3 server."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from bookstore_y.errors import (
    AccessDenied,
    BucketError,
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidPath,
    PreconditionFailed,
    VersioningNotEnabled,
    VersionNotFound,
)
from bookstore_y.keys import Document, document_of, snapshot_key
from bookstore_y.s3 import setup
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.objects import ObjectVersion
from bookstore_y.s3.preconditions import IfMatch, IfNew
from bookstore_y.s3.probing import honours_conditions
from bookstore_y.settings import BookstoreSettings
from harness.servers import S3Server, free_port, make_bucket

from .conftest import Configure, Tick
from .endpoints import answering

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client as AsyncS3Client
    from types_boto3_s3.client import S3Client

UNKNOWN_IDS = [
    pytest.param("null", id="null"),
    pytest.param("x", id="short"),
    pytest.param("no such version", id="spaces"),
    pytest.param("a/../b", id="path"),
    pytest.param("ünknown-🌊", id="unicode"),
    pytest.param("a&versionId=b#c", id="url"),
    pytest.param("x" * 1025, id="long"),
    pytest.param(uuid.UUID(int=1).hex, id="hexadecimal"),
    pytest.param("3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", id="like AWS"),
]

AWKWARD_PATHS = [
    pytest.param("Tagesbericht 🌊.ipynb", id="emoji"),
    pytest.param("cafe\u0301.ipynb", id="decomposed"),
    pytest.param(" spaces  inside and around ", id="spaces"),
    pytest.param("1+1=2.ipynb", id="plus"),
    pytest.param("100%25%2F.ipynb", id="percent"),
    pytest.param("\"double\" 'single' `back`.txt", id="quotes"),
    pytest.param("<b>&amp;</b>.xml", id="markup"),
    pytest.param(".hidden/..still...hidden.", id="dots"),
    pytest.param("what?versionId=1#fragment&x;y:z@\\", id="url"),
    pytest.param("日本語/Übersicht/noté.md", id="directories"),
]


Operation = Callable[[Bucket], Awaitable[object]]

READ: dict[str, Operation] = {
    "get": lambda bucket: bucket.get("key"),
    "get a version": lambda bucket: bucket.get("key", "id"),
    "list": lambda bucket: listed(bucket, "key"),
}
HEAD: dict[str, Operation] = {
    "head": lambda bucket: bucket.head("key"),
    "head a version": lambda bucket: bucket.head("key", "id"),
}
WRITE: dict[str, Operation] = {
    "put": lambda bucket: bucket.put("key", b"body", {}),
    "copy": lambda bucket: bucket.copy("key", "id", "other", {}),
    "delete": lambda bucket: bucket.delete("key"),
}
CHECK: dict[str, Operation] = {"check": setup.check}


def each(*operations: dict[str, Operation]) -> pytest.MarkDecorator:
    """Once for each of those operations."""
    cases = [pytest.param(call, id=name) for group in operations for name, call in group.items()]
    return pytest.mark.parametrize("operation", cases)


async def listed(bucket: Bucket, key: str) -> list[ObjectVersion]:
    return [version async for version in bucket.listing.versions(key)]


# -- is it a bucket to archive into? ----------------------------------------------------------


async def test_a_versioned_bucket_is_accepted(bucket: Bucket) -> None:
    await setup.check(bucket)


async def test_a_missing_bucket_is_named(configure: Configure) -> None:
    async with Bucket(configure(s3_bucket="no-such-bucket")) as bucket:
        with pytest.raises(BucketNotFound, match=r"no-such-bucket.*create_bucket"):
            await setup.check(bucket)


@each(READ, WRITE)
async def test_a_missing_bucket_is_no_missing_document(
    configure: Configure, operation: Operation
) -> None:
    async with Bucket(configure(s3_bucket="no-such-bucket")) as bucket:
        with pytest.raises(BucketNotFound):
            await operation(bucket)


async def test_a_missing_bucket_is_created_with_versioning_on(
    configure: Configure, boto3_client: S3Client
) -> None:
    name = f"created-{uuid.uuid4().hex[:12]}"
    async with Bucket(configure(s3_bucket=name, create_bucket=True)) as bucket:
        await setup.check(bucket)
        await setup.check(bucket)

    assert boto3_client.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"


async def test_creating_leaves_a_bucket_that_exists_as_it_is(
    configure: Configure, boto3_client: S3Client, bucket_name: str
) -> None:
    boto3_client.put_object(Bucket=bucket_name, Key="kept", Body=b"kept")

    async with Bucket(configure(create_bucket=True)) as bucket:
        await setup.check(bucket)

        assert (await bucket.get("kept")).body == b"kept"


@pytest.mark.parametrize("suspended", [False, True], ids=["never versioned", "suspended"])
async def test_a_bucket_without_versioning_is_refused_unless_allowed(
    configure: Configure, s3_server: S3Server, boto3_client: S3Client, suspended: bool
) -> None:
    name = make_bucket(s3_server, versioned=False)
    if suspended:
        for status in ("Enabled", "Suspended"):
            boto3_client.put_bucket_versioning(
                Bucket=name,
                VersioningConfiguration={"Status": status},
            )

    for create in (False, True):
        async with Bucket(configure(s3_bucket=name, create_bucket=create)) as bucket:
            with pytest.raises(VersioningNotEnabled, match="allow_unversioned"):
                await setup.check(bucket)
    async with Bucket(configure(s3_bucket=name, allow_unversioned=True)) as bucket:
        await setup.check(bucket)


async def test_an_unversioned_bucket_that_is_allowed_keeps_the_last_version(
    configure: Configure, s3_server: S3Server
) -> None:
    name = make_bucket(s3_server, versioned=False)
    async with Bucket(configure(s3_bucket=name, allow_unversioned=True)) as bucket:
        await bucket.put("key", b"first", {})
        written = await bucket.put("key", b"second", {})

        assert written.version_id == "null"
        assert (await bucket.get("key")).body == b"second"
        assert [version.version_id for version in await listed(bucket, "key")] == ["null"]


@pytest.mark.s3_only("ceph")  # moto and LocalStack take any
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"s3_secret_access_key": "wrong"}, id="secret key"),
        pytest.param({"s3_access_key_id": "nobody"}, id="access key"),
    ],
)
@each(CHECK, READ, HEAD, WRITE)
async def test_wrong_credentials_are_access_denied(
    configure: Configure, operation: Operation, wrong: dict[str, str]
) -> None:
    async with Bucket(configure(**wrong)) as bucket:
        with pytest.raises(AccessDenied, match="credentials"):
            await operation(bucket)


async def test_no_credentials_at_all_are_access_denied(configure: Configure) -> None:
    settings = configure(s3_access_key_id="", s3_secret_access_key="")
    async with Bucket(settings) as bucket:
        with pytest.raises(AccessDenied, match="s3_access_key_id"):
            await setup.check(bucket)


async def test_half_a_key_pair_is_a_mistake_in_the_configuration(configure: Configure) -> None:
    async with Bucket(configure(s3_secret_access_key="")) as bucket:
        with pytest.raises(ConfigurationError, match="s3_secret_access_key"):
            await setup.check(bucket)


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param({"s3_endpoint_url": "localhost:9000"}, id="endpoint without scheme"),
        pytest.param({"s3_endpoint_url": "http://"}, id="endpoint without host"),
        pytest.param({"s3_bucket": "not a bucket/name"}, id="bucket name"),
    ],
)
async def test_a_setting_that_cannot_be_right_is_a_mistake_in_the_configuration(
    configure: Configure, mistake: dict[str, str]
) -> None:
    async with Bucket(configure(**mistake)) as bucket:
        with pytest.raises(ConfigurationError, match="correct BookstoreSettings"):
            await setup.check(bucket)


# -- endpoints that are no S3 server (nothing here depends on one) -----------------------------


@pytest.fixture
def elsewhere() -> Configure:
    """Settings for an endpoint that is not S3's."""

    def settings(**changes: Any) -> BookstoreSettings:
        plain = {
            "s3_bucket": "bucket",
            "s3_access_key_id": "id",
            "s3_secret_access_key": "secret",
            "max_attempts": 1,
        }
        return BookstoreSettings(**{**plain, **changes})

    return settings


@each(CHECK, READ, HEAD, WRITE, {"probe": honours_conditions})
async def test_nobody_at_the_endpoint_is_unavailable(
    elsewhere: Configure, operation: Operation
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Bucket(elsewhere(s3_endpoint_url=url)) as bucket:
        with pytest.raises(BucketUnavailable, match=url):
            await operation(bucket)


@each(CHECK, READ, HEAD, WRITE)
async def test_no_bucket_set_is_a_mistake_in_the_configuration(
    elsewhere: Configure, operation: Operation
) -> None:
    async with Bucket(elsewhere(s3_bucket="")) as bucket:
        with pytest.raises(ConfigurationError, match="s3_bucket"):
            await operation(bucket)


NOT_S3 = [
    pytest.param("404 Not Found", "text/plain", b"404 page not found\n", id="text"),
    pytest.param(
        "404 Not Found",
        "text/html",
        b"<html><head><title>404 Not Found</title></head><body>nginx version 1.2</body></html>",
        id="html",
    ),
    pytest.param("404 Not Found", "application/json", b'{"detail": "Not Found"}', id="json"),
    pytest.param("404 Not Found", "text/plain", b"", id="nothing"),
    pytest.param("400 Bad Request", "text/plain", b"HTTP version not supported", id="bad request"),
    pytest.param("405 Method Not Allowed", "text/plain", b"", id="not allowed"),
]


@pytest.mark.parametrize(("status", "content_type", "body"), NOT_S3)
@each(READ, HEAD, WRITE)
async def test_an_answer_that_is_not_s3s_does_not_say_that_a_document_is_not_there(
    elsewhere: Configure, operation: Operation, status: str, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    async with (
        answering(status, headers, body) as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        with pytest.raises(BucketError):  # which NotFound is not
            await operation(bucket)


@each(READ, HEAD, {"put": WRITE["put"]})
async def test_a_page_that_asks_to_log_in_is_no_answer(
    elsewhere: Configure, operation: Operation
) -> None:
    body = b"<html><body>Please log in</body></html>"
    headers = {"Content-Type": "text/html", "Content-Length": str(len(body))}
    async with (
        answering("200 OK", headers, body) as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        with pytest.raises(BucketError):
            await operation(bucket)


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"]
)
@each(CHECK, READ, HEAD, WRITE)
async def test_a_server_that_cannot_serve_now_is_unavailable(
    elsewhere: Configure, operation: Operation, status: str
) -> None:
    async with (
        answering(status, {"Content-Length": "0"}) as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        with pytest.raises(BucketUnavailable):
            await operation(bucket)


async def test_an_object_over_the_limit_is_refused_before_it_is_read(elsewhere: Configure) -> None:
    headers = {
        "Content-Length": str(2**40),
        "ETag": '"0"',
        "Last-Modified": "Thu, 01 Oct 2026 00:00:00 GMT",
    }
    async with (
        answering("200 OK", headers, b"the first bytes of a terabyte") as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        with pytest.raises(DocumentTooLarge, match="max_document_size"):
            await bucket.get("key", max_size=2**20)


async def test_a_body_that_breaks_off_is_unavailable_and_never_half_an_object(
    elsewhere: Configure,
) -> None:
    headers = {
        "Content-Length": "1000",
        "ETag": '"0"',
        "Last-Modified": "Thu, 01 Oct 2026 00:00:00 GMT",
    }
    async with (
        answering("200 OK", headers, b"half") as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        with pytest.raises(BucketUnavailable):
            await bucket.get("key")


# -- objects ----------------------------------------------------------------------------------


async def test_what_is_put_is_got_with_its_metadata(
    bucket: Bucket, boto3_client: S3Client, bucket_name: str
) -> None:
    authors = ",".join(map(quote, ["Zoë Müller", "李 雷", "O'Brien, Pat", "🌊"]))
    metadata = {"format": "1", "authors": authors, "origin": "restore:a.b_c-d"}

    written = await bucket.put("a/b.y.zst", b"\0\1body\xff", metadata)
    stored = await bucket.get("a/b.y.zst")

    assert stored.body == b"\0\1body\xff"
    assert stored.metadata == metadata
    assert stored.size == 7
    assert stored.key == "a/b.y.zst"
    assert (stored.version_id, stored.etag) == (written.version_id, written.etag)
    assert stored.last_modified.tzinfo is not None
    theirs = boto3_client.get_object(Bucket=bucket_name, Key="a/b.y.zst")
    assert theirs["ContentType"] == "application/zstd"
    assert theirs["Metadata"] == metadata


async def test_a_head_tells_all_but_the_body(bucket: Bucket) -> None:
    await bucket.put("key", b"old", {"n": "1"})
    written = await bucket.put("key", b"body", {"n": "2"})

    for stored in (await bucket.head("key"), await bucket.head("key", written.version_id)):
        assert stored.body == b""
        assert (stored.size, stored.metadata) == (4, {"n": "2"})
        assert (stored.version_id, stored.etag) == (written.version_id, written.etag)


async def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    await bucket.put("key", b"", {})

    assert (await bucket.get("key")).body == b""


async def test_metadata_may_take_2_kb(bucket: Bucket) -> None:
    metadata = {"authors": "a" * (2048 - len("authors"))}

    await bucket.put("key", b"body", metadata)

    assert (await bucket.get("key")).metadata == metadata


async def test_each_version_is_got_by_its_id(bucket: Bucket) -> None:
    written = [await bucket.put("key", str(n).encode(), {"n": str(n)}) for n in range(3)]

    for n, version in enumerate(written):
        stored = await bucket.get("key", version.version_id)
        assert (stored.body, stored.metadata) == (str(n).encode(), {"n": str(n)})
    assert (await bucket.get("key")).body == b"2"


async def test_an_object_over_the_limit_is_refused(bucket: Bucket) -> None:
    await bucket.put("key", bytes(1001), {})

    assert len((await bucket.get("key", max_size=1001)).body) == 1001
    with pytest.raises(DocumentTooLarge, match="1001 bytes"):
        await bucket.get("key", max_size=1000)


async def test_what_was_never_there_is_not_found(bucket: Bucket) -> None:
    for read in (bucket.get, bucket.head):
        with pytest.raises(DocumentNotFound):
            await read("key")


async def test_what_was_deleted_is_not_found_but_its_versions_are(bucket: Bucket) -> None:
    written = await bucket.put("key", b"body", {})
    await bucket.delete("key")

    for read in (bucket.get, bucket.head):
        with pytest.raises(DocumentNotFound):
            await read("key")
    assert (await bucket.get("key", written.version_id)).body == b"body"


async def test_deleting_a_version_is_for_good(bucket: Bucket) -> None:
    first = await bucket.put("key", b"first", {})
    second = await bucket.put("key", b"second", {})

    await bucket.delete("key", second.version_id)

    assert [v.version_id for v in await listed(bucket, "key")] == [first.version_id]
    assert (await bucket.get("key")).body == b"first"


@pytest.mark.parametrize("version_id", UNKNOWN_IDS)
async def test_an_unknown_version_id_is_a_version_not_found(
    bucket: Bucket, version_id: str
) -> None:
    await bucket.put("key", b"body", {})

    for read in (bucket.get, bucket.head):
        with pytest.raises(VersionNotFound):
            await read("key", version_id)


async def test_an_empty_version_id_does_not_mean_the_current_version(bucket: Bucket) -> None:
    await bucket.put("key", b"body", {})

    with pytest.raises(VersionNotFound):
        await bucket.get("key", "")


async def test_another_keys_version_id_is_a_version_not_found(bucket: Bucket) -> None:
    await bucket.put("key", b"body", {})
    other = await bucket.put("other", b"other", {})
    await bucket.put("gone", b"gone", {})
    await bucket.delete("gone")

    for key in ("key", "gone"):
        for read in (bucket.get, bucket.head):
            with pytest.raises(VersionNotFound):
                await read(key, other.version_id)


async def test_a_delete_markers_id_is_a_version_not_found(bucket: Bucket) -> None:
    await bucket.put("key", b"body", {})
    await bucket.delete("key")
    marker, _ = await listed(bucket, "key")

    with pytest.raises(VersionNotFound):
        await bucket.get("key", marker.version_id)


async def test_a_copy_has_the_body_and_new_metadata(bucket: Bucket) -> None:
    first = await bucket.put("a", b"first", {"n": "1"})
    await bucket.put("a", b"second", {"n": "2"})

    written = await bucket.copy("a", first.version_id, "b", {"n": "3"})
    stored = await bucket.get("b")

    assert (stored.body, stored.metadata) == (b"first", {"n": "3"})
    assert (stored.version_id, stored.etag) == (written.version_id, written.etag)


# -- listings ---------------------------------------------------------------------------------


async def test_versions_come_newest_first(bucket: Bucket) -> None:
    written = [(await bucket.put("key", b"body", {})).version_id for _ in range(5)]

    versions = await listed(bucket, "key")

    assert [version.version_id for version in versions] == written[::-1]
    assert [version.is_latest for version in versions] == [True] + 4 * [False]


async def test_delete_markers_stand_between_the_versions_they_came_between(
    bucket: Bucket, s3_clock: Tick
) -> None:
    history = []
    for step in ["put", "put", "tick", "delete", "tick", "put", "put"]:
        if step == "put":
            history.append((await bucket.put("key", b"body", {})).version_id)
        elif step == "delete":
            await bucket.delete("key")
            history.append("deleted")
        else:
            await s3_clock()

    versions = await listed(bucket, "key")

    newest_first = ["deleted" if v.is_delete_marker else v.version_id for v in versions]
    assert newest_first == history[::-1]
    assert [version.is_latest for version in versions] == [True] + 4 * [False]
    assert [version.size for version in versions] == [4, 4, 0, 4, 4]


async def test_a_current_delete_marker_is_the_latest(bucket: Bucket) -> None:
    await bucket.put("key", b"body", {})
    await bucket.delete("key")

    marker, version = await listed(bucket, "key")

    assert (marker.is_delete_marker, marker.is_latest) == (True, True)
    assert (version.is_delete_marker, version.is_latest) == (False, False)


async def test_a_listing_tells_what_a_get_tells(bucket: Bucket) -> None:
    await bucket.put("key", b"four", {})

    [version] = await listed(bucket, "key")
    stored = await bucket.get("key")

    assert (version.key, version.size, version.is_latest) == ("key", 4, True)
    assert (version.version_id, version.etag) == (stored.version_id, stored.etag)


async def test_versions_are_of_one_key_and_not_of_those_that_begin_alike(bucket: Bucket) -> None:
    for key in ("a", "a b", "a.txt", "a/b", "a0", "A", "b"):
        await bucket.put(key, b"", {})
    await bucket.delete("a.txt")

    assert [version.key for version in await listed(bucket, "a")] == ["a"]


async def test_a_key_that_never_was_has_no_versions(bucket: Bucket) -> None:
    await bucket.put("key and more", b"", {})

    assert await listed(bucket, "key") == []


async def test_a_prefix_lists_by_key_and_then_newest_first(bucket: Bucket) -> None:
    ids: dict[str, list[str]] = {"p/a": [], "p/b/c": [], "p/é": []}
    for _ in range(2):
        for key, written in ids.items():
            written.insert(0, (await bucket.put(key, b"", {})).version_id)
    await bucket.delete("p/b/c")
    await bucket.put("q", b"", {})

    found = [version async for version in bucket.listing.under("p/")]

    assert [v.key for v in found] == ["p/a", "p/a", "p/b/c", "p/b/c", "p/b/c", "p/é", "p/é"]
    assert [v.is_delete_marker for v in found] == [False, False, True, False, False, False, False]
    for key, written in ids.items():
        assert [v.version_id for v in found if v.key == key and not v.is_delete_marker] == written


async def client_of(bucket: Bucket) -> AsyncS3Client:
    async with bucket.requests.connection.client() as client:
        return client


@pytest.fixture
async def small_pages(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes `bucket` list two versions a page; the list says how many were on each."""
    pages: list[int] = []
    client = await client_of(bucket)
    list_page = client.list_object_versions

    async def small_page(**arguments: Any) -> Any:
        assert len(pages) < 50, "the listing does not end"
        answer = await list_page(**{**arguments, "MaxKeys": 2})
        pages.append(len(answer.get("Versions", [])) + len(answer.get("DeleteMarkers", [])))
        return answer

    monkeypatch.setattr(client, "list_object_versions", small_page)
    return pages


async def write_history(bucket: Bucket, key: str) -> list[str]:
    """Three versions and two delete markers; their ids, newest first."""
    history: list[str] = []
    for step in ["put", "put", "delete", "put", "delete"]:
        if step == "put":
            history.insert(0, (await bucket.put(key, b"", {})).version_id)
        else:
            await bucket.delete(key)
            history.insert(0, "deleted")
    return history


async def check_paging(bucket: Bucket, pages: list[int], keys: list[str]) -> None:
    history = {key: await write_history(bucket, key) for key in keys}

    found = [version async for version in bucket.listing.under("")]

    for key in keys:
        of_key = [version for version in found if version.key == key]
        ids = [v.version_id for v in of_key if not v.is_delete_marker]
        assert ids == [version_id for version_id in history[key] if version_id != "deleted"]
        assert [v.is_latest for v in of_key] == [True] + 4 * [False]
        assert of_key[0].is_delete_marker
    assert len(found) == 5 * len(keys)
    assert max(pages) <= 2
    assert len(pages) >= len(found) / 2


async def test_a_listing_goes_on_where_its_page_ended(
    bucket: Bucket, small_pages: list[int]
) -> None:
    await check_paging(bucket, small_pages, ["a", "b/c.txt", "b/d"])


@pytest.mark.s3_only("moto", "ceph")  # LocalStack compares an encoded key with a plain marker
@pytest.mark.parametrize("key", ["a b", "a+b", "a%b", "100%25", "é🌊", "a&b"])
async def test_a_listing_goes_on_where_its_page_ended_in_an_awkward_key(
    bucket: Bucket, small_pages: list[int], key: str
) -> None:
    await check_paging(bucket, small_pages, sorted([key, "a", "zz"]))


async def test_a_listing_that_never_ends_is_an_error(elsewhere: Configure) -> None:
    page = b"""<?xml version="1.0" encoding="UTF-8"?>
        <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <IsTruncated>true</IsTruncated>
        <NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>
        <Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>
        <LastModified>2026-10-01T00:00:00.000Z</LastModified><Size>0</Size></Version>
        </ListVersionsResult>"""
    headers = {"Content-Type": "application/xml", "Content-Length": str(len(page))}
    async with (
        answering("200 OK", headers, page) as url,
        Bucket(elsewhere(s3_endpoint_url=url)) as bucket,
    ):
        listing = bucket.listing.under("")

        async def take_five() -> None:
            for _ in range(5):
                await anext(listing)

        with pytest.raises(BucketError):
            await take_five()


async def test_a_listing_goes_past_a_thousand_versions(bucket: Bucket) -> None:
    async def write(key: str) -> list[str]:
        return [(await bucket.put(key, b"body", {})).version_id for _ in range(127)]

    keys = [f"many/{n}" for n in range(8)]
    written = dict(zip(keys, await asyncio.gather(*map(write, keys)), strict=True))

    found = [version async for version in bucket.listing.under("many/")]

    assert len(found) == 8 * 127
    for key in keys:
        assert [v.version_id for v in found if v.key == key] == written[key][::-1]


@pytest.mark.parametrize("path", AWKWARD_PATHS)
async def test_a_path_with_awkward_characters_is_put_got_listed_and_copied(
    bucket: Bucket, path: str
) -> None:
    await check_path_is_kept(bucket, path)


async def check_path_is_kept(bucket: Bucket, path: str) -> None:
    document = Document(path, "notebook")
    key = snapshot_key("workspace", document)

    written = await bucket.put(key, b"body", {})
    await bucket.copy(key, written.version_id, f"copied/{key}", {})

    assert (await bucket.get(key)).body == b"body"
    assert (await bucket.get(key, written.version_id)).body == b"body"
    assert (await bucket.get(f"copied/{key}")).body == b"body"
    [version] = await listed(bucket, key)
    assert (version.key, version.version_id) == (key, written.version_id)
    [version] = [version async for version in bucket.listing.under("workspace/")]
    assert document_of("workspace", version.key) == document

    await bucket.delete(key)
    with pytest.raises(DocumentNotFound):
        await bucket.get(key)


async def test_composed_and_decomposed_letters_are_two_keys(bucket: Bucket) -> None:
    await bucket.put("caf\u00e9", b"composed", {})
    await bucket.put("cafe\u0301", b"decomposed", {})

    assert (await bucket.get("caf\u00e9")).body == b"composed"
    assert (await bucket.get("cafe\u0301")).body == b"decomposed"


async def test_the_longest_key_that_keys_allows_is_taken(bucket: Bucket) -> None:
    segment = "🌊" * 50
    path = "/".join([segment] * 4) + "/" + "x" * (1024 - 4 * 201 - len("workspace/.file.y.zst"))
    key = snapshot_key("workspace", Document(path, "file"))
    assert len(key.encode()) == 1024

    await bucket.put(key, b"body", {})

    assert (await bucket.get(key)).body == b"body"
    with pytest.raises(InvalidPath):
        snapshot_key("workspace", Document(path + "x", "file"))


# -- conditional writes -----------------------------------------------------------------------


async def test_conditional_writes_are_found_out_to_be_as_the_server_declares(
    bucket: Bucket, s3_server: S3Server
) -> None:
    assert await honours_conditions(bucket) is s3_server.conditional_writes


async def test_finding_out_leaves_nothing_behind(bucket: Bucket) -> None:
    await honours_conditions(bucket)

    assert [version async for version in bucket.listing.under("")] == []


async def test_finding_out_happens_once(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await asyncio.gather(*(honours_conditions(bucket) for _ in range(3)))

    async def put(*args: object, **kwargs: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(bucket, "put", put)
    assert [await honours_conditions(bucket) for _ in range(2)] == first[:2]


@pytest.mark.parametrize("said", [True, False])
async def test_what_the_settings_say_is_not_found_out(configure: Configure, said: bool) -> None:
    async with Bucket(configure(conditional_writes=said, s3_bucket="no-such-bucket")) as bucket:
        assert await honours_conditions(bucket) is said


@pytest.mark.s3_only("moto", "localstack")  # Ceph honours no conditions
async def test_a_conditional_put_is_refused_exactly_when_another_came_first(
    bucket: Bucket,
) -> None:
    first = await bucket.put("key", b"first", {}, precondition=IfNew())
    with pytest.raises(PreconditionFailed):
        await bucket.put("key", b"not first", {}, precondition=IfNew())
    await bucket.put("key", b"second", {}, precondition=IfMatch(first.etag))
    with pytest.raises(PreconditionFailed):
        await bucket.put("key", b"not second", {}, precondition=IfMatch(first.etag))

    assert (await bucket.get("key")).body == b"second"
    assert len(await listed(bucket, "key")) == 2

    await bucket.delete("key")
    await bucket.put("key", b"first again", {}, precondition=IfNew())


@pytest.mark.s3_only("moto", "localstack")  # Ceph honours no conditions
async def test_a_conditional_put_onto_what_was_deleted_or_never_was_is_refused(
    bucket: Bucket,
) -> None:
    first = await bucket.put("key", b"first", {})
    await bucket.delete("key")

    for key in ("key", "never was"):
        # AWS answers 404 here, and it must not read as if the document were to be found missing.
        with pytest.raises(PreconditionFailed):
            await bucket.put(key, b"second", {}, precondition=IfMatch(first.etag))


# -- connections ------------------------------------------------------------------------------


async def test_buckets_with_equal_settings_share_a_client(configure: Configure) -> None:
    async with Bucket(configure()) as one, Bucket(configure()) as other:
        assert await client_of(one) is await client_of(other)
        async with Bucket(configure(read_timeout=7.0)) as third:
            assert await client_of(third) is not await client_of(one)
        await one.put("key", b"body", {})
        async with Bucket(configure()):
            pass
        assert (await other.get("key")).body == b"body"


async def test_a_bucket_can_be_opened_again(configure: Configure) -> None:
    bucket = Bucket(configure())
    for _ in range(2):
        async with bucket:
            await setup.check(bucket)
    with pytest.raises(RuntimeError, match="async with"):
        await setup.check(bucket)


async def test_no_message_shows_a_credential(configure: Configure) -> None:
    secret = "a-very-secret-key"
    settings = configure(s3_secret_access_key=secret, s3_bucket="no-such-bucket", max_attempts=1)
    async with Bucket(settings) as bucket:
        with pytest.raises(BucketError) as raised:
            await setup.check(bucket)
    shown = json.dumps([str(raised.value), repr(settings), bucket.where])
    assert secret not in shown


_CREDENTIALS = """[default]
aws_access_key_id = {key}
aws_secret_access_key = {secret}
"""


@pytest.mark.s3_only("ceph")  # the others take any key
async def test_credentials_of_the_aws_chain_are_renewed_without_a_restart(
    s3_server: S3Server, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    file.write_text(_CREDENTIALS.format(key="expired", secret="expired-secret"))
    async with Bucket(configure(s3_access_key_id="", s3_secret_access_key="")) as bucket:
        with pytest.raises(AccessDenied):
            await setup.check(bucket)
        with pytest.raises(AccessDenied):
            await bucket.put("key", b"body", {})

        file.write_text(_CREDENTIALS.format(key=s3_server.access_key, secret=s3_server.secret_key))
        await setup.check(bucket)
        await bucket.put("key", b"body", {})
