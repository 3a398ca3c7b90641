"""Listing the files of a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.archive.workspace import ArchivedFile, Workspace, is_within
from bookstore_y.keys import Document, reserved_key
from bookstore_y.s3.objects import ObjectVersion
from bookstore_y.s3.requests import Requests

from .cli.command import checkpoint
from .support import Reader

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest_asyncio.fixture
async def archive(settings: BookstoreSettings) -> AsyncIterator[Archive]:
    async with Archive(settings) as archive:
        yield archive


async def paths(archive: Archive, path: str = "", **options: Any) -> list[str]:
    return [file.path async for file in archive.files(path, **options)]


async def test_each_file_comes_once_with_its_versions(archive: Archive) -> None:
    saved = await archive.save_file("d/a.txt", b"saved")
    snapshot = await checkpoint(archive, "d/a.txt", "typed")
    await archive.save_file("d/a.txt.bak", b"another")
    await checkpoint(archive, "b.txt", "alone")
    files = {file.path: file async for file in archive.files()}
    assert sorted(files) == ["b.txt", "d/a.txt", "d/a.txt.bak"]
    assert saved is not None
    found = {
        (version.kind, version.type, version.version_id) for version in files["d/a.txt"].versions
    }
    assert found == {
        ("save", None, saved.version_id),
        ("snapshot", "file", snapshot.version_id),
    }
    assert files["b.txt"].newest.kind == "snapshot"
    assert files["b.txt"].to_dict()["versions"][0]["path"] == "b.txt"


async def test_a_file_is_deleted_when_all_of_its_keys_are(archive: Archive) -> None:
    await archive.save_file("a.txt", b"saved")
    await checkpoint(archive, "a.txt", "typed")
    await archive.delete(Document("a.txt", "file"))
    (file,) = [file async for file in archive.files()]
    assert [version.kind for version in file.versions] == ["save"]
    await archive.delete_file("a.txt")
    assert await paths(archive) == []
    await archive.save_file("a.txt", b"there again")
    assert await paths(archive) == ["a.txt"]


async def test_it_is_there_at_the_moments_at_which_it_was(archive: Archive) -> None:
    await archive.save_file("a.txt", b"text")
    before = await next_second()
    await archive.delete_file("a.txt")
    during = await next_second()
    await archive.save_file("a.txt", b"again")
    after = await next_second()
    assert [await paths(archive, at=at) for at in (EPOCH, before, during, after)] == [
        [],
        ["a.txt"],
        [],
        ["a.txt"],
    ]


async def test_what_is_no_file_is_left_out(archive: Archive, reader: Reader) -> None:
    for key in ("directory/", ".y.zst", "d/.y.zst", f".bookstore_y-probe-{'0' * 32}"):
        await archive.bucket.put(f"workspace/{key}", b"", {})
    await archive.bucket.put("workspace/untyped.txt.y.zst", b"", {})
    files = [file async for file in archive.files()]
    assert [(file.path, file.newest.type) for file in files] == [("untyped.txt", None)]


@pytest.mark.parametrize("prefix", ["workspace/", ""])
async def test_bookkeeping_is_no_file(settings: BookstoreSettings, prefix: str) -> None:
    own = settings.for_bucket(settings.s3_bucket)
    own.workspace_prefix = prefix
    async with Archive(own) as archive:
        for name in ("journal/w/1.zst", "renamed/a.json", "a.ipynb", "a.txt.file.y.zst"):
            await archive.bucket.put(reserved_key(prefix, name), b"", {})
        await archive.save_file("a.txt", b"text")
        assert await paths(archive) == ["a.txt"]
        assert await paths(archive, ".bookstore") == []


async def test_a_thousand_versions_take_one_request(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{index}.txt" for index in range(60)]
    await asyncio.gather(*(archive.save_file(name, b"text") for name in names))
    calls: list[str] = []
    call = Requests.call

    async def counted(self: Requests, what: str, request: Any) -> Any:
        calls.append(what)
        return await call(self, what, request)

    monkeypatch.setattr(Requests, "call", counted)
    assert sorted(await paths(archive)) == sorted(names)
    assert len(calls) == 1


async def next_second() -> datetime:
    """The moment now, which what is written next comes after: S3's times are in whole seconds."""
    now = datetime.now(timezone.utc)
    await asyncio.sleep(1.02 - now.microsecond / 1e6)
    return now


@pytest.mark.parametrize(
    ("path", "directory", "within"),
    [
        ("a/b", "", True),
        ("a/b", "a", True),
        ("a/b", "a/", True),
        ("a", "a", True),
        ("ab", "a", False),
        ("a.b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_what_is_within_a_directory(path: str, directory: str, within: bool) -> None:
    assert is_within(path, directory) is within


# -- whatever the keys and times -----------------------------------------------------------------

segments = st.text(st.sampled_from("a.-/0~\u00e9\U0001f600"), min_size=1, max_size=5)
ends = st.sampled_from(["", ".y.zst", ".file.y.zst", ".notebook.y.zst"])
histories = st.dictionaries(
    st.tuples(segments, ends).map("".join),
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=4),
    max_size=12,
)


class _ListingBucket:
    """A bucket of these keys, whose entries are (seconds, whether it is a delete marker)."""

    def __init__(self, keys: dict[str, list[tuple[int, bool]]]) -> None:
        self._entries = [
            _entry(f"w/{key}", index, *entry)
            for key in sorted(keys, key=lambda key: key.encode())
            for index, entry in enumerate(sorted(keys[key], key=lambda e: e[0], reverse=True))
        ]

    @property
    def listing(self) -> _ListingBucket:
        return self

    async def under(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        for entry in self._entries:
            if entry.key.startswith(prefix):
                yield entry


def _entry(key: str, index: int, seconds: int, is_marker: bool) -> ObjectVersion:
    time = EPOCH.replace(second=seconds)
    return ObjectVersion(key, f"v{index}", "", time, 0, index == 0, is_marker)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories, st.integers(0, 9))
def test_a_listing_says_what_its_entries_say(
    keys: dict[str, list[tuple[int, bool]]], seconds: int
) -> None:
    """Against a plain reading of all entries at once."""
    at = EPOCH.replace(second=seconds)
    bucket: Any = _ListingBucket(keys)
    workspace = Workspace(bucket, BookstoreSettings(workspace_prefix="w"))

    async def read() -> list[ArchivedFile]:
        return [file async for file in workspace.files(at=at)]

    files = asyncio.run(read())
    assert len({file.path for file in files}) == len(files)
    current: dict[str, list[ObjectVersion]] = {}
    seen = set()
    for entry in bucket._entries:
        place = workspace.place_of(entry.key)
        if place is not None and entry.key not in seen and entry.last_modified <= at:
            seen.add(entry.key)
            current.setdefault(place.path, []).append(entry)
    expected = {
        path: {(e.key, e.version_id) for e in entries if not e.is_delete_marker}
        for path, entries in current.items()
        if not all(e.is_delete_marker for e in entries)
    }
    assert {f.path: {(v.key, v.version_id) for v in f.versions} for f in files} == expected
