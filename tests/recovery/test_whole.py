"""What the buffer holds of a document, and when that is enough to open it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookstore_y.errors import BucketUnavailable, DocumentNotFound
from bookstore_y.local.waiting import eventually

from ..support import Outage, Reader, Typist, text_of
from .common import NOTES, QUIET, Server, type_into


async def test_a_document_that_began_here_opens_while_the_bucket_is_away(
    server: Server, outage: Outage
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        with pytest.raises(DocumentNotFound):
            await archive.load(entry)
        type_into(archive, entry, Typist().type("all of it"))
        await archive.checkpoint(entry)
        archive.close(entry)

        outage.begin()
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "all of it"

        await archive._evict(entry)
        with pytest.raises(BucketUnavailable):
            await archive.load(entry)
        outage.end()


async def test_a_document_opens_although_what_it_builds_on_has_expired(
    server: Server, tmp_path: Path, reader: Reader
) -> None:
    path = tmp_path / "buffer.db"
    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("mine"))
        await archive.checkpoint(entry)
        bucket, key = archive.archive.bucket, archive.archive.key(NOTES)
        await bucket.delete(key, entry.facts.version_id)
        async with server() as elsewhere:
            type_into(elsewhere, await elsewhere.open(NOTES, QUIET), Typist().type("other"))
            await elsewhere.flush(15)

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "mine"


async def test_a_document_that_left_the_buffer_while_open_leaves_nothing_when_it_closes(
    server: Server,
) -> None:
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, Typist().type("archived"))
        await archive.checkpoint(entry)
        await archive._evict(entry)
        archive.close(entry)
        await eventually(lambda: archive.status()["documents"] == 0, "it is forgotten")
        assert archive.buffer.known() == []
