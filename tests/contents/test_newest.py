"""The newest version of a document is asked of the bucket only when there may be another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.archive.archive import Archive
from bookstore_y.archive.history import Page
from bookstore_y.errors import BucketUnavailable
from bookstore_y.jupyter import newest_versions
from bookstore_y.jupyter.newest_versions import NewestVersions
from harness.servers import S3Server

from ..support import config_for

PATH = "notes.txt"


class Counted(Archive):
    """Counts what is asked of it, and fails when told to."""

    asked = 0
    fails = False

    async def history(self, *args: Any, **which: Any) -> Page:
        self.asked += 1
        if self.fails:
            raise BucketUnavailable("The bucket is away.")
        return await super().history(*args, **which)


@pytest.fixture
async def archive(moto_server: S3Server, moto_bucket: str) -> AsyncIterator[Counted]:
    settings = BookstoreSettings(config=config_for(moto_server, moto_bucket))
    archive = Counted(settings)
    async with archive:
        yield archive


async def saved(archive: Archive, text: str) -> str:
    version = await archive.save_file(PATH, text.encode())
    assert version is not None
    return version.version_id


async def id_of(known: NewestVersions, archive: Archive, written: int) -> str | None:
    version = await known.of(archive, PATH, written)
    return version.version_id if version else None


async def test_a_hundred_pages_ask_the_bucket_once(archive: Counted) -> None:
    first = await saved(archive, "one")
    known = NewestVersions()
    said = await asyncio.gather(*(id_of(known, archive, 1) for _ in range(100)))
    assert set(said) == {first}
    assert archive.asked == 1


async def test_what_the_server_writes_is_known_at_once(archive: Counted) -> None:
    known = NewestVersions()
    assert await id_of(known, archive, 0) is None
    first = await saved(archive, "one")
    assert await id_of(known, archive, 1) == first
    second = await saved(archive, "two")
    assert await id_of(known, archive, 2) == second
    assert archive.asked == 3


async def test_what_others_write_is_known_when_the_answer_is_too_old(archive: Counted) -> None:
    known = NewestVersions()
    first = await saved(archive, "one")
    assert await id_of(known, archive, 1) == first
    second = await saved(archive, "two")
    assert await id_of(known, archive, 1) == first
    version = await known.of(archive, PATH, 1, age=0.0)
    assert version is not None
    assert version.version_id == second
    assert await id_of(known, archive, 1) == second


async def test_a_failure_is_told_to_all_who_wait_and_not_remembered(archive: Counted) -> None:
    known = NewestVersions()
    archive.fails = True
    said = await asyncio.gather(
        *(id_of(known, archive, 1) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in said] == [BucketUnavailable] * 3
    archive.fails = False
    first = await saved(archive, "one")
    assert await id_of(known, archive, 1) == first


async def test_who_goes_away_takes_the_answer_from_nobody(archive: Counted) -> None:
    first = await saved(archive, "one")
    known = NewestVersions()
    one, other = (asyncio.create_task(id_of(known, archive, 1)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == first


async def test_few_documents_are_remembered(
    archive: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest_versions, "REMEMBERED", 2)
    known = NewestVersions()
    for path in ("a", "b", "c", "a"):
        await known.of(archive, path, 0)
    assert archive.asked == 4
