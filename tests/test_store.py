"""S3YStore is a pycrdt store, and loses no update that it was given."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest
from pycrdt.store import BaseYStore, YDocNotFound
from pycrdt.websocket import YRoom
from traitlets.config import Config

from bookstore_y import Archive, S3YStore
from bookstore_y.buffer.sqlite_file import FORMAT
from bookstore_y.errors import (
    AccessDenied,
    BookstoreError,
    BucketUnavailable,
    CorruptSnapshot,
    DocumentTooLarge,
    InvalidPath,
    UpdateBufferError,
    VersionNotFound,
)
from bookstore_y.local.waiting import eventually
from bookstore_y.s3.bucket import Bucket
from harness.servers import S3Server, connect, free_port

from .support import Outage, Reader, Typist, refusing_server, text_of, words_of

PATH = "team/notes.txt"
KEY = "workspace/team/notes.txt.y.zst"


@asynccontextmanager
async def in_context(store: S3YStore) -> AsyncIterator[S3YStore]:
    async with store:
        yield store


@asynccontextmanager
async def started(store: S3YStore) -> AsyncIterator[S3YStore]:
    """The way of a room: `start` in a task group, and `stop`."""
    async with anyio.create_task_group() as group:
        await group.start(store.start)
        await store.started.wait()
        yield store
        await store.stop()


Running = Callable[[S3YStore], Any]
both_ways = pytest.mark.parametrize("running", [in_context, started])


def with_file(config: Config, tmp_path: Path) -> Config:
    """The same, with the buffer in a file."""
    copy = Config(config)
    copy.S3YStore = Config({**config.S3YStore, "db_path": str(tmp_path / "buffer.db")})
    return copy


async def stored(store: BaseYStore) -> list[tuple[bytes, bytes, float]]:
    return [row async for row in store.read()]


async def text_in(store: BaseYStore) -> str:
    return text_of([update for update, *_ in await stored(store)])


# -- what pycrdt's own stores do -------------------------------------------------------------------


@both_ways
async def test_updates_come_back_in_order_with_metadata_and_time(
    config: Config, running: Running
) -> None:
    count = 0

    async def number() -> bytes:
        nonlocal count
        count += 1
        return b"%d" % count

    typist = Typist()
    updates = [typist.type(word) for word in ("one ", "two ", "three ")]
    before = time.time()
    async with running(S3YStore(PATH, metadata_callback=number, config=config)) as store:
        for update in updates:
            await store.write(update)
        rows = await stored(store)

    assert [update for update, _, _ in rows] == updates
    assert [metadata for _, metadata, _ in rows] == [b"1", b"2", b"3"]
    times = [moment for _, _, moment in rows]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time()


async def test_metadata_may_be_given_without_waiting(config: Config) -> None:
    store = S3YStore(PATH, metadata_callback=lambda: b"who", config=config)
    async with store:
        await store.write(Typist().type("one"))
        ((_, metadata, _),) = await stored(store)
    assert metadata == b"who"


async def test_without_a_callback_metadata_is_empty(config: Config) -> None:
    async with S3YStore(PATH, config=config) as store:
        await store.write(Typist().type("one"))
        ((_, metadata, _),) = await stored(store)
    assert metadata == b""
    assert await store.get_metadata() == b""


@both_ways
async def test_the_state_of_a_document_is_stored_and_applied(
    config: Config, running: Running
) -> None:
    typist, copy = Typist(), Typist()
    typist.type("a whole document")
    async with running(S3YStore(PATH, config=config)) as store:
        await store.encode_state_as_update(typist.doc)
        await store.apply_updates(copy.doc)
    assert str(copy) == "a whole document"


@both_ways
async def test_leaving_writes_what_is_pending_and_the_next_store_reads_it(
    config: Config, reader: Reader, running: Running
) -> None:
    async with running(S3YStore(PATH, config=config)) as store:
        await store.write(Typist().type("to the bucket"))
    assert await reader.text(PATH) == "to the bucket"

    copy = Typist()
    async with running(S3YStore(PATH, config=config)) as store:
        await store.apply_updates(copy.doc)
    assert str(copy) == "to the bucket"


@both_ways
async def test_the_buffer_in_memory_lasts_as_long_as_the_store(
    config: Config, running: Running
) -> None:
    typist = Typist()
    updates = [typist.type(str(number)) for number in range(3)]
    async with running(S3YStore(PATH, config=config)) as store:
        for update in updates:
            await store.write(update)
            await asyncio.sleep(0)
        assert [update for update, _, _ in await stored(store)] == updates


@both_ways
async def test_a_stopped_store_can_be_started_again(
    config: Config, reader: Reader, running: Running
) -> None:
    typist = Typist()
    store = S3YStore(PATH, config=config)
    for word in ("one ", "two ", "three"):
        async with running(store):
            await asyncio.sleep(0.01)  # all that happens at the start has happened
            await store.write(typist.type(word))
    assert await reader.text(PATH) == "one two three"


async def test_starting_twice_and_stopping_twice_are_errors(config: Config) -> None:
    store = S3YStore(PATH, config=config)
    with pytest.raises(RuntimeError, match="not running"):
        await store.stop()
    async with store:
        with pytest.raises(RuntimeError, match="already running"):
            await store.start()
        with pytest.raises(RuntimeError, match="already running"):
            await store.__aenter__()
    with pytest.raises(RuntimeError, match="not running"):
        await store.stop()


async def test_nothing_is_written_or_read_before_the_start(config: Config) -> None:
    store = S3YStore(PATH, config=config)
    with pytest.raises(RuntimeError, match="not started"):
        await store.write(Typist().type("too early"))
    with pytest.raises(RuntimeError, match="not started"):
        await stored(store)


async def test_a_document_that_is_nowhere_is_not_found(config: Config) -> None:
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(YDocNotFound):
            await stored(store)
        with pytest.raises(YDocNotFound):
            await store.apply_updates(pycrdt.Doc())


async def test_a_buffer_of_a_newer_release_is_set_aside_as_it_is(
    config: Config, tmp_path: Path
) -> None:
    config = with_file(config, tmp_path)
    async with S3YStore(PATH, config=config) as store:
        await store.write(Typist().type("older"))
    database = tmp_path / "buffer.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = database.read_bytes()

    async with S3YStore(PATH, config=config) as store:
        await store.write(Typist().type("newer"))

    assert (tmp_path / "buffer.db.newer-format").read_bytes() == before


async def test_a_buffer_that_cannot_be_opened_is_told_to_reader_and_writer(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "buffer.db").mkdir()
    config = with_file(config, tmp_path)

    with pytest.raises(UpdateBufferError, match="db_path"):
        await S3YStore(PATH, config=config).start(from_context_manager=True)
    async with started(S3YStore(PATH, config=config)) as store:
        with pytest.raises(UpdateBufferError, match="db_path"):
            await stored(store)


# -- snapshots and versions ------------------------------------------------------------------------


async def test_reading_starts_with_the_snapshot_of_the_bucket(config: Config) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        for word in ("one ", "two "):
            await store.write(typist.type(word))

    async with S3YStore(PATH, config=config) as store:
        later = [typist.type(word) for word in ("three ", "four")]
        for update in later:
            await store.write(update)
        rows = await stored(store)

    assert text_of([rows[0][0]]) == "one two "
    assert [update for update, _, _ in rows[1:]] == later
    assert [moment for *_, moment in rows] == sorted(moment for *_, moment in rows)


async def test_updates_stay_readable_one_by_one_after_a_checkpoint(config: Config) -> None:
    typist = Typist()
    updates = [typist.type(word) for word in ("one ", "two ", "three")]
    async with S3YStore(PATH, config=config) as store:
        for update in updates:
            await store.write(update)
        await store.checkpoint()
        assert [update for update, _, _ in await stored(store)] == updates


async def test_squashing_keeps_the_document_and_drops_the_steps(
    config: Config, reader: Reader
) -> None:
    config.S3YStore.history_updates = 10
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        for number in range(100):
            await store.write(typist.type(f"{number} "))
        await store.write(typist.delete(0, 2))
        await store.checkpoint()

        async def is_folded() -> bool:
            return len(await stored(store)) <= 11

        await eventually(is_folded, "the older updates to be folded")
        size = sum(len(update) for update, *_ in await stored(store))
        assert size < 2 * len(typist.doc.get_update()) + 11 * 40
        assert await text_in(store) == str(typist)
    assert await reader.text(PATH) == str(typist)


async def test_what_a_room_notes_of_a_save_is_in_the_version_of_that_save(
    config: Config, reader: Reader
) -> None:
    config.S3YStore.checkpoint_idle_delay = config.S3YStore.checkpoint_max_delay = 60.0
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("opened, "))
        await store.checkpoint()
        await store.write(typist.type("typed"))
        store.note_saving("hash of the file")
        store.note_saved()
        for _ in range(20):
            await asyncio.sleep(0)
        await store.write(typist.type(", and saved"))
        entry = store.entry
        assert entry is not None
        await eventually(lambda: not entry.pending, "the save is checkpointed at once")
        assert await reader.text(PATH) == "opened, typed, and saved"
        assert await reader.count(PATH) == 2


async def test_a_checkpoint_of_nothing_new_is_no_version(config: Config, reader: Reader) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        assert await store.checkpoint() is None
        update = typist.type("once")
        await store.write(update)
        first = await store.checkpoint()
        await store.write(update)  # what a room does that gets an update back
        second = await store.checkpoint()
    assert first is not None
    assert second is None
    assert await reader.count(PATH) == 1


async def test_versions_are_listed_newest_first(config: Config) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        assert await store.versions() == []
        made = []
        for word in ("one ", "two ", "three"):
            await store.write(typist.type(word))
            made.append(await store.checkpoint())
        versions = await store.versions()

    ids = [version.version_id for version in made if version is not None]
    assert {version.version_id for version in versions} == set(ids)
    assert versions[0].is_latest
    assert versions[0].version_id == ids[-1]
    assert [version.parent for version in versions if version.version_id == ids[1]] == [ids[0]]
    assert {version.key for version in versions} == {KEY}


async def test_what_was_typed_until_a_change_is_a_version_of_its_own(config: Config) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        await store.apply_updates(typist.doc)
        typist.type("two ")  # in the live document, and on its way to the store
        version, new = await store.change(lambda: typist.text.clear(), "restore:x")
        later = typist.type("three")
        await store.write(later)
        await store.checkpoint()
        versions = await store.versions()
        texts = []
        for each in reversed(versions):
            old = Typist()
            await store.apply_version(old.doc, each.version_id)
            texts.append(str(old))

    assert (new, version.origin) == (True, "restore:x")
    assert texts == ["one two ", "", "three"]
    assert [each.origin for each in reversed(versions)] == ["checkpoint", "restore:x", "checkpoint"]


async def test_both_versions_of_a_change_follow_when_the_bucket_is_back(
    config: Config, outage: Outage
) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        await store.apply_updates(typist.doc)
        outage.begin()
        with pytest.raises(BucketUnavailable):
            await store.change(lambda: typist.text.clear(), "restore:x")
        await store.write(typist.type("two"))
        outage.end()
        await store.checkpoint()
        versions = await store.versions()
        old = Typist()
        await store.apply_version(old.doc, versions[1].version_id)

    assert [each.origin for each in versions] == ["restore:x", "checkpoint"]
    assert str(old) == "one "
    assert str(typist) == "two"


async def test_a_version_is_applied_to_an_empty_document_only(config: Config) -> None:
    typist, old = Typist(), Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        version = await store.checkpoint()
        await store.write(typist.type("two"))
        await store.checkpoint()
        assert version is not None

        await store.apply_version(old.doc, version.version_id)
        assert str(old) == "one "
        with pytest.raises(ValueError, match="empty"):
            await store.apply_version(typist.doc, version.version_id)
        with pytest.raises(VersionNotFound):
            await store.apply_version(pycrdt.Doc(), "00000000-0000-4000-8000-000000000000")
    assert str(typist) == "one two"


async def test_a_document_that_was_deleted_from_the_bucket_is_written_anew(
    config: Config, reader: Reader, moto_server: S3Server, moto_bucket: str
) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        await store.checkpoint()
        connect(moto_server).delete_object(Bucket=moto_bucket, Key=KEY)
        await store.write(typist.type("two"))
        await store.checkpoint()
    assert await reader.text(PATH) == "one two"


# -- not found, and not known ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", AccessDenied),
        (403, "SignatureDoesNotMatch", AccessDenied),
        (403, "InvalidAccessKeyId", AccessDenied),
        (400, "ExpiredToken", AccessDenied),
        (500, "InternalError", BucketUnavailable),
        (503, "SlowDown", BucketUnavailable),
        (400, "SomethingNobodyKnows", BookstoreError),
    ],
)
async def test_a_refusal_is_not_a_missing_document(
    config: Config, status: int, code: str, error: type[BookstoreError]
) -> None:
    async with refusing_server(status, code) as url:
        config.BookstoreSettings.s3_endpoint_url = url
        async with S3YStore(PATH, config=config) as store:
            for _ in range(2):  # and it stays that way
                with pytest.raises(error):
                    await store.apply_updates(pycrdt.Doc())


async def test_an_endpoint_that_nobody_answers_is_not_a_missing_document(config: Config) -> None:
    config.BookstoreSettings.s3_endpoint_url = f"http://127.0.0.1:{free_port()}"
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(BucketUnavailable):
            await store.apply_updates(pycrdt.Doc())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"no zstd frame", CorruptSnapshot),
        (b"", CorruptSnapshot),
        (b"\x28\xb5\x2f\xfd", CorruptSnapshot),
        # 1 GB and 1 byte of zeros, says its header
        (bytes.fromhex("28b52ffda001000040010000"), DocumentTooLarge),
    ],
)
async def test_an_unusable_object_is_not_a_missing_document(
    config: Config,
    moto_server: S3Server,
    moto_bucket: str,
    body: bytes,
    error: type[BookstoreError],
) -> None:
    connect(moto_server).put_object(Bucket=moto_bucket, Key=KEY, Body=body)
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(error):
            await store.apply_updates(pycrdt.Doc())
    async with S3YStore("another", config=config) as store:
        await store.write(Typist().type("fine"))
        assert await store.checkpoint() is not None


async def test_a_bucket_that_comes_back_is_read(
    config: Config, outage: Outage, reader: Reader
) -> None:
    async with S3YStore(PATH, config=config) as store:
        await store.write(Typist().type("before"))
    copy = Typist()
    outage.begin()
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(BucketUnavailable):
            await store.apply_updates(copy.doc)
        outage.end()
        await store.apply_updates(copy.doc)
    assert str(copy) == "before"


async def test_detached_a_document_opens_while_the_bucket_is_down(
    config: Config, outage: Outage
) -> None:
    config.BookstoreSettings.on_unavailable = "detached"
    outage.begin()
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(YDocNotFound):
            await store.apply_updates(pycrdt.Doc())
        outage.end()


async def test_detached_what_the_buffer_holds_is_found(config: Config, outage: Outage) -> None:
    config.BookstoreSettings.on_unavailable = "detached"
    copy = Typist()
    outage.begin()
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(YDocNotFound):
            await store.apply_updates(pycrdt.Doc())
        await store.write(Typist().type("typed in the meantime"))
        try:
            await store.apply_updates(copy.doc)
        finally:
            outage.end()
    assert str(copy) == "typed in the meantime"


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00", b"garbage", b"\xff" * 50, Typist().type("cut off")[:-3]],
    ids=["empty", "a null", "words", "all ones", "an update cut off"],
)
async def test_garbage_is_refused_and_leaves_the_rest_working(
    config: Config, reader: Reader, garbage: bytes
) -> None:
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        with pytest.raises(CorruptSnapshot):
            await store.write(garbage)
        await store.write(typist.type("two"))
        assert await text_in(store) == "one two"
    assert await reader.text(PATH) == "one two"


CRASHER = bytes.fromhex("01 01 01 ff ff ff ff 0f 04 01 01 74 01 61 00")
"""Decodes as an update, and panics in pycrdt 0.14.13 when it is applied: its clock is past 2^31."""


async def test_an_update_that_decodes_but_cannot_be_applied_holds_nothing_up(
    config: Config, reader: Reader
) -> None:
    typist, copy = Typist(), Typist()
    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("one "))
        await store.write(CRASHER)
        await store.write(typist.type("two"))
        await store.checkpoint()
        assert await reader.text(PATH) == "one two"
        await store.apply_updates(copy.doc)
        assert str(copy) == "one two"
        assert await store.checkpoint() is None


@pytest.mark.parametrize(
    "path", ["", "/absolute", "a/../b", "..", "a//b", "./a", "nul\0", "\ud800", "a.y.zst"]
)
def test_a_path_that_cannot_be_a_key_is_refused(config: Config, path: str) -> None:
    with pytest.raises(InvalidPath):
        S3YStore(path, config=config)


async def test_an_over_long_path_is_refused(config: Config) -> None:
    room = 1024 - len("workspace/.y.zst")
    async with S3YStore("x" * room, config=config) as store:
        await store.write(Typist().type("fits"))
    with pytest.raises(InvalidPath, match="1025 bytes"):
        await S3YStore("x" * (room + 1), config=config).start(from_context_manager=True)


async def test_a_store_that_fails_to_start_leaves_its_surroundings_whole(config: Config) -> None:
    store = S3YStore("x" * 1025, config=config)
    async with anyio.create_task_group():
        for _ in range(2):
            with pytest.raises(InvalidPath):
                async with store:
                    pass


async def test_a_room_hears_of_a_failed_start_when_it_reads(config: Config) -> None:
    async with started(S3YStore("x" * 1025, config=config)) as store:
        with pytest.raises(InvalidPath):
            await store.apply_updates(pycrdt.Doc())
        with pytest.raises(InvalidPath):
            await store.write(Typist().type("nowhere to go"))


# -- stopping --------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("where", ["memory", "file"])
async def test_stopping_says_what_is_not_in_the_bucket_and_keeps_it(
    config: Config, outage: Outage, reader: Reader, tmp_path: Path, running: Running, where: str
) -> None:
    if where == "file":
        config = with_file(config, tmp_path)
    typist = Typist()
    store = S3YStore(PATH, config=config)
    with pytest.raises(BucketUnavailable):  # noqa: PT012
        async with anyio.create_task_group() as group:
            if running is started:
                await group.start(store.start)
            else:
                await store.__aenter__()
            await store.write(typist.type("kept"))
            outage.begin()
            try:
                await (store.stop() if running is started else store.__aexit__(None, None, None))
            except BucketUnavailable as error:
                failure = error
        raise failure
    assert await reader.text(PATH) == ""

    outage.end()
    async with S3YStore(PATH, config=config) as store:
        assert await text_in(store) == "kept"
    assert await reader.text(PATH) == "kept"


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_what_a_stopped_store_left_is_written_without_opening_it_again(
    config: Config, outage: Outage, reader: Reader, tmp_path: Path, where: str
) -> None:
    config.S3YStore.checkpoint_idle_delay = 0.05
    if where == "file":
        config = with_file(config, tmp_path)
    outage.begin()
    with pytest.raises(BucketUnavailable):
        async with S3YStore(PATH, config=config) as store:
            await store.write(Typist().type("left behind"))
    outage.end()

    async with S3YStore("another", config=config):
        await eventually(lambda: says(reader, PATH, "left behind"), "the bucket has what was left")


async def says(reader: Reader, path: str, text: str) -> bool:
    return await reader.text(path) == text


async def test_an_update_after_a_restart_is_written_though_older_ones_are_gone(
    config: Config, reader: Reader, tmp_path: Path
) -> None:
    config = with_file(config, tmp_path)
    config.S3YStore.history_updates = 0
    typist = Typist()
    async with S3YStore(PATH, config=config) as store:
        for word in ("one ", "two ", "three "):
            await store.write(typist.type(word))

    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("four"))
        assert await asyncio.wait_for(store.checkpoint(), 15) is not None
    assert await reader.text(PATH) == "one two three four"


async def test_two_stores_that_open_one_document_at_once_both_store(
    config: Config, reader: Reader, tmp_path: Path
) -> None:
    config = with_file(config, tmp_path)

    async def write(word: str) -> None:
        async with S3YStore(PATH, config=config) as store:
            await store.write(Typist().type(word))

    async with S3YStore("another", config=config):
        await asyncio.gather(write("one"), write("two"))

    assert sorted(await reader.text(PATH)) == sorted("onetwo")


async def test_a_store_that_opens_while_the_last_one_closes_works(
    config: Config, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing_now, close = asyncio.Event(), asyncio.Event()
    leave = Bucket.__aexit__

    async def slowly(bucket: Bucket, *exc_info: object) -> None:
        closing_now.set()
        await close.wait()
        await leave(bucket, *exc_info)

    async def first() -> None:
        async with S3YStore("first", config=config) as store:
            await store.write(Typist().type("first"))
            await store.checkpoint()
            monkeypatch.setattr(Bucket, "__aexit__", slowly)

    async def second() -> None:
        await closing_now.wait()
        asyncio.get_running_loop().call_later(0.05, close.set)
        async with S3YStore(PATH, config=config) as store:
            monkeypatch.setattr(Bucket, "__aexit__", leave)
            await close.wait()
            await asyncio.sleep(0.05)
            await store.write(Typist().type("second"))
            await store.checkpoint()

    await asyncio.wait_for(asyncio.gather(first(), second()), 15)
    assert await reader.text(PATH) == "second"


# -- cancellation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_no_write_that_was_begun_is_lost_by_cancelling_it(
    config: Config, tmp_path: Path, where: str
) -> None:
    if where == "file":
        config = with_file(config, tmp_path)
    updates = [Typist().type(f"<{number}>") for number in range(200)]
    begun: list[int] = []

    async def for_ever() -> bytes:
        await asyncio.Event().wait()
        return b""

    async with S3YStore(PATH, metadata_callback=for_ever, config=config) as store:

        async def write(number: int) -> None:
            begun.append(number)
            await store.write(updates[number])

        async with anyio.create_task_group() as group:
            for number in range(len(updates)):
                group.start_soon(write, number)
            await asyncio.sleep(0)
            group.cancel_scope.cancel()
        text = await text_in(store)

    assert len(begun) == len(updates)
    assert all(f"<{number}>" in text for number in begun)


async def test_a_store_whose_task_is_cancelled_leaves_the_next_one_whole(
    config: Config, reader: Reader
) -> None:
    config.S3YStore.checkpoint_idle_delay = 0.05
    typist = Typist()
    with anyio.CancelScope() as scope:
        async with S3YStore(PATH, config=config) as store:
            await store.write(typist.type("one "))
            scope.cancel()
            await asyncio.sleep(0)

    async with S3YStore(PATH, config=config) as store:
        await store.write(typist.type("two"))
        await eventually(lambda: says(reader, PATH, "one two"), "both are checkpointed when idle")


# -- rooms -----------------------------------------------------------------------------------------


async def open_room(store: S3YStore, doc: pycrdt.Doc[Any]) -> tuple[YRoom, asyncio.Task[None]]:
    room = YRoom(ystore=store, ydoc=doc, exception_handler=lambda error, log: True)
    task = asyncio.create_task(room.start())
    await room.started.wait()
    await store.started.wait()
    try:
        await store.apply_updates(doc)
    except YDocNotFound:
        pass
    return room, task


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_all_that_is_in_a_room_reaches_the_bucket_when_it_stops_amid_edits(
    config: Config, reader: Reader, tmp_path: Path, where: str
) -> None:
    if where == "file":
        config = with_file(config, tmp_path)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    room, task = await open_room(S3YStore(PATH, config=config), doc)
    text = doc.get("text", type=pycrdt.Text)

    for number in range(300):
        text += f"{number} "
        if number % 7 == 0:
            await asyncio.sleep(0)
    stop = asyncio.create_task(room.stop())
    for number in range(300, 330):  # they type on while it stops
        text += f"{number} "
        if number % 10 == 0:
            await asyncio.sleep(0)
        if stop.done():
            break
    seen = words_of(doc) if stop.done() else ""
    await stop
    await asyncio.gather(task, return_exceptions=True)  # YRoom trips over what is on its way

    seen = seen or words_of(doc)
    assert " 300 " in seen
    await eventually(lambda: says(reader, PATH, seen), "the bucket has what the room had")


async def test_a_room_that_restarts_after_an_error_goes_on_storing(
    config: Config, reader: Reader
) -> None:
    class Gone:
        path = "gone"

        async def send(self, message: bytes) -> None:
            raise OSError("the client has gone")

    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    store = S3YStore(PATH, config=config)
    room, task = await open_room(store, doc)
    text = doc.get("text", type=pycrdt.Text)
    text += "one "
    await eventually(lambda: holds(store, 1), "the first edit is stored")

    room.clients.add(Gone())  # type: ignore[arg-type]
    text += "two "
    await asyncio.sleep(0.05)
    room.clients.clear()
    for word in ("three ", "four"):
        text += word
        await asyncio.sleep(0.05)
    await room.stop()
    await asyncio.gather(task, return_exceptions=True)

    await eventually(lambda: says(reader, PATH, "one two three four"), "all of it is in the bucket")


async def holds(store: S3YStore, count: int) -> bool:
    try:
        return len(await stored(store)) >= count
    except YDocNotFound:
        return False


async def test_a_room_opens_what_another_has_stored(config: Config, reader: Reader) -> None:
    for word in ("one ", "two "):
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        room, task = await open_room(S3YStore(PATH, config=config), doc)
        text = doc.get("text", type=pycrdt.Text)
        text += word
        said = words_of(doc)
        await room.stop()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda said=said: says(reader, PATH, said), "it is archived")  # type: ignore[misc]
    assert await reader.text(PATH) == "one two "


def test_an_event_loop_that_is_not_asyncios_is_refused_at_once(config: Config) -> None:
    """Such as trio's; here there is none at all."""
    store = S3YStore(PATH, config=config)
    for beginning in (store.__aenter__(), store.start(), Archive().__aenter__()):
        with pytest.raises(RuntimeError, match="asyncio"):
            beginning.send(None)
