"""Documents that the bucket is asked for while they are moved, or that it has no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pycrdt.store import YDocNotFound
from traitlets.config import Config

from bookstore_y import BookstoreSettings, S3YStore
from bookstore_y.archive.archive import Archive
from bookstore_y.archive.renaming import Renaming
from bookstore_y.buffer.database import Buffer
from bookstore_y.errors import VersionNotFound
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.s3.bucket import Bucket
from harness.servers import S3Server, connect

from .support import Reader, Typist
from .test_opening import (
    KEY,
    PATH,
    archived,
    crashed,
    in_a_room,
    of_another_server,
    opened,
    with_file,
)

NEW = "team/new.txt"


class Answer:
    """The bucket's answer about one key, held up until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.awaited = asyncio.Event()
        self._let_go = asyncio.Event()
        self._get = Bucket.get
        self._patch = patch

    def hold(self) -> None:
        """Hold up the next."""
        get = self._get

        async def held(bucket: Bucket, key: str, *args: Any, **kwargs: Any) -> Any:
            if key == KEY and not self.awaited.is_set():
                self.awaited.set()
                await self._let_go.wait()
            return await get(bucket, key, *args, **kwargs)

        self._patch.setattr(Bucket, "get", held)

    def arrive(self) -> None:
        """Let it go."""
        self._let_go.set()


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    return Answer(monkeypatch)


@pytest.fixture
def elsewhere(config: Config) -> Config:
    return of_another_server(config)


@pytest.fixture
async def server(config: Config) -> AsyncIterator[Checkpointer]:
    """What a server keeps, which goes on when the stores of a test have closed."""
    config.S3YStore.document_ttl = 0.2
    options = S3YStore(PATH, config=config).buffer_options()
    async with Checkpointer.shared(BookstoreSettings(config=config), options) as server:
        yield server


def checkpointer_of(store: S3YStore) -> Checkpointer:
    assert store._checkpointer is not None
    return store._checkpointer


def entry_of(store: S3YStore) -> DocumentState:
    assert store.entry is not None
    return store.entry


@asynccontextmanager
async def evicted(config: Config, words: str) -> AsyncIterator[tuple[S3YStore, Typist]]:
    """An open document of which the bucket has all, and the buffer nothing."""
    async with in_a_room(S3YStore(PATH, config=config)) as store:
        with pytest.raises(YDocNotFound):
            await opened(store)
        typist = Typist()
        await store.write(typist.type(words))
        await store.checkpoint()
        await eventually(lambda: entry_of(store).evicted, "the document to be evicted")
        yield store, typist


def all_archived(server: Checkpointer) -> Callable[[], bool]:
    return lambda: not any(entry.pending for entry in server.entries.values())


async def renamed(server: Checkpointer, *names: tuple[str, str]) -> None:
    """Follow renames to their end."""
    for source, target in names:
        await server.path_changes.rename(source, target)
    await eventually(lambda: not server.path_changes.waiting, "the bucket to follow")


async def test_a_rename_while_a_checkpoint_asks_takes_nothing_from_the_document(
    config: Config, server: Checkpointer, reader: Reader, answer: Answer
) -> None:
    async with evicted(config, "one two three") as (store, typist):
        answer.hold()
        await store.write(typist.type(" four"))
    await answer.awaited.wait()
    await renamed(server, (PATH, NEW))
    answer.arrive()
    await eventually(all_archived(server), "the checkpoint")
    assert await reader.text(NEW) == "one two three four"


@pytest.mark.parametrize(
    "names",
    [[(PATH, NEW)], [(PATH, NEW), ("other.txt", PATH)], [(PATH, NEW), (NEW, PATH)]],
    ids=["renamed", "and another took its name", "and back"],
)
async def test_a_document_that_is_renamed_while_it_is_opened_is_that_document(
    config: Config,
    elsewhere: Config,
    server: Checkpointer,
    reader: Reader,
    answer: Answer,
    names: list[tuple[str, str]],
) -> None:
    await archived(elsewhere, "this one")
    async with S3YStore("other.txt", config=elsewhere) as store:
        await store.write(Typist().type("another"))
    answer.hold()
    async with S3YStore(PATH, config=config) as store:
        opening = asyncio.create_task(opened(store))
        await answer.awaited.wait()
        await renamed(server, *names)
        answer.arrive()
        typist = await opening
        assert str(typist) == "this one"
        await store.write(typist.type("!"))
        await store.checkpoint()
        assert store.document is not None
        assert await reader.text(store.document) == "this one!"


async def _deleted_elsewhere(server: Checkpointer, s3: S3Server, bucket: str) -> None:
    connect(s3).delete_object(Bucket=bucket, Key=KEY)


async def _deleted_here(server: Checkpointer, s3: S3Server, bucket: str) -> None:
    await server.path_changes.delete(PATH)
    await eventually(lambda: not server.path_changes.waiting, "the bucket to follow")


@pytest.mark.parametrize("delete", [_deleted_elsewhere, _deleted_here])
async def test_an_edit_after_a_deletion_brings_back_all_that_it_builds_on(
    config: Config,
    server: Checkpointer,
    reader: Reader,
    moto_server: S3Server,
    delete: Callable[[Checkpointer, S3Server, str], Awaitable[None]],
) -> None:
    async with evicted(config, "one two three") as (store, typist):
        await delete(server, moto_server, config.BookstoreSettings.s3_bucket)
        await store.write(typist.type(" four"))
    await eventually(all_archived(server), "the checkpoint")
    assert await reader.text(PATH) == "one two three four"


async def test_what_is_open_is_archived_whole_when_its_last_version_has_expired(
    config: Config, elsewhere: Config, reader: Reader, moto_server: S3Server
) -> None:
    config.S3YStore.document_ttl = 0.2
    s3, bucket = connect(moto_server), config.BookstoreSettings.s3_bucket
    async with S3YStore(PATH, config=config) as store:
        typist = Typist()
        with pytest.raises(YDocNotFound):
            await store.apply_updates(typist.doc)
        await store.write(typist.type("one two three"))
        version = await store.checkpoint()
        assert version is not None
        await eventually(lambda: entry_of(store).evicted, "the document to be evicted")
        s3.delete_object(Bucket=bucket, Key=KEY)
        async with S3YStore(PATH, config=elsewhere) as other:
            await other.write(Typist().type("another history"))
        s3.delete_object(Bucket=bucket, Key=KEY, VersionId=version.version_id)
        await store.write(typist.type(" four"))
        await store.checkpoint()
        assert await reader.text(PATH) == "one two three four"


async def test_a_document_that_is_made_anew_after_a_deletion_has_none_of_the_old_one(
    config: Config, server: Checkpointer, reader: Reader, moto_server: S3Server
) -> None:
    async with S3YStore(PATH, config=config) as store:  # which keeps what is known of it
        async with S3YStore(PATH, config=config) as first:
            await first.write(Typist().type("old"))
            await first.checkpoint()
        await eventually(lambda: entry_of(store).evicted, "the document to be evicted")
        await _deleted_elsewhere(server, moto_server, config.BookstoreSettings.s3_bucket)
        async with in_a_room(S3YStore(PATH, config=config)) as room:
            with pytest.raises(YDocNotFound):
                await opened(room)
            await room.write(Typist().type("new"))
            entry_of(store).synced = False
            assert str(await opened(store)) == "new"
    assert await reader.text(PATH) == "new"


async def test_what_a_writer_that_was_cut_off_did_not_merge_is_merged_by_who_opens_the_document(
    config: Config, elsewhere: Config, reader: Reader
) -> None:
    """Without conditional writes: it has put its version, and has not looked for others."""
    for each in (config, elsewhere):
        each.BookstoreSettings.conditional_writes = False
    one = await archived(elsewhere, "one")
    other = Typist(one.doc.get_update())
    async with Archive(BookstoreSettings(config=elsewhere)) as archive:
        before = await archive.load_snapshot(PATH)
        facts = replace(before.facts, parent=before.version_id)
        one.type(" two")
        await archive.save(Document(PATH), one.doc.get_update(), facts.renewed())
        other.type(" three")
        await archive.writer._put(KEY, other.doc.get_update(), facts.renewed())
    assert "two" not in await reader.text(PATH)
    other.receive(one.doc.get_update())
    async with S3YStore(PATH, config=config) as store:
        assert str(await opened(store)) == str(other)
        version = await store.checkpoint()
        assert version is not None
        assert await reader.text(PATH) == str(other)
        assert str(await opened(store)) == str(other)
        assert await store.checkpoint() is None


async def test_a_rename_that_meets_what_is_gone_is_no_answer_about_a_document(
    config: Config, elsewhere: Config, server: Checkpointer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archived(elsewhere, "one")

    async def pruned(*args: Any, **options: Any) -> None:
        raise VersionNotFound("It has been pruned.")

    async with S3YStore("moved.txt", config=elsewhere) as store:
        await store.write(Typist().type("moved"))
    with monkeypatch.context() as patch:
        patch.setattr(Renaming, "document", pruned)
        await server.path_changes.rename("moved.txt", "renamed.txt")
        async with S3YStore(PATH, config=config) as store:
            assert str(await opened(store)) == "one"
        async with S3YStore("renamed.txt", config=config) as store:
            assert str(await opened(store)) == "moved"
        (change,) = server.path_changes.listed()
        assert "tried again" in change["reason"]
    await server.path_changes.try_again()
    assert not server.path_changes.waiting


async def test_what_another_server_made_meanwhile_is_found_by_who_opens_it_next(
    config: Config, elsewhere: Config
) -> None:
    async with S3YStore(PATH, config=config) as store:
        with pytest.raises(YDocNotFound):
            await opened(store)
        await archived(elsewhere, "one")
        async with S3YStore(PATH, config=config) as next_one:
            assert str(await opened(next_one)) == "one"


async def test_what_is_written_while_the_bucket_is_asked_is_opened(
    config: Config, answer: Answer
) -> None:
    answer.hold()
    async with S3YStore(PATH, config=config) as one, S3YStore(PATH, config=config) as other:
        opening = asyncio.create_task(opened(other))
        await answer.awaited.wait()
        await one.write(Typist().type("one"))
        answer.arrive()
        assert str(await opening) == "one"


async def test_a_crash_before_the_first_update_was_kept_leaves_what_the_bucket_has(
    config: Config, elsewhere: Config, tmp_path: Path
) -> None:
    path = tmp_path / "buffer.db"
    async with S3YStore(PATH, config=with_file(config, path)) as store:
        with pytest.raises(YDocNotFound):
            await opened(store)
        entry_of(store).facts.lineage = "0" * 32
        await checkpointer_of(store).set_facts(entry_of(store))
        left = crashed(path)
    await archived(elsewhere, "one")
    async with S3YStore(PATH, config=with_file(config, left)) as store:
        assert str(await opened(store)) == "one"


async def test_who_cancels_an_opening_takes_nothing_from_a_second_one(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = with_file(config, tmp_path / "buffer.db")
    add, reached, goes_on = Buffer.add, asyncio.Event(), asyncio.Event()

    async def slow(buffer: Buffer, *args: Any) -> None:
        reached.set()
        await goes_on.wait()
        await add(buffer, *args)

    async with S3YStore("other", config=config) as other:
        server = checkpointer_of(other)
        monkeypatch.setattr(Buffer, "add", slow)
        first = asyncio.create_task(_visit(config))
        await reached.wait()
        async with S3YStore(PATH, config=config) as second:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            goes_on.set()
            await second.write(Typist().type("one"))
            assert server.status()["pending_updates"] == 1
            async with S3YStore(PATH, config=config) as third:
                assert str(await opened(third)) == "one"


async def _visit(config: Config) -> None:
    async with S3YStore(PATH, config=config):
        pass


async def test_who_cancels_the_last_store_leaves_a_checkpointer_that_works(
    config: Config, reader: Reader
) -> None:
    config.S3YStore.checkpoint_idle_delay = 0.1
    found: list[Checkpointer] = []

    async def visit() -> None:
        async with S3YStore("first", config=config) as store:
            found.append(checkpointer_of(store))
            await store.write(Typist().type("x"))
            found[0].take_up_always()

    visiting = asyncio.create_task(visit())
    while not (found and found[0]._closing):  # noqa: ASYNC110 - it is closing for a turn or two
        await asyncio.sleep(0)
    visiting.cancel()
    await asyncio.gather(visiting, return_exceptions=True)
    async with S3YStore("second", config=config) as store:
        await store.write(Typist().type("two"))
        await eventually(lambda: _says(reader, "second", "two"), "a checkpoint of itself")


async def _says(reader: Reader, path: str, words: str) -> bool:
    return await reader.text(path) == words


async def test_an_error_that_should_not_be_is_told_and_tried_again_with_pauses(
    config: Config, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.S3YStore.checkpoint_idle_delay = 0.05
    save, tries = Archive.save, 0

    async def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal tries
        tries += 1
        raise KeyError("a fault of ours")

    async with S3YStore(PATH, config=config) as store:
        monkeypatch.setattr(Archive, "save", broken)
        await store.write(Typist().type("one"))
        server = checkpointer_of(store)
        await eventually(lambda: tries > 1, "it is tried again")
        status = server.status()
        assert status["status"] == "retrying"
        assert "a fault of ours" in status["failing_documents"][PATH]
        unflushed = await server.flush(1.0)
        assert "a fault of ours" in unflushed[PATH]
        assert tries < 20
        monkeypatch.setattr(Archive, "save", save)
    assert await reader.text(PATH) == "one"


async def test_what_reaches_a_document_after_it_was_closed_and_evicted_is_archived(
    config: Config, server: Checkpointer, reader: Reader
) -> None:
    async with in_a_room(S3YStore(PATH, config=config)) as store:
        typist = Typist()
        with pytest.raises(YDocNotFound):
            await store.apply_updates(typist.doc)
        await store.write(typist.type("one"))
        late = store.last_capture()
    await eventually(lambda: store_is_gone(server), "the document to leave the buffer")
    typist.type(" two")
    late()
    assert await server.flush(15) == {}
    assert await reader.text(PATH) == "one two"


def store_is_gone(server: Checkpointer) -> bool:
    return all(document.path != PATH for document in server.entries)
