"""What a document has seen: its state vector and its deletions."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pycrdt

from .updates import Varints, apply_one, update_of


@dataclass(frozen=True)
class StateSummary:
    """What a document has seen: Yjs calls it a snapshot, and documents of equal ones are equal.

    Their encodings may differ all the same, since they list clients, and split ranges, in no fixed
    order.
    """

    state: bytes
    """The state vector."""
    deletions: bytes
    """The deletions, as an update without structs."""

    def same(self, other: StateSummary) -> bool:
        """Whether both are of equal documents."""
        if self == other:
            return True
        # A client of whom nothing is there may be listed.
        clocks = [{c: n for c, n in clocks_of(each.state) if n} for each in (self, other)]
        return clocks[0] == clocks[1] and ranges_of(self.deletions) == ranges_of(other.deletions)

    def covers(self, other: StateSummary) -> bool:
        """Whether a document of this footprint has all that one of the other has."""
        clocks = dict(clocks_of(self.state))
        if any(clocks.get(client, 0) < clock for client, clock in clocks_of(other.state)):
            return False
        return is_within(ranges_of(other.deletions), ranges_of(self.deletions))


def without_client(state: bytes, client: int) -> bytes:
    """A state vector as if a client had done nothing."""
    clocks = [(each, clock) for each, clock in clocks_of(state) if each != client]
    encoder = pycrdt.Encoder()
    encoder.write_var_uint(len(clocks))
    for each, clock in clocks:
        encoder.write_var_uint(each)
        encoder.write_var_uint(clock)
    return encoder.to_bytes()


def footprint_of(doc: pycrdt.Doc[Any]) -> StateSummary:
    """What a live document has seen. Raises like `update_of`."""
    state = doc.get_state()
    return StateSummary(state, update_of(doc, state))


Ranges = dict[int, list[tuple[int, int]]]
"""By client, ranges of clocks, each with the clock behind it: ascending and apart."""


def born_deleted(before: bytes, delete_set: bytes) -> Ranges:
    """What a transaction has inserted and deleted at once, from the state vector before it and
    the delete set that it made.

    Yjs does that with what is inserted into something that has been deleted meanwhile (Yjs,
    Item.js, `integrate`).
    """
    known = dict(clocks_of(before))
    found = joined_ranges(deletions_in(Varints(delete_set)))
    fresh = {
        client: [(max(start, known.get(client, 0)), end) for start, end in ranges]
        for client, ranges in found.items()
    }
    return {
        client: kept
        for client, ranges in fresh.items()
        if (kept := [(start, end) for start, end in ranges if start < end])
    }


def with_late(base: bytes, updates: Sequence[bytes], dropped: Ranges) -> bytes | None:
    """The document `base` with `updates` that came when it had gone on; None if nothing of what
    was `dropped` there is in it. Raises `CorruptSnapshot`."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    apply_one(doc, base)
    for update in updates:
        apply_one(doc, update)
    seen = footprint_of(doc)
    clocks, gone = dict(clocks_of(seen.state)), ranges_of(seen.deletions)
    alive = {
        client: there
        for client, ranges in dropped.items()
        if (there := [each for each in ranges if each[1] <= clocks.get(client, 0)])
        and not is_within({client: there}, gone)
    }
    return update_of(doc) if alive else None


def lineage_of(first_state: bytes) -> str:
    """The lineage id of a history: 32 hexadecimal digits, from its first state."""
    return hashlib.sha256(first_state).hexdigest()[:32]


def clocks_of(state: bytes) -> Iterator[tuple[int, int]]:
    """The clients of a state vector, each with its clock. Raises `CorruptSnapshot`."""
    # The count, then (client, clock) pairs (y-protocols, PROTOCOL.md).
    numbers = Varints(state)
    for _ in range(numbers.next()):
        yield numbers.next(), numbers.next()
    numbers.end()


DeletedRange = tuple[int, int, int]
"""Client, first clock, and number of clocks."""


def deletions_in(numbers: Varints) -> Iterator[DeletedRange]:
    """The ranges of a delete set. Raises `CorruptSnapshot`."""
    # Clients, each with its ranges of (clock, length) (Yjs, DeleteSet.js).
    for _ in range(numbers.next()):
        client = numbers.next()
        for _ in range(numbers.next()):
            yield client, numbers.next(), numbers.next()


def ranges_of(deletions: bytes) -> Ranges:
    """The deletions of an update without structs, as `joined_ranges` gives them."""
    rest = Varints(deletions)
    rest.next()
    joined = joined_ranges(deletions_in(rest))
    rest.end()
    return joined


def joined_ranges(deleted: Iterable[DeletedRange]) -> Ranges:
    """By client: the first clocks of ranges, ascending and apart, with the clocks behind them."""
    joined: Ranges = {}
    for client, start, length in sorted(deleted):
        ranges = joined.setdefault(client, [])
        if ranges and ranges[-1][1] >= start:
            start, end = ranges[-1][0], max(ranges.pop()[1], start + length)
        else:
            end = start + length
        ranges.append((start, end))
    return joined


def is_within(inner: Ranges, outer: Ranges) -> bool:
    """Whether every range of `inner` lies in one of `outer`."""
    for client, ranges in inner.items():
        around = outer.get(client, [])
        for start, end in ranges:
            at = bisect_right(around, (start, math.inf)) - 1
            if at < 0 or around[at][1] < end:
                return False
    return True
