"""What happens to a document's state, and what must hold of it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pycrdt
import pytest

from bookstore_y.buffer.records import DocumentRecord
from bookstore_y.keys import Document
from bookstore_y.replication.document import DocumentState
from bookstore_y.replication.document_view import Base, Name, Task
from bookstore_y.replication.invariants import broken_invariants
from bookstore_y.replication.live import Covering, Live
from bookstore_y.replication.schedule import Policy
from bookstore_y.ydoc.summary import StateSummary

NOTHING = StateSummary(b"\x00", b"\x00\x00")


def state(**facts: object) -> DocumentState:
    record = DocumentRecord(**facts)  # type: ignore[arg-type]
    return DocumentState(1, Document("notes"), record, Policy(), 0.0)


def archived() -> DocumentState:
    """One that is open and has a version, whose updates are all in the buffer."""
    archived = state(lineage="lineage", version_id="v1", etag="e1", has_full_history=True)
    archived.opened(Policy())
    archived.confirmed()
    return archived


def live() -> Live:
    return Live(pycrdt.Doc(), lambda: True)


def covering(live: Live) -> Covering:
    return Covering(live, NOTHING, None)


async def test_an_eviction_leaves_nothing_that_could_be_written_alone() -> None:
    entry, seen = archived(), live()
    entry.live_attached(seen)
    entry.covered_by(covering(seen))
    async with entry.writing:
        with entry.evicting() as eviction:
            eviction.gone(5.0)
    assert entry.base is Base.BUCKET_ONLY
    assert entry.needs_base
    assert (entry.live_baseline, entry.facts.has_full_history) == (None, False)
    assert broken_invariants(entry) == []


def test_a_deleted_document_that_others_brought_back_is_deleted_no_more() -> None:
    entry = archived()
    entry.base_loaded("v1", "e1")
    entry.deletion_followed()
    assert (entry.facts.deleted, entry.facts.etag) == (True, "")
    entry.base_loaded("v2", "e2", 1.0)
    assert not entry.facts.deleted
    assert broken_invariants(entry) == []


async def test_an_eviction_that_fails_changes_nothing() -> None:
    entry = archived()
    facts = entry.facts
    async with entry.writing:
        with contextlib.suppress(OSError), entry.evicting():
            raise OSError("disk")
    assert (entry.base, entry.facts, entry.task) == (Base.BUFFERED, facts, Task.IDLE)


async def test_what_a_refused_version_was_to_say_is_said_by_the_next_one() -> None:
    entry = archived()
    entry.credits.joined(["ann"])
    entry.credits.made_by("restore:v1")
    async with entry.writing:
        with contextlib.suppress(OSError), entry.put_started(through=None) as put:
            assert (put.authors, put.origin) == (("ann",), "restore:v1")
            entry.credits.joined(["bob"])
            raise OSError("refused")
        with entry.put_started(through=None) as put:
            assert (put.authors, put.origin) == (("ann", "bob"), "restore:v1")
            put.acknowledged("v2", "e2", 1.0)
    assert (entry.credits.authors, entry.credits.origin) == (frozenset(), "")


async def test_what_an_acknowledged_version_said_is_not_said_again() -> None:
    entry = archived()
    entry.credits.joined(["ann"])
    async with entry.writing:
        with contextlib.suppress(OSError), entry.put_started(through=None) as put:
            put.acknowledged("v2", "e2", 1.0)
            raise OSError("disk")
    assert entry.credits.authors == frozenset()


async def test_the_origin_is_that_of_what_comes_after_what_was_replaced() -> None:
    entry = archived()
    entry.credits.made_by("restore:v1")
    async with entry.writing:
        with entry.put_started(through=7) as put:
            assert put.origin == ""
    assert entry.credits.origin == "restore:v1"


async def test_a_put_ends_when_it_was_acknowledged_or_has_failed() -> None:
    entry = archived()
    async with entry.writing:
        with entry.put_started(through=None) as put:
            first = entry.put_ends
            assert first is not None
            put.acknowledged("v2", "e2", 1.0)
            assert first.is_set()
            assert entry.put_ends is None
        with contextlib.suppress(OSError), entry.put_started(through=None):
            events = [first, entry.put_ends]
            raise OSError("refused")
    assert all(event is not None and event.is_set() for event in events)


def test_a_document_begins_where_the_bucket_has_none_of_it() -> None:
    entry = state(version_id="v1", etag="e1", lineage="another's")
    entry.opened(Policy())
    entry.begun_here(anew=True)
    assert entry.base is Base.NONE
    assert (entry.facts.version_id, entry.facts.lineage) == ("", "")
    assert not entry.needs_base


def test_who_opens_a_document_first_has_the_bucket_asked_again() -> None:
    entry = archived()
    entry.opened(Policy())
    assert entry.synced
    entry.closed()
    entry.closed()
    entry.opened(Policy())
    assert entry.base is Base.UNKNOWN


def test_a_version_that_goes_on_is_that_which_the_document_builds_on() -> None:
    entry = archived()
    assert not entry.version_goes_on("v0", "v2", "e2")
    assert entry.version_goes_on("v1", "v2", "e2")
    assert (entry.facts.version_id, entry.facts.etag) == ("v2", "e2")
    assert not state().version_goes_on("", "v2", "e2")


def test_a_displaced_document_does_not_get_its_name_back() -> None:
    entry = archived()
    entry.file_deleted()
    entry.displaced()
    entry.brought_back()
    assert entry.name is Name.DISPLACED
    entry.file_deleted()
    assert entry.name is Name.DISPLACED


@pytest.mark.parametrize(
    ("breaks", "rule"),
    [
        (lambda e: setattr(e, "_base", Base.BUCKET_ONLY), "what only the bucket has"),
        (lambda e: setattr(e, "_live_baseline", covering(live())), "a live document covers"),
        (lambda e: setattr(e, "_task", Task.LOADING), "change under `writing`"),
        (lambda e: setattr(e, "_put_ends", asyncio.Event()), "a PUT is under way only"),
        (lambda e: setattr(e, "_pending", 1), "what is pending takes bytes"),
        (lambda e: setattr(e, "_pending_bytes", -1), "what is pending takes bytes"),
        (lambda e: e.__setattr__("_base", Base.NONE), "unless it has none"),
        (lambda e: setattr(e, "_users", -1), "has it open"),
        (
            lambda e: setattr(e, "_facts", DocumentRecord(etag="e1")),
            "an ETag is that of a version",
        ),
        (
            lambda e: setattr(
                e, "_facts", DocumentRecord(version_id="v1", etag="e1", deleted=True)
            ),
            "a deleted document has no current version",
        ),
    ],
)
async def test_a_state_that_there_may_not_be_is_noticed(
    breaks: Callable[[DocumentState], None], rule: str
) -> None:
    entry = archived()
    assert broken_invariants(entry) == []
    breaks(entry)
    assert any(rule in broken for broken in broken_invariants(entry))


@pytest.mark.parametrize("base", [Base.BUCKET_ONLY, Base.UNKNOWN, Base.BUFFERED])
async def test_nothing_is_written_of_which_the_buffer_has_only_a_part(base: Base) -> None:
    entry = state(version_id="v1", etag="e1")
    entry._base = base
    async with entry.writing:
        entry._task = Task.WRITING
        assert "only a whole document is written" in broken_invariants(entry)
