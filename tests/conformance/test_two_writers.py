"""Several servers that write one document lose nothing and converge, on every S3 server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import WriteResult
from bookstore_y.errors import BucketUnavailable, PreconditionFailed
from bookstore_y.s3.objects import Written
from harness.servers import S3Server

from .conftest import Configure
from .documents import NOTES, Writer, text_in, text_of
from .endpoints import BadLine, serving

WRITERS = 8


@pytest.fixture
async def many_archives(configure: Configure) -> AsyncIterator[list[Archive]]:
    """What eight servers have: one bucket, and each a client of its own."""
    async with contextlib.AsyncExitStack() as stack:
        archives = [Archive(configure(max_threads=2 + n)) for n in range(WRITERS)]
        yield [await stack.enter_async_context(archive) for archive in archives]


async def all_texts(archive: Archive) -> list[str]:
    """What each version says, newest first."""
    return [
        await text_in(archive, NOTES, version.version_id)
        for version in await archive.versions(NOTES)
    ]


# -- one lineage ------------------------------------------------------------------------------


async def test_the_second_writer_takes_in_what_the_first_wrote(
    archive: Archive, second_archive: Archive
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    bob = Writer(origin=ada)
    ada_saved = await ada.type(" ada").save(archive)

    bob_saved = await bob.type(" bob").save(second_archive)

    assert sorted(bob.text.split()) == ["ada", "bob", "one"]
    assert [text_of(update) for update in bob_saved.merged] == ["one ada"]
    assert await text_in(archive) == text_of(bob_saved.update) == bob.text
    assert await text_in(archive, NOTES, ada_saved.version_id) == "one ada"
    assert (await archive.load_snapshot(NOTES)).version_id == bob_saved.version_id


async def test_writers_who_take_turns_see_each_other(
    archive: Archive, second_archive: Archive
) -> None:
    ada = Writer("start")
    bob = Writer(origin=ada)
    for turn in range(3):
        await ada.type(f" a{turn}").save(archive)
        await bob.type(f" b{turn}").save(second_archive)
    await ada.save(archive)

    words = {"start"} | {f"{name}{turn}" for name in "ab" for turn in range(3)}
    assert ada.text == bob.text == await text_in(archive)
    assert set(ada.text.split()) == words
    assert len(ada.text.split()) == len(words)


async def test_a_deletion_that_slips_in_is_kept(archive: Archive, second_archive: Archive) -> None:
    ada = Writer("one two")
    await ada.save(archive)
    bob = Writer(origin=ada)
    del ada._text[0:4]
    await ada.save(archive)

    await bob.type(" three").save(second_archive)

    assert await text_in(archive) == bob.text == "two three"


@pytest.mark.parametrize("known", [True, False], ids=["of a version", "of a new document"])
async def test_two_writers_at_once_lose_nothing_and_converge(
    archive: Archive, second_archive: Archive, known: bool
) -> None:
    ada = Writer("start")
    if known:
        await ada.save(archive)
    bob = Writer(origin=ada)

    for turn in range(5):
        await asyncio.gather(
            ada.type(f" a{turn}").save(archive), bob.type(f" b{turn}").save(second_archive)
        )

    words = sorted(["start", *(f"{name}{turn}" for name in "ab" for turn in range(5))])
    assert sorted((await text_in(archive)).split()) == words


async def test_eight_writers_at_once_lose_nothing_and_converge(
    many_archives: list[Archive],
) -> None:
    first = Writer("start")
    await first.save(many_archives[0])
    writers = [Writer(origin=first).type(f" w{n}") for n in range(WRITERS)]

    saved = await asyncio.gather(
        *(writer.save(archive) for writer, archive in zip(writers, many_archives, strict=True))
    )

    words = sorted(["start", *(f"w{n}" for n in range(WRITERS))])
    whole = await text_in(many_archives[0])
    assert sorted(whole.split()) == words
    # One of them knows all; each knows what its own version says; in the next round all do.
    assert whole in {writer.text for writer in writers}
    for writer, result in zip(writers, saved, strict=True):
        assert text_of(result.update) == writer.text
    for writer, archive in zip(writers, many_archives, strict=True):
        await writer.save(archive)
    assert {writer.text for writer in writers} == {whole}
    assert await text_in(many_archives[0]) == whole


async def test_what_slips_in_between_a_look_and_a_write_is_taken_in(
    archive: Archive, second_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Writer("start")
    await ada.save(archive)
    bob = Writer(origin=ada)
    put = archive.bucket.put
    turns = iter(range(3))

    async def put_late(*args: Any, **kwargs: Any) -> Written:
        for turn in turns:
            await bob.type(f" b{turn}").save(second_archive)
            break
        return await put(*args, **kwargs)

    monkeypatch.setattr(archive.bucket, "put", put_late)
    saved = await ada.type(" a").save(archive)

    assert sorted((await text_in(archive)).split()) == ["a", "b0", "b1", "b2", "start"]
    assert sorted(text_of(saved.update).split()) == ["a", "b0", "b1", "b2", "start"]
    assert sorted(ada.text.split()) == ["a", "b0", "b1", "b2", "start"]


async def test_the_parent_is_the_version_that_was_built_upon(
    archive: Archive, second_archive: Archive
) -> None:
    ada = Writer("one")
    first = await ada.save(archive)
    bob = Writer(origin=ada)
    second = await ada.type(" ada").save(archive)

    await bob.type(" bob").save(second_archive)

    versions = await archive.versions(NOTES, details=True)
    ancestors = {version.version_id: version.parent for version in versions}
    assert ancestors[first.version_id] == ""
    assert ancestors[second.version_id] == first.version_id
    newest = versions[0]
    if len(versions) == 4:  # written first and merged then, without conditional writes
        assert ancestors[newest.parent] == first.version_id
    else:
        assert newest.parent == second.version_id


@pytest.mark.s3_only("moto", "localstack")  # where nothing is written before it is merged
async def test_each_version_holds_the_one_before(many_archives: list[Archive]) -> None:
    first = Writer("start")
    await first.save(many_archives[0])
    writers = [Writer(origin=first).type(f" w{n}") for n in range(4)]
    await asyncio.gather(
        *(w.save(archive) for w, archive in zip(writers, many_archives, strict=False))
    )

    texts = await all_texts(many_archives[0])

    assert [len(text.split()) for text in texts] == [5, 4, 3, 2, 1]


@pytest.mark.s3_only("moto", "localstack")  # Ceph refuses no write
async def test_writers_who_never_agree_give_up_in_the_end(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    tries = 0

    async def refused(*args: object, **kwargs: object) -> Written:
        nonlocal tries
        tries += 1
        raise PreconditionFailed("another version came first")

    monkeypatch.setattr("bookstore_y.archive.snapshot_writer.MAX_REFUSALS", 3)
    monkeypatch.setattr(archive.bucket, "put", refused)
    with pytest.raises(PreconditionFailed):
        await Writer(origin=ada).type("!").save(archive)
    assert tries == 3


# -- two lineages -----------------------------------------------------------------------------


async def test_two_lineages_both_stay_versions_and_a_warning_names_both(
    archive: Archive, second_archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = Writer("ada's"), Writer("bob's")
    assert ada.lineage != bob.lineage
    older = await ada.save(archive)

    with caplog.at_level(logging.WARNING, logger="bookstore_y"):
        newer = await bob.save(second_archive)

    assert await text_in(archive) == bob.text == "bob's"  # nothing is doubled
    assert newer.merged == ()
    assert [version.version_id for version in await archive.versions(NOTES)] == [
        newer.version_id,
        older.version_id,
    ]
    assert await text_in(archive, NOTES, older.version_id) == "ada's"
    [warning] = [r.getMessage() for r in caplog.records if "histories" in r.getMessage()]
    assert older.version_id in warning
    assert newer.version_id in warning
    assert "notes.md" in warning


async def test_a_lineage_that_went_on_warns_no_more(
    archive: Archive, second_archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    await Writer("ada's").save(archive)
    bob = Writer("bob's")
    await bob.save(second_archive)
    caplog.clear()

    await bob.type("!").save(second_archive)

    assert caplog.records == []
    assert await text_in(archive) == "bob's!"


async def test_two_lineages_at_once_both_stay_versions(
    archive: Archive, second_archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = Writer("ada's"), Writer("bob's")

    saved = await asyncio.gather(ada.save(archive), bob.save(second_archive))

    assert sorted(await all_texts(archive)) == ["ada's", "bob's"]
    warnings = [r.getMessage() for r in caplog.records if "histories" in r.getMessage()]
    assert any(all(result.version_id in text for result in saved) for text in warnings)
    assert {ada.text, bob.text} == {"ada's", "bob's"}


# -- lost answers -----------------------------------------------------------------------------


async def save_over_bad_line(
    configure: Configure, server: S3Server, writer: Writer, line: BadLine, *, lose: int = 1
) -> WriteResult:
    async with serving(line.handle) as url:
        settings = configure(
            s3_endpoint_url=url, conditional_writes=server.conditional_writes, max_attempts=2
        )
        async with Archive(settings) as archive:
            await archive.check()
            line.answers_to_lose = lose
            return await writer.save(archive)


async def test_a_write_whose_answer_was_lost_is_recognised(
    archive: Archive, configure: Configure, s3_server: S3Server
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    line = BadLine(s3_server.endpoint_url)

    saved = await save_over_bad_line(configure, s3_server, ada.type(" two"), line)

    assert line.lost == 1
    assert saved.merged == ()
    assert await text_in(archive) == "one two"
    current = await archive.load_snapshot(NOTES)
    assert (saved.version_id, saved.etag) == (current.version_id, current.etag)
    texts = await all_texts(archive)
    if s3_server.conditional_writes:
        assert texts == ["one two", "one"]
    else:  # it landed twice
        assert texts == ["one two", "one two", "one"]


async def test_a_first_write_whose_answer_was_lost_is_recognised(
    archive: Archive, configure: Configure, s3_server: S3Server
) -> None:
    line = BadLine(s3_server.endpoint_url)

    saved = await save_over_bad_line(configure, s3_server, Writer("one"), line)

    assert line.lost == 1
    assert set(await all_texts(archive)) == {"one"}
    assert (await archive.load_snapshot(NOTES)).version_id == saved.version_id
    if s3_server.conditional_writes:
        assert len(await archive.versions(NOTES)) == 1


async def test_another_write_after_the_one_whose_answer_was_lost_is_kept(
    archive: Archive, configure: Configure, s3_server: S3Server
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    bob = Writer(origin=ada)
    line = BadLine(s3_server.endpoint_url)

    async def bob_writes() -> None:
        await bob.type(" bob").save(archive)

    line.after_loss = bob_writes

    saved = await save_over_bad_line(configure, s3_server, ada.type(" ada"), line)

    assert line.lost == 1
    assert sorted((await text_in(archive)).split()) == ["ada", "bob", "one"]
    assert ada.text == text_of(saved.update) == await text_in(archive)


async def test_a_save_that_never_got_an_answer_can_be_tried_again(
    archive: Archive, configure: Configure, s3_server: S3Server
) -> None:
    ada = Writer("one")
    await ada.save(archive)
    line = BadLine(s3_server.endpoint_url)
    with pytest.raises(BucketUnavailable):
        await save_over_bad_line(configure, s3_server, ada.type(" two"), line, lose=10)

    await ada.type(" three").save(archive)

    assert await text_in(archive) == ada.text == "one two three"
