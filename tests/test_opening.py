"""Who opens a document has it before the buffer does, and nothing is lost by that."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import zstandard
from traitlets.config import Config

from bookstore_y import S3YStore
from bookstore_y.buffer.database import Buffer
from bookstore_y.errors import (
    BucketUnavailable,
    CorruptSnapshot,
    DocumentTooLarge,
    UpdateBufferError,
)
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.document_view import Base
from bookstore_y.s3.bucket import Bucket
from harness.servers import S3Server, connect

from .support import Outage, Reader, Typist

PATH = "team/notes.txt"
KEY = "workspace/team/notes.txt.y.zst"


class Disk:
    """Where the buffer takes in what the bucket has of a document: slow, and at times refusing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.refusals = 0
        self.taken = 0
        set_base = Buffer.set_base

        async def slow(buffer: Buffer, *args: Any) -> None:
            self.reached.set()
            await self.goes_on.wait()
            if self.refusals:
                self.refusals -= 1
                raise UpdateBufferError("The buffer refuses.")
            await set_base(buffer, *args)
            self.taken += 1

        patch.setattr(Buffer, "set_base", slow)

    def stop(self) -> None:
        self.reached.clear()
        self.goes_on.clear()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture(params=["memory", "file"])
def here(request: pytest.FixtureRequest, config: Config, tmp_path: Path) -> Config:
    """The configuration of a server that has its buffer in memory, or in a file."""
    if request.param == "memory":
        return config
    return with_file(config, tmp_path / "buffer.db")


@pytest.fixture
def elsewhere(config: Config) -> Config:
    return of_another_server(config)


def of_another_server(config: Config) -> Config:
    """The configuration of a server with the same bucket and a buffer of its own."""
    copy = Config(config)
    copy.BookstoreSettings = Config({**config.BookstoreSettings, "max_threads": 7})
    return copy


def with_file(config: Config, path: Path) -> Config:
    copy = Config(config)
    copy.S3YStore = Config({**config.S3YStore, "db_path": str(path)})
    return copy


async def archived(config: Config, words: str) -> Typist:
    """Someone who has archived `words` and left."""
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type(words))
        await store.checkpoint()
    return typist


@asynccontextmanager
async def in_a_room(store: S3YStore) -> AsyncIterator[S3YStore]:
    """A room that closes by cancelling all it has begun, and awaits nothing."""
    async with anyio.create_task_group() as group:
        await group.start(store.start)
        try:
            yield store
        finally:
            group.cancel_scope.cancel()


async def opened(store: S3YStore) -> Typist:
    """Someone who has the document open."""
    typist = Typist()
    await asyncio.wait_for(store.apply_updates(typist.doc), 15)
    return typist


async def says(reader: Reader, words: str) -> None:
    async def said() -> bool:
        return await reader.text(PATH) == words

    await eventually(said, f"the bucket says {words!r}")


async def test_a_document_is_open_before_the_buffer_has_it(
    here: Config, elsewhere: Config, disk: Disk
) -> None:
    await archived(elsewhere, "one")
    disk.stop()
    async with S3YStore(PATH, config=here) as store:
        assert str(await opened(store)) == "one"
        assert not disk.goes_on.is_set()
        disk.goes_on.set()


async def test_nothing_is_written_to_the_bucket_before_the_buffer_has_the_document(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader
) -> None:
    await archived(elsewhere, "one")
    lineage = (await reader.metadata(PATH))["lineage"]
    disk.stop()
    async with S3YStore(PATH, config=here) as store:
        typist = await opened(store)
        await store.write(typist.type(" two"))
        checkpoint = asyncio.create_task(store.checkpoint())
        await asyncio.wait_for(disk.reached.wait(), 15)
        await asyncio.wait([checkpoint], timeout=0.1)
        assert await reader.count(PATH) == 1
        disk.goes_on.set()
        assert await asyncio.wait_for(checkpoint, 15) is not None
        await store.write(typist.type(" three"))
        await store.checkpoint()

    assert await reader.text(PATH) == "one two three"
    assert await reader.count(PATH) == 3
    assert (await reader.metadata(PATH))["lineage"] == lineage


async def test_a_second_one_who_opens_it_meanwhile_has_all_of_it(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader
) -> None:
    await archived(elsewhere, "one")
    disk.stop()
    async with S3YStore(PATH, config=here) as store, S3YStore(PATH, config=here) as second:
        typist = await opened(store)
        await store.write(typist.type(" two"))
        opening = asyncio.create_task(opened(second))
        await asyncio.wait_for(disk.reached.wait(), 15)
        disk.goes_on.set()
        other = await asyncio.wait_for(opening, 15)
        assert str(other) == "one two"
        await second.write(other.type(" three"))

    assert await reader.text(PATH) == "one two three"


@pytest.mark.parametrize("typed", ["", " two"], ids=["unchanged", "edited"])
async def test_a_room_that_closes_at_once_loses_nothing_and_holds_nothing_up(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader, typed: str
) -> None:
    await archived(elsewhere, "one")
    disk.stop()
    async with in_a_room(S3YStore(PATH, config=here)) as store:
        typist = await opened(store)
        if typed:
            await store.write(typist.type(typed))
        typist.type(typed)  # on its way to the store when the room closes
        store.capture()
    disk.goes_on.set()
    await says(reader, "one" + typed * 2)
    async with S3YStore(PATH, config=here) as store:
        assert str(await opened(store)) == "one" + typed * 2


async def test_a_store_that_is_left_at_once_waits_for_the_bucket_to_have_all(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader
) -> None:
    await archived(elsewhere, "one")
    disk.stop()

    async def visit() -> None:
        async with S3YStore(PATH, config=here) as store:
            typist = await opened(store)
            await store.write(typist.type(" two"))

    visiting = asyncio.create_task(visit())
    await asyncio.wait_for(disk.reached.wait(), 15)
    await asyncio.wait([visiting], timeout=0.1)
    assert not visiting.done()
    disk.goes_on.set()
    await asyncio.wait_for(visiting, 15)
    assert await reader.text(PATH) == "one two"


async def test_what_others_write_meanwhile_is_merged_and_not_overwritten(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader
) -> None:
    await archived(elsewhere, "one")
    async with S3YStore(PATH, config=elsewhere) as far:
        other = await opened(far)
        disk.stop()
        async with S3YStore(PATH, config=here) as store:
            typist = await opened(store)
            await store.write(typist.type(" here"))
            await far.write(other.type(" there"))
            await far.checkpoint()
            disk.goes_on.set()
            await store.checkpoint()
            assert sorted(str(typist).split()) == ["here", "one", "there"]

    assert sorted((await reader.text(PATH)).split()) == ["here", "one", "there"]


async def test_what_others_write_reaches_one_who_merely_reads(
    here: Config, elsewhere: Config
) -> None:
    await archived(elsewhere, "one")
    here.S3YStore.checkpoint_max_delay = 0.2
    async with S3YStore(PATH, config=elsewhere) as far, S3YStore(PATH, config=here) as store:
        other, reading = await opened(far), await opened(store)
        await far.write(other.type(" two"))
        await far.checkpoint()
        await eventually(lambda: str(reading) == "one two", "the reader sees it")


async def test_a_room_that_is_behind_gets_what_others_wrote_when_a_second_one_opens(
    here: Config, elsewhere: Config, disk: Disk
) -> None:
    await archived(elsewhere, "one")
    here.S3YStore.document_ttl = 0.1
    async with S3YStore(PATH, config=elsewhere) as far, S3YStore(PATH, config=here) as store:
        other, first = await opened(far), await opened(store)
        entry = store.entry
        assert entry is not None
        await eventually(lambda: disk.taken == 2, "the buffers have it")
        await eventually(lambda: entry.base is Base.BUCKET_ONLY, "this one has it no longer")
        await far.write(other.type(" two"))
        await far.checkpoint()
        async with S3YStore(PATH, config=here) as second:
            assert str(await opened(second)) == "one two"
            await eventually(lambda: str(first) == "one two", "the first one sees it")


async def test_a_checkpoint_waits_for_the_buffer_and_asks_the_bucket_nothing_again(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archived(elsewhere, "one")
    get, read = Bucket.get, list[str]()

    async def counted(bucket: Bucket, key: str, *args: Any, **options: Any) -> Any:
        read.append(key)
        return await get(bucket, key, *args, **options)

    monkeypatch.setattr(Bucket, "get", counted)
    disk.stop()
    async with S3YStore(PATH, config=here) as store:
        typist = await opened(store)
        await disk.reached.wait()
        await store.write(typist.type(" two"))
        archiving = asyncio.create_task(store.checkpoint())
        for _ in range(500):
            await asyncio.sleep(0)
        assert not archiving.done()
        disk.goes_on.set()
        await archiving
        assert read == [KEY]

    assert await reader.text(PATH) == "one two"


# -- the buffer refuses ----------------------------------------------------------------------------


async def test_a_document_opens_although_the_buffer_does_not_take_it(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    await archived(elsewhere, "one")
    disk.refusals = 1
    async with S3YStore(PATH, config=here) as store:
        typist = await opened(store)
        assert str(typist) == "one"
        await eventually(lambda: "The buffer refuses." in caplog.text, "the log says so")
        await store.write(typist.type(" two"))
        await store.checkpoint()
        async with S3YStore(PATH, config=here) as second:
            assert str(await opened(second)) == "one two"

    assert await reader.text(PATH) == "one two"


async def test_what_the_buffer_has_alone_is_not_taken_for_the_document(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader, outage: Outage
) -> None:
    await archived(elsewhere, "one")
    disk.refusals = 1
    async with S3YStore(PATH, config=here) as store, S3YStore(PATH, config=here) as second:
        typist = await opened(store)
        await store.write(typist.type(" two"))
        outage.begin()
        with pytest.raises(BucketUnavailable):
            await store.checkpoint()
        with pytest.raises(BucketUnavailable):
            await opened(second)
        outage.end()
        assert str(await opened(second)) == "one two"

    assert await reader.text(PATH) == "one two"


async def test_what_the_buffer_lacks_is_written_from_the_open_document(
    here: Config, elsewhere: Config, disk: Disk, reader: Reader, moto_server: S3Server
) -> None:
    await archived(elsewhere, "one")
    disk.refusals = 1
    async with S3YStore(PATH, config=here) as store:
        typist = await opened(store)
        client = connect(moto_server)
        client.delete_object(Bucket=here.BookstoreSettings.s3_bucket, Key=KEY)
        client.close()
        await store.write(typist.type(" two"))
        await store.checkpoint()

    assert await reader.text(PATH) == "one two"


# -- a crash in between ----------------------------------------------------------------------------


@pytest.mark.parametrize("away", [False, True], ids=["bucket there", "bucket away"])
async def test_after_a_crash_before_the_buffer_had_it_nothing_is_lost_or_half(
    config: Config,
    elsewhere: Config,
    disk: Disk,
    reader: Reader,
    outage: Outage,
    tmp_path: Path,
    away: bool,
) -> None:
    await archived(elsewhere, "one")
    path = tmp_path / "buffer.db"
    disk.stop()
    async with S3YStore(PATH, config=with_file(config, path)) as store:
        typist = await opened(store)
        await store.write(typist.type(" two"))
        left = crashed(path)
        disk.goes_on.set()
    before = await reader.count(PATH)

    if away:
        outage.begin()
    async with S3YStore(PATH, config=with_file(config, left)) as store:
        if away:
            with pytest.raises(BucketUnavailable):
                await store.checkpoint()
            with pytest.raises(BucketUnavailable):
                await opened(store)
            outage.end()
        assert str(await opened(store)) == "one two"
    assert await reader.text(PATH) == "one two"
    assert await reader.count(PATH) == before


def crashed(path: Path) -> Path:
    """The buffer file as a crash now would leave it."""
    left = path.with_name("left.db")
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{left}{suffix}")
    return left


async def test_a_document_that_the_buffer_cannot_hold_is_named(
    here: Config, elsewhere: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archived(elsewhere, "word " * 1000)
    monkeypatch.setattr("bookstore_y.replication.load.LARGEST_DOCUMENT", 1000)
    async with S3YStore(PATH, config=here) as store:
        with pytest.raises(DocumentTooLarge, match=r"notes\.txt has \d+ bytes"):
            await opened(store)


async def test_a_snapshot_of_zeros_is_no_empty_document(
    here: Config, moto_server: S3Server, moto_bucket: str
) -> None:
    body = zstandard.ZstdCompressor().compress(bytes(100))
    connect(moto_server).put_object(Bucket=moto_bucket, Key=KEY, Body=body)
    async with S3YStore(PATH, config=here) as store:
        with pytest.raises(CorruptSnapshot, match="continues past the end"):
            await opened(store)
