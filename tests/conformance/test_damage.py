"""What arrives damaged is not believed before it has arrived twice alike."""

from __future__ import annotations

import dataclasses

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.errors import BucketUnavailable, CorruptSnapshot
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.objects import StoredObject

from .documents import NOTES, Writer, text_in

pytestmark = pytest.mark.any_server


class Flips:
    """Flips a bit in the bodies of the next so many readings, each time another one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.flipped = 0
        get = Bucket.get

        async def damaged(bucket: Bucket, *args: str, max_size: int | None = None) -> StoredObject:
            stored = await get(bucket, *args, max_size=max_size)
            if not self.left:
                return stored
            self.left -= 1
            self.flipped += 1
            body = bytearray(stored.body)
            body[-self.flipped % len(body)] ^= 0x10
            return dataclasses.replace(stored, body=bytes(body))

        patch.setattr(Bucket, "get", damaged)


@pytest.fixture
def flips(monkeypatch: pytest.MonkeyPatch) -> Flips:
    return Flips(monkeypatch)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_snapshot_that_arrives_damaged_is_read_again(
    archive: Archive, flips: Flips, times: int
) -> None:
    await Writer("whole").save(archive)
    flips.left = times

    assert await text_in(archive) == "whole"
    assert flips.flipped == times


async def test_a_way_that_damages_everything_is_unavailable(archive: Archive, flips: Flips) -> None:
    await Writer("whole").save(archive)
    flips.left = 100

    with pytest.raises(BucketUnavailable, match="arrives damaged"):
        await archive.load(NOTES)


async def test_what_arrives_twice_alike_is_what_the_bucket_holds(archive: Archive) -> None:
    await archive.bucket.put(archive.key(NOTES), b"no snapshot", {})

    with pytest.raises(CorruptSnapshot):
        await archive.load(NOTES)


async def test_what_another_wrote_is_merged_although_it_first_arrives_damaged(
    archive: Archive, second_archive: Archive, flips: Flips
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    bob = Writer(origin=ada)
    await ada.type(" ada").save(archive)

    flips.left = 1
    await bob.type(" bob").save(second_archive)

    assert flips.flipped == 1
    assert sorted((await text_in(archive)).split()) == ["ada", "bob", "one"]
