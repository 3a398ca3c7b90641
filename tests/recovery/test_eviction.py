"""What is typed after an eviction builds on what the bucket has, and never stands alone."""

from __future__ import annotations

import asyncio

import pytest

from bookstore_y.keys import Document
from bookstore_y.replication.document_view import Base
from bookstore_y.replication.housekeeping import condense_pending
from bookstore_y.replication.live import Live

from ..support import Reader, Typist
from .common import NOTES, QUIET, Server, all_texts, type_into


async def test_what_is_typed_into_a_displaced_document_has_what_came_before(
    server: Server, reader: Reader
) -> None:
    """Its updates left the buffer as soon as its last state was a version."""
    former, typist = Typist(), Typist()
    async with server() as archive:
        displaced = await archive.open(NOTES, QUIET)
        type_into(archive, displaced, former.type("before"))
        await archive.checkpoint(displaced)
        other = await archive.open(Document("other"), QUIET)
        type_into(archive, other, typist.type("the other"))
        await archive.checkpoint(other)
        await archive.path_changes.rename("other", "notes")
        assert await archive.flush(15) == {}

        type_into(archive, displaced, former.type(", after"))
        archive.close(displaced)
        assert await archive.flush(15) == {}
        assert await reader.text(NOTES) == "the other"
    assert "before, after" in await all_texts(server, NOTES)


async def test_an_eviction_that_the_buffer_refuses_changes_nothing(
    server: Server, reader: Reader
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("one"))
        await archive.checkpoint(entry)
        type_into(archive, entry, typist.type(" two"))
        before = entry.base, entry.facts, entry.pending, entry.pending_bytes
        entry.counted(-1, -entry.pending_bytes)
        await archive._evict(entry)
        assert (entry.base, entry.facts, entry.pending, entry.pending_bytes) == before
        await archive.checkpoint(entry)
        assert await reader.text(NOTES) == "one two"


async def test_a_checkpoint_that_waited_for_an_eviction_asks_the_bucket_first(
    server: Server, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a path change evicts a document whose checkpoint is due."""
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("one"))
        await archive.checkpoint(entry)
        evict = archive.buffer.evict

        async def evict_and_type(*args: int, **options: bool) -> bool:
            gone = await evict(*args, **options)  # type: ignore[arg-type]
            type_into(archive, entry, typist.type(" three"))
            return gone

        monkeypatch.setattr(archive.buffer, "evict", evict_and_type)
        async with entry.writing:
            type_into(archive, entry, typist.type(" two"))
            tasks = [
                asyncio.create_task(work)
                for work in (
                    archive.write(entry),
                    archive.evict_written(entry),
                    archive.checkpoint(entry),
                )
            ]
            for _ in range(20):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert await reader.text(NOTES) == "one two three"


async def test_a_document_that_was_closed_while_it_was_evicted_leaves_the_buffer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("one"))
        await archive.checkpoint(entry)
        evict = archive.buffer.evict

        async def evict_and_close(*args: int, **options: bool) -> bool:
            gone = await evict(*args, **options)  # type: ignore[arg-type]
            if entry.users:
                archive.close(entry)
            return gone

        monkeypatch.setattr(archive.buffer, "evict", evict_and_close)
        await archive._evict(entry)
        while NOTES in archive.entries:  # noqa: ASYNC110 - the test has a time limit
            await asyncio.sleep(0.01)
        assert archive.buffer.known() == []


async def test_what_others_brought_back_is_the_parent_of_the_next_version(server: Server) -> None:
    typist = Typist()
    async with server() as archive, server() as elsewhere:
        entry = await archive.open(NOTES, QUIET)
        first = typist.type("one")
        type_into(archive, entry, first)
        await archive.checkpoint(entry)
        await archive.path_changes.delete("notes")
        assert await archive.flush(15) == {}

        theirs = await elsewhere.open(NOTES, QUIET)
        type_into(elsewhere, theirs, first, typist.type(" two"))
        brought_back = await elsewhere.checkpoint(theirs)
        assert brought_back is not None
        entry.live_attached(Live(typist.doc, lambda: True))
        await archive.loader.pull(entry)
        assert not entry.facts.deleted
        assert entry.base is Base.BUFFERED

        type_into(archive, entry, typist.type(" three"))
        written = await archive.checkpoint(entry)
        assert written is not None
        version = await archive.archive.version(NOTES, written.version_id)
        assert version.parent == brought_back.version_id
        entry.live_detached(entry.live[0])


async def test_what_was_squashed_for_want_of_memory_is_known_to_be_a_base(
    server: Server, reader: Reader
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("one"))
        await archive.checkpoint(entry)
        type_into(archive, entry, typist.type(" two"), typist.type(" three"))
        await condense_pending(archive.buffer, entry)
        held = await archive.buffer.read(entry.id)
        assert (entry.has_base, entry.pending) == (held.base is not None, len(held.pending))
        assert entry.has_base
        await archive.checkpoint(entry)
        assert await reader.text(NOTES) == "one two three"
