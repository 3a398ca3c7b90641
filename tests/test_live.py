"""A checkpoint takes a document from whoever has it open, and loses nothing by that."""

from __future__ import annotations

from typing import Any

import anyio
import pycrdt
import pytest
from pycrdt.store import YDocNotFound
from traitlets.config import Config

from bookstore_y import S3YStore
from bookstore_y.local.waiting import eventually
from bookstore_y.replication import checkpoint
from bookstore_y.replication.document_view import Base
from bookstore_y.ydoc import squash

from .support import Reader, Typist, text_of, words_of

PATH = "notes.txt"


class Squashing:
    """Counts the checkpoints that decoded what the buffer holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        advance = squash.squash_buffered

        def counted(*args: Any) -> Any:
            self.count += 1
            return advance(*args)

        monkeypatch.setattr(checkpoint, "squash_buffered", counted)


@pytest.fixture
def squashing(monkeypatch: pytest.MonkeyPatch) -> Squashing:
    return Squashing(monkeypatch)


async def opened(store: S3YStore, *updates: bytes) -> Typist:
    """Someone whose document the store knows, and who has written, and archived, a first word."""
    typist = Typist(*updates)
    try:
        await store.apply_updates(typist.doc)
    except YDocNotFound:
        pass
    await store.write(typist.type("begun"))
    assert await store.checkpoint() is not None
    return typist


async def test_after_the_first_nothing_is_decoded(
    config: Config, reader: Reader, squashing: Squashing
) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        assert squashing.count == 1
        for word in (" one", " two"):
            await store.write(typist.type(word))
            assert await store.checkpoint() is not None
        assert squashing.count == 1
        assert await reader.text(PATH) == "begun one two"
        assert await store.checkpoint() is None


async def test_what_changes_nothing_makes_no_version(
    config: Config, reader: Reader, squashing: Squashing
) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        again = typist.doc.get_update()
        await store.write(again)
        assert await store.checkpoint() is None
        await store.write(typist.type("."))
        assert await store.checkpoint() is not None
        assert squashing.count == 1


async def test_an_update_that_the_document_has_not_seen_is_archived(
    config: Config, reader: Reader, squashing: Squashing
) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        other = Typist(typist.doc.get_update())
        await store.write(other.type(" elsewhere"))
        await store.checkpoint()
        assert await reader.text(PATH) == "begun elsewhere"
        # It lacks what is archived now, so that it cannot be what is archived next.
        await store.write(typist.type(" here"))
        await store.checkpoint()
        assert sorted((await reader.text(PATH)).split()) == ["begun", "elsewhere", "here"]


async def test_a_deletion_that_the_document_has_not_seen_is_archived(
    config: Config, reader: Reader
) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        other = Typist(typist.doc.get_update())
        await store.write(other.delete(0, 2))
        assert await store.checkpoint() is not None
        assert await reader.text(PATH) == "gun"
        await store.write(typist.type("!"))
        await store.checkpoint()
        assert await reader.text(PATH) == "gun!"


async def test_an_update_that_waits_for_another_is_archived(config: Config, reader: Reader) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        other = Typist(typist.doc.get_update())
        first, second = other.type(" first"), other.type(" second")
        typist.receive(second)
        await store.write(second)
        await store.checkpoint()
        typist.receive(first)
        await store.write(first)
        await store.checkpoint()
        assert await reader.text(PATH) == "begun first second"


async def test_what_was_on_its_way_when_its_room_closed_stays(
    config: Config, reader: Reader
) -> None:
    """A room cancels its writes when it closes. One that never ran may be in the bucket by then."""
    async with S3YStore(PATH, config=config) as store:
        await store.write(Typist().type("once "))
    async with S3YStore("other.txt", config=config):
        async with anyio.create_task_group() as room:
            store = S3YStore(PATH, config=config)
            await room.start(store.start)
            typist = await opened(store)
            typist.type(" on its way")
            await store.write(typist.type(" written"))
            await store.checkpoint()
            assert await reader.text(PATH) == "once begun on its way written"
            room.cancel_scope.cancel()
        async with S3YStore(PATH, config=config) as store:
            later = Typist()
            await store.apply_updates(later.doc)
            assert str(later) == "once begun on its way written"
            await store.write(later.type(", and on"))
            await store.checkpoint()
            assert await reader.text(PATH) == "once begun on its way written, and on"


async def test_another_document_takes_the_place_of_the_one_before(
    config: Config, reader: Reader
) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        later = Typist()
        await store.apply_updates(later.doc)
        await store.write(typist.type(" and on"))
        await store.checkpoint()
        assert await reader.text(PATH) == "begun and on"


async def test_what_another_server_wrote_stays(config: Config, reader: Reader) -> None:
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        await store.write(typist.type(" mine"))
        await store.checkpoint()
        second = Config(config)
        second.S3YStore.db_path = ":memory:"
        second.BookstoreSettings.read_timeout = 29.0  # so that it is no part of this process
        async with S3YStore(PATH, config=second) as elsewhere:
            theirs = Typist()
            await elsewhere.apply_updates(theirs.doc)
            await elsewhere.write(theirs.type(" theirs"))
            await elsewhere.checkpoint()
        await store.write(typist.type(" again"))
        await store.checkpoint()
        words = sorted((await reader.text(PATH)).split())
        assert words == ["again", "begun", "mine", "theirs"]
        assert sorted(str(typist).split()) == words
        await store.write(typist.delete(0, 5))
        await store.checkpoint()
        assert "begun" not in await reader.text(PATH)


async def test_the_history_in_the_buffer_stays_within_its_bounds(
    config: Config, reader: Reader
) -> None:
    config.S3YStore.history_updates = 10
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        for number in range(40):
            await store.write(typist.type(f" {number}"))
            await store.checkpoint()

        async def held() -> list[bytes]:
            return [update async for update, _, _ in store.read()]

        async def bounded() -> bool:
            return len(await held()) <= 11

        await eventually(bounded, "the oldest updates to be folded into the base")
        assert text_of(await held()) == str(typist) == await reader.text(PATH)


async def test_after_an_eviction_it_goes_on(config: Config, reader: Reader) -> None:
    config.S3YStore.document_ttl = 0.05
    async with S3YStore(PATH, config=config) as store:
        typist = await opened(store)
        entry = store.entry
        assert entry is not None
        await eventually(lambda: entry.base is Base.BUCKET_ONLY, "the document to be evicted")
        await store.write(typist.type(" late"))
        await store.checkpoint()
        assert await reader.text(PATH) == "begun late"
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        await store.apply_updates(doc)
        assert words_of(doc) == "begun late"
