"""What the archive promises about saved files, on every S3 server."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import Version
from bookstore_y.errors import (
    AccessDenied,
    BucketUnavailable,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidPath,
    VersioningNotEnabled,
)
from bookstore_y.keys import Document
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.objects import StoredObject

from .conftest import Configure, Tick
from .denials import deny
from .documents import Writer

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

pytestmark = pytest.mark.any_server

KEY = "workspace/a.md"


async def saved(archive: Archive, path: str, body: bytes) -> Version:
    version = await archive.save_file(path, body)
    assert version is not None
    return version


async def raw(archive: Archive, path: str, version_id: str | None = None) -> bytes:
    return (await archive.read(path, version_id)).raw()


async def ids(archive: Archive, path: str) -> list[str]:
    return [v.version_id for v in (await archive.history(path, kinds=("save",))).versions]


class Flips:
    """Flips a bit in the bodies of the next so many readings, each time another one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.flipped = 0
        get = Bucket.get

        async def damaged(
            bucket: Bucket, key: str, version_id: str | None = None, *, max_size: int | None = None
        ) -> StoredObject:
            stored = await get(bucket, key, version_id, max_size=max_size)
            if not self.left:
                return stored
            self.left -= 1
            self.flipped += 1
            body = bytearray(stored.body)
            body[-self.flipped % len(body)] ^= 0x10
            return dataclasses.replace(stored, body=bytes(body))

        patch.setattr(Bucket, "get", damaged)


# -- saving -------------------------------------------------------------------------------------


async def test_a_save_is_the_file_itself_under_its_own_path(
    archive: Archive, boto3_client: S3Client, bucket_name: str
) -> None:
    version = await archive.save_file(
        "a.md", b"# One\n", authors=("Zo\u00eb, \U0001f30a",), content_type="text/markdown"
    )
    assert version is not None

    stored = boto3_client.get_object(Bucket=bucket_name, Key=KEY)
    assert stored["Body"].read() == b"# One\n"
    assert (stored["VersionId"], stored["ContentType"]) == (version.version_id, "text/markdown")
    assert (version.kind, version.path, version.key) == ("save", "a.md", KEY)
    assert (version.origin, version.authors, version.parent) == ("save", ("Zoë, 🌊",), "")
    assert (version.is_latest, version.size, version.type) == (True, 6, None)
    assert await archive.find("a.md", version.version_id) == version


async def test_each_save_names_the_one_before(archive: Archive) -> None:
    first = await saved(archive, "a.md", b"one")
    second = await saved(archive, "a.md", b"two")

    assert (first.parent, second.parent) == ("", first.version_id)
    assert await ids(archive, "a.md") == [second.version_id, first.version_id]
    assert await raw(archive, "a.md", first.version_id) == b"one"


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\xff\xfe\x00", "e\u0301".encode(), b"\r\n", b"x" * 100, b"\xef\xbb\xbfa"]
)
async def test_any_bytes_are_kept_as_they_are(archive: Archive, body: bytes) -> None:
    for path in ("a.md", "a.ipynb", "a.bin"):
        version = await saved(archive, path, body)

        assert await raw(archive, path) == body
        assert version.size == len(body)
        assert await archive.save_file(path, body) is None
        [listed] = (await archive.history(path, details=True)).versions
        # Ceph tells milliseconds with a listing alone.
        assert listed == dataclasses.replace(version, last_modified=listed.last_modified)


async def test_a_large_file(archive: Archive) -> None:
    body = os.urandom(10_000_000)

    version = await saved(archive, "a.bin", body)

    assert version.size == len(body)
    assert await raw(archive, "a.bin") == body
    assert await archive.save_file("a.bin", body) is None


async def test_identical_content_makes_no_version(archive: Archive) -> None:
    first = await saved(archive, "a.md", b"one")

    assert await archive.save_file("a.md", b"one", authors=("Bob",), origin="other") is None
    assert await ids(archive, "a.md") == [first.version_id]

    second = await saved(archive, "a.md", b"two")
    third = await saved(archive, "a.md", b"one")
    assert await ids(archive, "a.md") == [third.version_id, second.version_id, first.version_id]


async def test_identical_content_makes_a_version_after_a_deletion(archive: Archive) -> None:
    await saved(archive, "a.md", b"one")
    await archive.delete_file("a.md")

    again = await saved(archive, "a.md", b"one")

    assert again.parent == ""
    assert len(await ids(archive, "a.md")) == 2
    assert await raw(archive, "a.md") == b"one"


@pytest.mark.parametrize("body", [b"one", b""])
async def test_what_another_program_saved_is_known_by_its_content(
    archive: Archive, boto3_client: S3Client, bucket_name: str, body: bytes
) -> None:
    written = boto3_client.put_object(Bucket=bucket_name, Key=KEY, Body=body)

    assert await archive.save_file("a.md", body) is None
    assert await raw(archive, "a.md") == body
    changed = await saved(archive, "a.md", b"eno")
    assert changed.parent == written["VersionId"]


async def test_a_file_and_its_room_are_apart(archive: Archive) -> None:
    await Writer("room").save(archive, Document("a.md", "file"))
    await saved(archive, "a.md", b"save")

    await archive.delete_file("a.md")

    assert await raw(archive, "a.md") == b"room"
    assert await archive.files_under("a.md") == []


async def test_two_servers_that_save_one_file_lose_nothing(
    archive: Archive, second_archive: Archive
) -> None:
    bodies = [f"{n}".encode() for n in range(6)]

    versions = await asyncio.gather(
        *(saved((archive, second_archive)[n % 2], "a.md", body) for n, body in enumerate(bodies))
    )

    assert {await raw(archive, "a.md", v.version_id) for v in versions} == set(bodies)
    newest, *_ = await ids(archive, "a.md")
    assert await raw(second_archive, "a.md") == await raw(archive, "a.md", newest)


async def test_a_path_that_can_be_no_key_is_refused(archive: Archive) -> None:
    for path in ("", "/a", "a//b", "../a", "a\0", "\ud800", "a.y.zst", "x" * 1025):
        with pytest.raises(InvalidPath):
            await archive.save_file(path, b"x")
        with pytest.raises(InvalidPath):
            await archive.delete_file(path)
    assert [entry async for entry in archive.bucket.listing.under("")] == []


async def test_the_longest_path_has_versions_too(archive: Archive) -> None:
    path = "x" * (1024 - len("workspace/"))

    first = await saved(archive, path, b"one")
    second = await saved(archive, path, b"two")

    assert await ids(archive, path) == [second.version_id, first.version_id]
    assert len((await archive.history(path)).versions) == 2
    assert await raw(archive, path, first.version_id) == b"one"
    assert await archive.undelete(path) == []


async def test_a_bucket_that_keeps_no_versions_is_not_saved_into(
    archive: Archive, configure: Configure, boto3_client: S3Client, bucket_name: str
) -> None:
    boto3_client.put_bucket_versioning(
        Bucket=bucket_name, VersioningConfiguration={"Status": "Suspended"}
    )

    with pytest.raises(VersioningNotEnabled):
        await archive.save_file("a.md", b"x")
    async with Archive(configure(allow_unversioned=True)) as careless:
        assert (await saved(careless, "a.md", b"x")).version_id == "null"


async def test_nothing_is_saved_when_the_current_version_cannot_be_known(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await saved(archive, "a.md", b"one")
    for operation in ("head_object", "get_object"):
        deny(archive, operation, monkeypatch)

    with pytest.raises(AccessDenied):
        await archive.save_file("a.md", b"two")
    monkeypatch.undo()
    assert await ids(archive, "a.md") == [first.version_id]


# -- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
async def test_a_file_that_arrives_damaged_is_read_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    version = await saved(archive, "a.md", b"whole")
    flips = Flips(monkeypatch)

    for version_id in (None, version.version_id):
        flips.left, flips.flipped = times, 0
        assert await raw(archive, "a.md", version_id) == b"whole"
        assert flips.flipped == times


async def test_a_way_that_damages_everything_is_unavailable(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await saved(archive, "a.md", b"whole")
    Flips(monkeypatch).left = 100

    with pytest.raises(BucketUnavailable, match="arrives damaged"):
        await archive.read("a.md")


async def test_what_arrives_twice_alike_is_what_the_bucket_holds(archive: Archive) -> None:
    for digest in ("0" * 64, "", "no digest"):
        await archive.bucket.put(KEY, b"edited in place", {"sha256": digest})

        assert await raw(archive, "a.md") == b"edited in place"


async def test_a_file_over_the_limit_is_not_read(archive: Archive, configure: Configure) -> None:
    await saved(archive, "a.md", b"x" * 1000)

    async with Archive(configure(max_document_size=999)) as strict:
        with pytest.raises(DocumentTooLarge, match="max_document_size"):
            await strict.read("a.md")


# -- renames and deletions ----------------------------------------------------------------------


async def test_a_renamed_file_keeps_its_versions(archive: Archive, s3_clock: Tick) -> None:
    first = await archive.save_file("a.md", b"one", authors=("Ada",), content_type="text/markdown")
    assert first is not None
    await s3_clock()

    moved = await archive.renaming.rename_file("a.md", "b/c.md")

    assert moved is not None
    newest, oldest = (await archive.history("b/c.md", details=True)).versions
    assert (newest.version_id, newest.path) == (moved.version_id, "b/c.md")
    assert (newest.origin, newest.parent) == ("renamed-from:a.md", first.version_id)
    assert newest.authors == ()
    assert (oldest.version_id, oldest.path) == (first.version_id, "a.md")
    assert await raw(archive, "b/c.md") == await raw(archive, "b/c.md", first.version_id) == b"one"
    assert (await archive.bucket.head("workspace/b/c.md")).content_type == "text/markdown"
    assert await archive.save_file("b/c.md", b"one") is None
    with pytest.raises(DocumentNotFound):
        await archive.read("a.md")


async def test_a_file_that_is_renamed_onto_another_takes_its_place(
    archive: Archive, s3_clock: Tick
) -> None:
    theirs = await saved(archive, "b.md", b"theirs")
    ours = await saved(archive, "a.md", b"ours")
    await s3_clock()

    moved = await archive.renaming.rename_file("a.md", "b.md")

    assert moved is not None
    assert await raw(archive, "b.md") == b"ours"
    assert await raw(archive, "b.md", theirs.version_id) == b"theirs"
    listed = await ids(archive, "b.md")
    assert listed[0] == moved.version_id
    assert sorted(listed[1:]) == sorted([ours.version_id, theirs.version_id])


async def test_a_file_is_renamed_there_and_back(archive: Archive, s3_clock: Tick) -> None:
    wanted = [(await saved(archive, "a.md", b"one")).version_id]
    for source, target in (("a.md", "b.md"), ("b.md", "c.md"), ("c.md", "a.md")):
        await s3_clock()
        moved = await archive.renaming.rename_file(source, target)
        assert moved is not None
        wanted.insert(0, moved.version_id)
        await s3_clock()
        wanted.insert(0, (await saved(archive, target, target.encode())).version_id)

    assert await ids(archive, "a.md") == wanted
    assert await archive.files_under("a.md") == ["a.md"]


async def test_what_is_not_there_is_not_renamed_nor_deleted(archive: Archive) -> None:
    assert await archive.renaming.rename_file("a.md", "b.md") is None
    await archive.delete_file("a.md")

    assert [entry async for entry in archive.bucket.listing.under("")] == []
    await saved(archive, "a.md", b"one")
    for _ in range(2):
        await archive.delete_file("a.md")
        assert await archive.renaming.rename_file("a.md", "b.md") is None
    entries = [entry async for entry in archive.bucket.listing.versions(KEY)]
    assert [entry.is_delete_marker for entry in entries] == [True, False]


async def test_a_file_that_is_renamed_to_its_own_name_stays(archive: Archive) -> None:
    await saved(archive, "a.md", b"one")

    await archive.renaming.rename_file("a.md", "a.md")

    assert await raw(archive, "a.md") == b"one"


async def test_a_rename_to_what_can_be_no_key_leaves_the_file(archive: Archive) -> None:
    await saved(archive, "a.md", b"one")

    for target in ("", "../a", "x" * 1025, "b.y.zst"):
        with pytest.raises(InvalidPath):
            await archive.renaming.rename_file("a.md", target)
    assert await raw(archive, "a.md") == b"one"


async def test_the_files_under_a_path(archive: Archive) -> None:
    inside = ["d/a.md", "d/b c+.md", "d/e/🌊.md", "d/notes.file.y.zst.md"]
    for path in [*inside, "d", "d.md", "d-e/a.md", "dd/a.md"]:
        await saved(archive, path, path.encode())
        await Writer("x").save(archive, Document(path, "file"))
    await Writer("x").save(archive, Document("d/room alone.md", "file"))
    await saved(archive, "d/gone.md", b"x")
    await archive.delete_file("d/gone.md")

    assert await archive.files_under("d") == ["d", *sorted(inside)]
    assert await archive.files_under("d/e") == ["d/e/🌊.md"]
    assert await archive.files_under("d.md") == ["d.md"]
    assert await archive.files_under("none") == []
