"""The current files of a workspace, on every S3 server."""

from __future__ import annotations

import pytest

from bookstore_y import Archive
from bookstore_y.archive.current_files import CurrentFiles
from bookstore_y.s3.objects import ObjectPage

from .denials import deny

pytestmark = pytest.mark.any_server

NAMES = ["a.txt", "a b+c%2B.txt", "ä/ö ü.txt", "d/e/f.txt", "d/g.txt", "d.txt", "da.txt"]


@pytest.fixture(params=["objects", "versions"])
async def current(
    request: pytest.FixtureRequest, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> CurrentFiles:
    """The files of a bucket in which one was deleted, which lists objects, or versions alone."""
    for name in [*NAMES, "deleted/x.txt"]:
        await archive.save_file(name, name.encode())
    await archive.save_file("a.txt", b"changed")
    await archive.delete_file("deleted/x.txt")
    await archive.bucket.put("workspace/a.txt.file.y.zst", b"a snapshot", {})
    await archive.bucket.put("workspace/untyped.y.zst", b"another program's", {})
    await archive.bucket.put("workspace/.bookstore/record.json", b"{}", {})
    if request.param == "versions":
        deny(archive, "list_objects_v2", monkeypatch)
    return CurrentFiles(archive.bucket, archive.settings)


async def test_all_files_are_those_that_were_not_deleted(current: CurrentFiles) -> None:
    files = {file.path: file for file in await current.all()}
    assert set(files) == set(NAMES)
    assert {body.type for body in files["a.txt"].bodies} == {None, "file"}
    assert files["d.txt"].newest.size == len("d.txt")
    assert {file.path for file in await current.all("d")} == {"d/e/f.txt", "d/g.txt"}


async def test_one_directory_is_listed_without_those_in_it(current: CurrentFiles) -> None:
    top = await current.level("")
    assert set(top.files) == {"a.txt", "a b+c%2B.txt", "d.txt", "da.txt"}
    # moto 5.2 names the directories of deleted files, too.
    assert top.directories - {"deleted"} == {"ä", "d"}
    assert set((await current.level("ä")).files) == {"ö ü.txt"}
    stem = await current.level("", "d")
    assert set(stem.files) == {"d.txt", "da.txt"}
    assert stem.directories - {"deleted"} == {"d"}


async def test_what_is_at_a_path(current: CurrentFiles) -> None:
    for name in NAMES:
        file, is_directory = await current.at(name)
        assert file is not None
        assert file.path == name
        assert not is_directory
    assert await current.at("d") == (None, True)
    assert await current.at("deleted") == (None, False)
    assert await current.at("deleted/x.txt") == (None, False)
    assert await current.at("nowhere/x.txt") == (None, False)


@pytest.mark.parametrize("delimiter", ["", "/"])
async def test_pages_have_everything_once(archive: Archive, delimiter: str) -> None:
    # LocalStack 4.8 leaves keys beyond ASCII out of all pages but the first.
    for name in filter(str.isascii, NAMES):
        await archive.save_file(name, b"words")

    async def page(after: str | None, limit: int) -> ObjectPage:
        return await archive.bucket.listing.object_page(
            "workspace/", after=after, limit=limit, delimiter=delimiter
        )

    whole = await page(None, 1000)
    assert whole.next is None
    objects, prefixes = [], []
    after: str | None = None
    while True:
        part = await page(after, 2)
        assert len(part.objects) + len(part.prefixes) <= 2
        objects += part.objects
        prefixes += part.prefixes
        after = part.next
        if after is None:
            break
    assert [each.key for each in objects] == [each.key for each in whole.objects]
    assert sorted(prefixes) == sorted(whole.prefixes)
