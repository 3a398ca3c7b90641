"""What is pending reaches the bucket, whenever it is due and whatever is in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from prometheus_client import REGISTRY
from traitlets.config import Config

from bookstore_y import BookstoreSettings, S3YStore
from bookstore_y.archive.snapshot_writer import SnapshotWriter
from bookstore_y.archive.version import WriteResult
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.errors import AccessDenied, BookstoreError, BucketUnavailable, UpdateBufferError
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.replication import health
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.replication.document_view import Base
from bookstore_y.replication.schedule import Policy
from bookstore_y.s3.bucket import Bucket

from .support import NEVER, Gate, Outage, Reader, Typist, text_of, words_of

NOTES = Document("notes.ipynb", "notebook")

QUIET = Policy(interval=1_000_000, max_delay=NEVER, idle_delay=NEVER, ttl=NEVER)
"""Nothing is due by itself."""


def policy(**changes: Any) -> Policy:
    return Policy(**{**QUIET.__dict__, **changes})


@pytest.fixture(params=["memory", "file"])
def db_path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "buffer.db")


@pytest.fixture(autouse=True)
def _tries_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RETRY_CAP", 0.2)


@dataclass
class Open:
    """A document that is open in a checkpointer, and the one who types into it."""

    archive: Checkpointer
    entry: DocumentState
    typist: Typist

    def type(self, words: str) -> None:
        self.put(self.typist.type(words))

    def put(self, update: bytes) -> None:
        self.archive.append(self.entry, update, b"", 1.0)

    async def checkpoint(self) -> WriteResult | None:
        return await asyncio.wait_for(self.archive.checkpoint(self.entry), 15)

    async def text(self) -> str:
        return text_of((await self.archive.load(self.entry)).updates())


async def opened(archive: Checkpointer, rules: Policy = QUIET, document: Document = NOTES) -> Open:
    return Open(archive, await archive.open(document, rules), Typist())


@pytest.fixture
async def archive(settings: BookstoreSettings, db_path: str) -> AsyncIterator[Checkpointer]:
    async with Checkpointer(settings, BufferOptions(db_path)) as archive:
        yield archive


def says(reader: Reader, text: str, path: Document = NOTES) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await reader.text(path) == text

    return check


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"bookstore_{name}", labels) or 0.0


# -- when ------------------------------------------------------------------------------------------


async def test_the_interval_counts_updates(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive, policy(interval=5))
    for word in "abcd":
        notes.type(word)
    await asyncio.sleep(0)
    assert notes.entry.pending == 4

    notes.type("e")

    await eventually(says(reader, "abcde"), "the fifth update makes a checkpoint")
    assert (await reader.metadata(NOTES))["updates"] == "5"
    assert await reader.count(NOTES) == 1


async def test_the_interval_holds_for_every_run_of_updates(
    archive: Checkpointer, reader: Reader
) -> None:
    notes = await opened(archive, policy(interval=5))
    for word in ("one ", "two ", "three "):
        for letter in word.ljust(5):
            notes.type(letter)
        text = str(notes.typist)
        await eventually(says(reader, text), "each fifth update makes a checkpoint")


@pytest.mark.parametrize("due", ["max_delay", "idle_delay"])
async def test_no_update_waits_longer_than_its_delay(
    archive: Checkpointer, reader: Reader, due: str
) -> None:
    notes = await opened(archive, policy(**{due: 0.05}))
    for word in ("first ", "second "):
        notes.type(word)
        text = str(notes.typist)
        await eventually(says(reader, text), f"a checkpoint after {due}")


async def test_whoever_types_without_a_pause_is_checkpointed_after_the_longest_delay(
    archive: Checkpointer, reader: Reader
) -> None:
    notes = await opened(archive, policy(max_delay=0.1, idle_delay=NEVER))

    async def typed_on() -> bool:
        notes.type("x")
        return await reader.text(NOTES) != ""

    await eventually(typed_on, "a checkpoint though nobody paused")


async def test_closing_makes_a_checkpoint(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive)
    notes.type("closed")
    archive.close(notes.entry)
    await eventually(says(reader, "closed"), "closing makes a checkpoint")


async def test_flushing_makes_a_checkpoint_of_each_document(
    archive: Checkpointer, reader: Reader
) -> None:
    documents = [Document(f"{number}.txt", "file") for number in range(5)]
    for document in documents:
        (await opened(archive, QUIET, document)).type(document.path)

    assert await archive.flush(15) == {}

    for document in documents:
        assert await reader.text(document) == document.path


async def test_nothing_new_is_no_version(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive)
    assert await notes.checkpoint() is None
    update = notes.typist.type("once")
    notes.put(update)
    assert await notes.checkpoint() is not None

    notes.put(update)
    assert await notes.checkpoint() is None
    assert await archive.flush(15) == {}

    assert notes.entry.pending == 0
    assert await reader.count(NOTES) == 1


async def test_a_deletion_is_something_new(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive)
    notes.type("not this, but that")
    await notes.checkpoint()

    notes.put(notes.typist.delete(0, 10))
    assert await notes.checkpoint() is not None

    assert await reader.text(NOTES) == "but that"


# -- while a PUT is under way ----------------------------------------------------------------------


async def test_what_arrives_during_a_put_stays_pending(
    archive: Checkpointer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await opened(archive)
    gate = Gate(monkeypatch)
    notes.type("before ")
    put = asyncio.create_task(notes.checkpoint())
    await gate.reached.wait()
    notes.type("during")
    gate.opened.set()
    await put

    assert await reader.text(NOTES) == "before "
    assert notes.entry.pending == 1
    held = await archive.load(notes.entry)
    assert text_of([notes.typist.doc.get_update()]) == text_of(held.updates())
    assert len(held.pending) == 1

    await notes.checkpoint()
    assert await reader.text(NOTES) == "before during"
    assert (notes.entry.pending, notes.entry.pending_bytes) == (0, 0)


async def test_writing_and_reading_never_wait_for_a_put(
    config: Config, db_path: str, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.S3YStore.db_path = db_path
    typist = Typist()
    async with S3YStore("notes", config=config) as store:
        await store.write(typist.type("before "))
        gate = Gate(monkeypatch)
        put = asyncio.create_task(store.checkpoint())
        await gate.reached.wait()

        for word in ("while ", "it ", "hangs"):
            await asyncio.wait_for(store.write(typist.type(word)), 10)
        read = await asyncio.wait_for(_text_in(store), 10)

        assert read == "before while it hangs"
        assert not put.done()
        gate.opened.set()
        await put


async def _text_in(store: S3YStore) -> str:
    return text_of([update async for update, *_ in store.read()])


@pytest.mark.parametrize("after", [False, True], ids=["before it lands", "after it landed"])
async def test_a_put_that_is_cancelled_loses_nothing(
    archive: Checkpointer, reader: Reader, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    notes = await opened(archive)
    notes.type("zero ")
    await notes.checkpoint()
    with monkeypatch.context() as patch:
        gate = Gate(patch, after=after)
        notes.type("one ")
        put = asyncio.create_task(notes.checkpoint())
        await gate.reached.wait()
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
    assert notes.entry.pending == 1

    notes.type("two")
    await notes.checkpoint()

    assert await reader.text(NOTES) == "zero one two"
    assert notes.entry.pending == 0
    assert await notes.text() == "zero one two"


async def test_a_checkpointer_that_is_left_during_a_put_keeps_what_is_pending(
    settings: BookstoreSettings, reader: Reader, monkeypatch: pytest.MonkeyPatch, db_path: str
) -> None:
    first = Checkpointer(settings, BufferOptions(db_path))
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with first:
            notes = await opened(first, policy(idle_delay=0.01))
            notes.type("in flight")
            await gate.reached.wait()

    again = first if db_path == ":memory:" else Checkpointer(settings, BufferOptions(db_path))
    async with again:
        await eventually(says(reader, "in flight"), "the next one writes it by itself")


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BucketUnavailable("no answer"), AccessDenied("refused")])
async def test_a_failing_bucket_is_tried_again_and_recovers_by_itself(
    archive: Checkpointer, reader: Reader, outage: Outage, error: BookstoreError
) -> None:
    notes = await opened(archive, policy(idle_delay=0.01))
    assert archive.status()["status"] == "ok"
    outage.begin(error)
    notes.type("patience")
    await eventually(lambda: outage.refused > 3, "several tries")

    status = archive.status()
    assert (status["status"], status["error"]) == ("retrying", str(error))
    assert status["failing_documents"].keys() == {str(NOTES)}
    assert str(error) in status["failing_documents"][str(NOTES)]
    assert (status["pending_documents"], status["pending_updates"]) == (1, 1)
    assert status["retrying_since"] is not None

    outage.end()
    await eventually(says(reader, "patience"), "it recovers by itself")
    await eventually(lambda: archive.status()["status"] == "ok", "and says so")
    status = archive.status()
    assert (status["error"], status["failing_documents"]) == (None, {})
    assert (status["pending_documents"], status["pending_updates"]) == (0, 0)
    assert status["last_checkpoint"] is not None


async def test_a_checkpoint_that_fails_says_why_and_keeps_everything(
    archive: Checkpointer, reader: Reader, outage: Outage
) -> None:
    notes = await opened(archive)
    notes.type("kept")
    outage.begin()
    with pytest.raises(BucketUnavailable):
        await notes.checkpoint()
    assert notes.entry.pending == 1
    outage.end()
    await notes.checkpoint()
    assert await reader.text(NOTES) == "kept"


async def test_flushing_names_what_is_left_and_why(
    archive: Checkpointer, outage: Outage, reader: Reader
) -> None:
    notes = await opened(archive)
    other = await opened(archive, QUIET, Document("other"))
    other.type("done before")
    await other.checkpoint()
    notes.type("left")
    outage.begin(BucketUnavailable("no answer from there"))

    assert await archive.flush(0.3) == {str(NOTES): "no answer from there"}

    outage.end()
    assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "left"


async def test_flushing_ends_in_time_when_the_bucket_hangs(
    archive: Checkpointer, monkeypatch: pytest.MonkeyPatch, reader: Reader
) -> None:
    notes = await opened(archive)
    with monkeypatch.context() as patch:
        Gate(patch)
        notes.type("left")
        left = await asyncio.wait_for(archive.flush(0.2), 15)
    assert list(left) == [str(NOTES)]
    assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "left"


async def test_flushing_tries_again_while_there_is_time(
    archive: Checkpointer, outage: Outage, reader: Reader
) -> None:
    notes = await opened(archive)
    notes.type("in time")
    outage.begin()
    flushing = asyncio.create_task(archive.flush(15))
    await eventually(lambda: outage.refused > 1, "more than one try")
    outage.end()
    assert await flushing == {}
    assert await reader.text(NOTES) == "in time"


async def test_one_failing_document_does_not_hold_up_another(
    archive: Checkpointer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Bucket.put

    async def refusing(bucket: Bucket, key: str, *args: Any, **kwargs: Any) -> Any:
        if "bad" in key:
            raise AccessDenied("not this one")
        return await put(bucket, key, *args, **kwargs)

    monkeypatch.setattr(Bucket, "put", refusing)
    bad = await opened(archive, policy(idle_delay=0.01), Document("bad"))
    good = await opened(archive, policy(idle_delay=0.01), Document("good"))
    bad.type("stuck")
    good.type("fine")

    await eventually(says(reader, "fine", Document("good")), "the other is written")
    await eventually(lambda: bad.entry.error is not None, "the failing one says why")
    assert bad.entry.pending == 1


async def test_an_update_that_the_buffer_refuses_is_not_waited_for_for_ever(
    settings: BookstoreSettings, tmp_path: Path
) -> None:
    async with Checkpointer(settings, BufferOptions(str(tmp_path / "buffer.db"))) as archive:
        notes = await opened(archive, policy(idle_delay=0.01))
        nothing: bytes = None  # type: ignore[assignment]
        _, durable = archive.append(notes.entry, Typist().type("x"), nothing, 1.0)
        assert durable is not None
        with pytest.raises(UpdateBufferError):
            await durable

        await eventually(
            lambda: notes.entry.pending == 0, "what was refused is not waited for", 5.0
        )
        notes.type("fine")
        await notes.checkpoint()
        assert await notes.text() == "fine"


# -- eviction --------------------------------------------------------------------------------------


async def test_an_idle_document_leaves_the_buffer_and_comes_back_from_the_bucket(
    archive: Checkpointer, reader: Reader
) -> None:
    rules = policy(idle_delay=0.01, ttl=0.1)
    notes = await opened(archive, rules)
    notes.type("x" * 500_000)
    await archive.load(notes.entry)
    full = archive.buffer.size()
    archive.close(notes.entry)
    await eventually(lambda: archive.status()["documents"] == 0, "it leaves")
    await eventually(lambda: archive.buffer.size() < full - 400_000, "and gives its space back")

    again = await opened(archive, rules)
    again.typist.receive(*(await archive.load(again.entry)).updates())
    assert str(again.typist) == "x" * 500_000
    again.type(" and on")
    await again.checkpoint()
    assert await reader.text(NOTES) == "x" * 500_000 + " and on"


async def test_what_is_pending_is_never_evicted(
    archive: Checkpointer, outage: Outage, reader: Reader
) -> None:
    notes = await opened(archive, policy(idle_delay=0.01, ttl=0.01))
    outage.begin()
    notes.type("kept")
    archive.close(notes.entry)
    await eventually(lambda: outage.refused > 3, "several tries, and many times the ttl")
    assert (await archive.buffer.read(notes.entry.id)).pending
    outage.end()
    await eventually(says(reader, "kept"), "it is written")
    await eventually(lambda: archive.status()["documents"] == 0, "then it leaves")


async def test_an_open_document_goes_on_after_its_eviction(
    archive: Checkpointer, reader: Reader
) -> None:
    notes = await opened(archive, policy(ttl=0.05))

    async def gone() -> bool:
        return (await archive.buffer.read(notes.entry.id)).empty

    for word in ("one ", "two ", "three"):
        notes.type(word)
        await notes.checkpoint()
        await eventually(gone, "it leaves, though it is open")

    assert await notes.text() == "one two three"
    assert await reader.text(NOTES) == "one two three"


async def test_reading_an_evicted_document_while_the_bucket_is_down_is_no_missing_document(
    config: Config, outage: Outage
) -> None:
    config.S3YStore.document_ttl = 0.05
    async with S3YStore("notes", config=config) as store:
        await store.write(Typist().type("there"))
        await store.checkpoint()
        await eventually(lambda: _entry(store).base is Base.BUCKET_ONLY, "it leaves")
        outage.begin()
        with pytest.raises(BucketUnavailable):
            await store.apply_updates(pycrdt.Doc())
        outage.end()
        assert await _text_in(store) == "there"


async def test_what_another_wrote_is_delivered_also_after_an_eviction(
    config: Config, tmp_path: Path
) -> None:
    config.S3YStore.document_ttl = 0.05
    live = Typist()
    async with S3YStore("notes", config=config) as store:
        await store.write(live.type("ours "))
        await store.checkpoint()
        await store.apply_updates(live.doc)
        await eventually(lambda: _entry(store).base is Base.BUCKET_ONLY, "it leaves")
        await _written_elsewhere(config, tmp_path, "theirs ")

        await store.write(live.type("ours again "))
        await store.checkpoint()
    assert "theirs" in str(live)


@pytest.mark.parametrize("ttl", [NEVER, 0.05])
async def test_a_reader_sees_what_is_written_through_another_server(
    config: Config, tmp_path: Path, ttl: float
) -> None:
    config.S3YStore.checkpoint_max_delay = 0.05
    config.S3YStore.document_ttl = ttl  # also when it has left the buffer long ago
    async with S3YStore("notes", config=config) as store:
        await store.write(Typist().type("ours "))
        await store.checkpoint()
        reader = Typist()
        await store.apply_updates(reader.doc)
        for words in ("theirs ", "and more "):
            await _written_elsewhere(config, tmp_path, words)
            await eventually(partial(_says, reader, words), "it is seen")


def _says(reader: Typist, words: str) -> bool:
    return words in str(reader)


async def test_nobody_asks_the_bucket_about_what_nobody_has_open(
    archive: Checkpointer, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await opened(archive, policy(max_delay=0.01))
    notes.type("archived")
    await notes.checkpoint()
    archive.close(notes.entry)
    asked = []
    monkeypatch.setattr(Bucket, "head", lambda *args: asked.append(args))
    await asyncio.sleep(0.1)
    assert asked == []


async def test_an_error_leaves_the_store_as_itself(config: Config, outage: Outage) -> None:
    async def work() -> None:
        async with S3YStore("notes", config=config) as store:
            await store.write(Typist().type("pending"))
            outage.begin()
            await store.checkpoint()

    with pytest.raises(BucketUnavailable):
        await work()


async def test_a_checkpoint_that_is_cancelled_after_its_put_is_known_to_be_done(
    archive: Checkpointer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await opened(archive)
    reached, go_on = asyncio.Event(), asyncio.Event()
    mark_persisted = archive.buffer.mark_persisted

    async def slow(*args: Any) -> None:
        reached.set()
        await go_on.wait()
        await mark_persisted(*args)

    monkeypatch.setattr(archive.buffer, "mark_persisted", slow)
    notes.type("written")
    checkpoint = asyncio.create_task(archive.checkpoint(notes.entry))
    await reached.wait()
    checkpoint.cancel()
    go_on.set()
    await asyncio.gather(checkpoint, return_exceptions=True)

    assert notes.entry.pending == 0
    assert await archive.flush(1) == {}
    assert await reader.count(NOTES) == 1


async def test_what_is_refused_for_one_document_is_no_outage(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reader: Reader,
) -> None:
    put = Bucket.put

    async def one_is_refused(bucket: Bucket, key: str, *args: Any, **kwargs: Any) -> Any:
        if "refused" in key:
            raise AccessDenied("The policy does not allow this key.")
        return await put(bucket, key, *args, **kwargs)

    monkeypatch.setattr(Bucket, "put", one_is_refused)
    async with Checkpointer(BookstoreSettings(config=config)) as archive:
        states: list[str] = []
        archive.on_state = lambda state: states.append(state["status"])
        rules = policy(idle_delay=0.01)
        refused = await opened(archive, rules, Document("refused"))
        refused.type("pending")
        await eventually(lambda: refused.entry.attempts > 4, "it is tried again")
        notes = await opened(archive, rules)
        notes.type("archived all the same")
        await eventually(says(reader, "archived all the same"), "the others go on")

        assert archive.health.error is None
        assert states == ["retrying"]
        assert archive.status()["failing_documents"] == {
            "refused": "The policy does not allow this key."
        }
        assert caplog.text.count("does not allow this key") == 1
        assert "Archiving is paused" not in caplog.text


# -- history ---------------------------------------------------------------------------------------


async def holds(notes: Open, *, updates: int = 1000, size: int = 1_000_000) -> bool:
    """Whether the buffer has so many updates, or bytes of them, at most."""
    rows = (await notes.archive.load(notes.entry)).rows
    return len(rows) <= updates and sum(len(row.data) for row in rows) <= size


async def test_the_history_is_bounded_in_updates(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive, policy(history_updates=20))
    for number in range(100):
        notes.type(f"{number} ")
        if number % 10 == 9:
            await notes.checkpoint()
            await eventually(lambda: holds(notes, updates=20), "the oldest become part of the base")
    held = await archive.load(notes.entry)
    assert held.rows
    assert held.base is not None
    assert text_of(held.updates()) == str(notes.typist)
    assert await reader.text(NOTES) == str(notes.typist)


async def test_the_history_is_bounded_in_bytes(archive: Checkpointer, reader: Reader) -> None:
    notes = await opened(archive, policy(history_bytes=10_000))
    for number in range(50):
        notes.type(f"{number}".rjust(1000))
        await notes.checkpoint()
        await eventually(lambda: holds(notes, size=10_000), "the oldest become part of the base")
    held = await archive.load(notes.entry)
    assert held.rows
    assert text_of(held.updates()) == str(notes.typist)
    assert await reader.text(NOTES) == str(notes.typist)


async def test_no_history_leaves_a_snapshot(archive: Checkpointer) -> None:
    notes = await opened(archive, policy(history_updates=0))
    for word in ("one ", "two"):
        notes.type(word)
    await notes.checkpoint()
    await eventually(lambda: holds(notes, updates=0), "all of them become the base")
    assert await notes.text() == "one two"


# -- several writers -------------------------------------------------------------------------------


def elsewhere(config: Config, tmp_path: Path) -> Config:
    """The configuration of a server of its own: same bucket, another buffer."""
    copy = Config(config)
    copy.S3YStore = Config({**config.S3YStore, "db_path": str(tmp_path / "elsewhere.db")})
    return copy


async def _written_elsewhere(config: Config, tmp_path: Path, words: str) -> None:
    typist = Typist()
    async with S3YStore("notes", config=elsewhere(config, tmp_path)) as other:
        await other.apply_updates(typist.doc)
        await other.write(typist.type(words))


async def test_two_stores_of_one_process_share_a_document(config: Config, reader: Reader) -> None:
    typist = Typist()
    async with (
        S3YStore("notes", config=config) as one,
        S3YStore("notes", config=config) as two,
    ):
        for number in range(10):
            await (one if number % 2 else two).write(typist.type(f"{number} "))
        assert await _text_in(one) == await _text_in(two) == str(typist)
        await one.checkpoint()
        await one.write(typist.type("more"))
    assert await reader.text("notes") == str(typist)


async def test_what_another_writer_added_is_merged_delivered_and_kept(
    config: Config, tmp_path: Path, reader: Reader
) -> None:
    live = Typist()
    async with S3YStore("notes", config=config) as store:
        await store.write(live.type("ours "))
        await store.checkpoint()
        await store.apply_updates(live.doc)
        await _written_elsewhere(config, tmp_path, "theirs ")

        await store.write(live.type("ours again "))
        await store.checkpoint()
        merged = await reader.text("notes")
        assert words_of(live.doc) == merged
        assert all(merged.count(words) == 1 for words in ("theirs ", "ours again "))

        await store.write(live.type("and on "))
        await store.checkpoint()
        assert await reader.text("notes") == str(live)
        assert await _text_in(store) == str(live)
    assert "theirs" in str(live)


async def test_two_writers_do_not_answer_each_other_for_ever(
    config: Config, tmp_path: Path, reader: Reader
) -> None:
    """A live document hands on what is delivered to it, as a room's does."""

    def hand_on(typist: Typist, store: S3YStore) -> None:
        writes: set[asyncio.Task[None]] = set()
        typist.doc.observe(
            lambda event: writes.add(asyncio.ensure_future(store.write(event.update)))
        )

    first, second = Typist(), Typist()
    async with S3YStore("notes", config=config) as one:
        await one.write(first.type("start "))
        await one.checkpoint()
        await one.apply_updates(first.doc)
        async with S3YStore("notes", config=elsewhere(config, tmp_path)) as two:
            await two.apply_updates(second.doc)
            hand_on(first, one)
            hand_on(second, two)
            edits = [(first, one, "one "), (second, two, "two "), (first, one, "three ")]
            for typist, store, words in edits:
                typist.type(words)
                await asyncio.sleep(0)
                await store.checkpoint()
            count = await reader.count("notes")
            for store in (one, two, one, two):
                await asyncio.sleep(0)
                assert await store.checkpoint() is None
            assert await reader.count("notes") == count == 1 + len(edits)
            assert str(first) == await reader.text("notes")
            assert all(words in str(first) for _, _, words in edits)


# -- renames ---------------------------------------------------------------------------------------


async def test_an_open_document_is_renamed(archive: Checkpointer, reader: Reader) -> None:
    new = Document("moved.ipynb", "notebook")
    notes = await opened(archive)
    notes.type("one ")
    await notes.checkpoint()
    notes.type("two ")

    await archive.path_changes.rename("notes.ipynb", "moved.ipynb")
    assert notes.entry.document == new
    await eventually(says(reader, "", NOTES), "the old key is gone")
    notes.type("three")
    await notes.checkpoint()

    assert await reader.text(new) == "one two three"
    assert await reader.text(NOTES) == ""
    versions = await archive.archive.versions(new)
    assert len(versions) == 3
    assert {version.key for version in versions} == {
        "workspace/moved.ipynb.notebook.y.zst",
        "workspace/notes.ipynb.notebook.y.zst",
    }


async def test_a_closed_document_is_renamed(archive: Checkpointer, reader: Reader) -> None:
    new = Document("moved.ipynb", "notebook")
    notes = await opened(archive)
    notes.type("closed")
    archive.close(notes.entry)
    await eventually(says(reader, "closed"), "it is written")
    await archive.forget(NOTES)

    await archive.path_changes.rename("notes.ipynb", "moved.ipynb")

    await eventually(says(reader, "closed", new), "the bucket follows")
    await eventually(says(reader, "", NOTES), "the old key is gone")
    again = await opened(archive, QUIET, new)
    assert await again.text() == "closed"


async def test_a_directory_is_renamed_with_open_and_closed_documents(
    archive: Checkpointer, reader: Reader
) -> None:
    inside = [Document(f"old/{name}.txt", "file") for name in ("open", "closed", "deep/er")]
    beside = Document("old.txt", "file")
    for document in [*inside, beside]:
        one = await opened(archive, QUIET, document)
        one.type(document.path)
        await one.checkpoint()
        if "closed" in document.path:
            archive.close(one.entry)
            await archive.forget(document)

    await archive.path_changes.rename("old", "new")
    assert await archive.flush(15) == {}

    for document in inside:
        moved = Document(document.path.replace("old/", "new/"), "file")
        await eventually(says(reader, document.path, moved), "each is where its directory is")
        await eventually(says(reader, "", document), "and no longer where it was")
    assert await reader.text(beside) == "old.txt"


@pytest.mark.parametrize("state", ["open", "closed", "pending"])
async def test_a_rename_is_followed_when_the_bucket_is_back(
    archive: Checkpointer, reader: Reader, outage: Outage, state: str
) -> None:
    new = Document("c.ipynb", "notebook")
    notes = await opened(archive)
    notes.type("one ")
    await notes.checkpoint()
    if state == "closed":
        archive.close(notes.entry)
        await archive.forget(NOTES)
    outage.begin()
    if state == "pending":
        notes.type("two")
    await archive.path_changes.rename("notes.ipynb", "b.ipynb")
    await archive.path_changes.rename("b.ipynb", "c.ipynb")
    await eventually(lambda: outage.refused > 2, "several tries")
    assert archive.status()["status"] == "retrying"
    again = await opened(archive, QUIET, new)
    if state == "closed":  # not known is not missing
        with pytest.raises(BucketUnavailable):
            await again.text()
    assert await archive.flush(0.2) != {}

    outage.end()
    assert await archive.flush(15) == {}
    expected = "one two" if state == "pending" else "one "
    await eventually(says(reader, expected, new), "the bucket follows")
    assert await again.text() == expected
    await eventually(says(reader, "", NOTES), "the old key is gone")


async def test_a_rename_waits_in_the_file_for_the_next_start(
    settings: BookstoreSettings, tmp_path: Path, reader: Reader, outage: Outage
) -> None:
    path = str(tmp_path / "buffer.db")
    async with Checkpointer(settings, BufferOptions(path)) as archive:
        notes = await opened(archive)
        notes.type("renamed")
        await notes.checkpoint()
        outage.begin()
        await archive.path_changes.rename("notes.ipynb", "moved.ipynb")
    outage.end()
    async with Checkpointer(settings, BufferOptions(path)):
        await eventually(
            says(reader, "renamed", Document("moved.ipynb", "notebook")), "the bucket follows"
        )


async def test_a_rename_onto_a_document_with_pending_updates_loses_neither(
    archive: Checkpointer, reader: Reader, outage: Outage
) -> None:
    other = await opened(archive, QUIET, Document("other.ipynb", "notebook"))
    other.type("what was there")
    notes = await opened(archive)
    notes.type("what moves there")
    await notes.checkpoint()
    outage.begin()
    archive.close(other.entry)

    await archive.path_changes.rename("notes.ipynb", "other.ipynb")
    outage.end()
    await archive.flush(15)

    target = Document("other.ipynb", "notebook")
    await eventually(says(reader, "what moves there", target), "the renamed one is current")
    texts = [
        text_of([await archive.archive.load(target, version.version_id)])
        for version in await archive.archive.versions(target)
    ]
    assert "what was there" in texts


async def test_a_checkpoint_beside_a_rename_writes_nothing_too_early(
    archive: Checkpointer, reader: Reader
) -> None:
    notes = await opened(archive)
    notes.type("one ")
    await notes.checkpoint()
    notes.type("two")

    await asyncio.gather(
        archive.path_changes.rename("notes.ipynb", "moved.ipynb"), archive.checkpoint(notes.entry)
    )
    assert await archive.flush(15) == {}

    await eventually(
        says(reader, "one two", Document("moved.ipynb", "notebook")), "all of it moved"
    )
    await eventually(says(reader, "", NOTES), "the old key is gone")


async def test_a_directory_whose_documents_are_being_written_moves_whole(
    archive: Checkpointer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await opened(archive, QUIET, Document("old/a.txt", "file"))
    second = await opened(archive, QUIET, Document("old/b.txt", "file"))
    for each in (first, second):
        each.type("one ")
        await each.checkpoint()
        each.type("two")

    with monkeypatch.context() as patch:
        gate = Gate(patch)
        writing = asyncio.create_task(second.checkpoint())
        await gate.reached.wait()
        renaming = asyncio.create_task(archive.path_changes.rename("old", "new"))
        await eventually(
            lambda: first.entry.document.path == "new/a.txt" or renaming.done(), "it moves"
        )
        early = asyncio.create_task(first.checkpoint())
        await asyncio.sleep(0.05)
        gate.opened.set()
        await asyncio.gather(writing, renaming, early)
    assert await archive.flush(15) == {}

    for name in ("a", "b"):
        await eventually(
            says(reader, "one two", Document(f"new/{name}.txt", "file")), "both have moved whole"
        )


async def test_a_rename_hides_nothing_that_another_writer_added(
    config: Config, settings: BookstoreSettings, tmp_path: Path, reader: Reader
) -> None:
    async with Checkpointer(settings) as archive:
        notes = await opened(archive, QUIET, Document("notes"))
        notes.type("ours ")
        await notes.checkpoint()
        await _written_elsewhere(config, tmp_path, "theirs ")

        await archive.path_changes.rename("notes", "moved")
        assert await archive.flush(15) == {}
        notes.type("ours again ")
        await notes.checkpoint()

    text = await reader.text("moved")
    assert sorted(text.split()) == sorted(["ours", "theirs", "ours", "again"])


async def test_two_servers_that_follow_one_rename_hide_nothing_of_each_other(
    settings: BookstoreSettings, tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = Document("notes")
    copying, go_on = asyncio.Event(), asyncio.Event()
    save = SnapshotWriter.save

    async def slowly(saving: SnapshotWriter, *args: Any, **kwargs: Any) -> Any:
        if not copying.is_set():
            copying.set()
            await go_on.wait()
        return await save(saving, *args, **kwargs)

    async with (
        Checkpointer(settings) as fast,
        Checkpointer(settings, BufferOptions(str(tmp_path / "elsewhere.db"))) as slow,
    ):
        notes = await opened(fast, QUIET, document)
        notes.type("before ")
        await notes.checkpoint()
        await opened(slow, QUIET, document)
        monkeypatch.setattr(SnapshotWriter, "save", slowly)
        await slow.path_changes.rename("notes", "moved")
        await asyncio.wait_for(copying.wait(), 15)
        await fast.path_changes.rename("notes", "moved")
        notes.type("after")
        assert await fast.flush(15) == {}
        go_on.set()
        assert await slow.flush(15) == {}

        assert await reader.text("moved") == "before after"


# -- what an earlier process left ------------------------------------------------------------------


async def test_what_an_earlier_process_left_is_written_unasked(
    settings: BookstoreSettings, tmp_path: Path, reader: Reader
) -> None:
    path = str(tmp_path / "buffer.db")
    async with Checkpointer(settings, BufferOptions(path)) as archive:
        notes = await opened(archive)
        notes.type("left by a crash")
    async with Checkpointer(settings, BufferOptions(path)) as archive:
        assert archive.status()["pending_updates"] == 1
        await eventually(says(reader, "left by a crash"), "nobody needs to open it")


async def test_the_checkpointer_is_shared_by_bucket_and_buffer(
    settings: BookstoreSettings, config: Config, tmp_path: Path
) -> None:
    one = Checkpointer.shared(settings)
    assert Checkpointer.shared(BookstoreSettings(config=config)) is one
    other = Checkpointer.shared(settings, BufferOptions(str(tmp_path / "buffer.db")))
    assert other is not one
    for each in (one, other):
        async with each:
            pass
    async with Checkpointer.shared(settings) as again:  # and is as good as new
        await (notes := await opened(again)).checkpoint()
        notes.type("later")
        assert await notes.checkpoint() is not None


# -- metrics ---------------------------------------------------------------------------------------


async def test_metrics_follow_what_happens(
    archive: Checkpointer, outage: Outage, reader: Reader
) -> None:
    names = {
        "updates": ("updates_total", {}),
        "pending": ("pending_updates", {}),
        "pending bytes": ("pending_bytes", {}),
        "written": ("checkpoints_total", {"result": "written"}),
        "unchanged": ("checkpoints_total", {"result": "unchanged"}),
        "failed": ("checkpoints_total", {"result": "failed"}),
        "seconds": ("checkpoint_seconds_count", {}),
        "bytes": ("checkpoint_bytes_total", {}),
        "errors": ("s3_errors_total", {"kind": "AccessDenied"}),
        "evictions": ("evictions_total", {}),
    }
    before = {name: metric(what, **labels) for name, (what, labels) in names.items()}

    def moved(name: str) -> float:
        what, labels = names[name]
        return metric(what, **labels) - before[name]

    notes = await opened(archive)
    updates = [notes.typist.type(word) for word in ("one ", "two")]
    for update in updates:
        notes.put(update)
    assert (moved("updates"), moved("pending")) == (2, 2)
    assert moved("pending bytes") == sum(map(len, updates))

    outage.begin(AccessDenied("refused"))
    with pytest.raises(AccessDenied):
        await notes.checkpoint()
    outage.end()
    assert moved("failed") == 1
    assert moved("errors") >= 1
    assert (moved("written"), moved("pending")) == (0, 2)

    saved = await notes.checkpoint()
    assert saved is not None
    assert (moved("written"), moved("seconds")) == (1, 1)
    assert moved("bytes") == len(saved.update)
    assert (moved("pending"), moved("pending bytes")) == (0, 0)

    notes.put(updates[0])
    await notes.checkpoint()
    assert (moved("written"), moved("unchanged"), moved("pending")) == (1, 1, 0)

    archive.close(notes.entry)
    await archive.forget(NOTES)
    assert moved("evictions") == 1


async def test_pending_updates_are_counted_once_over_a_restart(
    settings: BookstoreSettings, tmp_path: Path, reader: Reader
) -> None:
    before = metric("pending_updates"), metric("pending_bytes")
    for _ in range(3):
        async with Checkpointer(settings, BufferOptions(str(tmp_path / "buffer.db"))) as archive:
            (await opened(archive)).type("pending")
    async with Checkpointer(settings, BufferOptions(str(tmp_path / "buffer.db"))) as archive:
        assert metric("pending_updates") - before[0] == 3
        assert await archive.flush(15) == {}
    assert (metric("pending_updates"), metric("pending_bytes")) == before


def _entry(store: S3YStore) -> DocumentState:
    assert store.entry is not None
    return store.entry
