"""Squashing a document's updates into a snapshot.

An *update* is one binary Yjs v1 update; a *snapshot* is one squashed update that holds a whole
document. These are pure functions that touch no `Doc` of the caller's, so they can run in any
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pycrdt

from ..errors import CorruptSnapshot
from .summary import (
    DeletedRange,
    StateSummary,
    clocks_of,
    deletions_in,
    footprint_of,
    is_within,
    joined_ranges,
    ranges_of,
)
from .updates import Varints, apply_one, merged, missing, state_vector, update_of


@dataclass(frozen=True)
class Squashed:
    """A document as its next snapshot has it."""

    update: bytes
    """The whole document, as one update."""
    footprint: StateSummary
    changed: bool
    """Whether the pending updates added anything to the persisted ones."""
    complete: bool = True
    """Whether the footprint tells of all that is in it; it does not of updates that wait for
    others."""
    edited: bool = True
    """Whether the pending updates have more than a room's notes, as far as is known."""


Watch = Callable[["pycrdt.Doc[Any]"], Callable[[], bool]]
"""Begins to watch a document, and returns what tells whether it was edited since."""


def squash_buffered(
    base: bytes | None,
    persisted: Sequence[bytes],
    pending: Sequence[bytes],
    watch: Watch | None = None,
) -> Squashed:
    """Squash a document from its oldest held snapshot and the updates since.

    `base` is a snapshot, `persisted` the updates since it that a checkpoint has already
    written, `pending` those it has not. `watch` sees the pending ones being applied.

    Raises `CorruptSnapshot` when an update is not a Yjs v1 update.
    """
    older = [*([] if base is None else [base]), *persisted]
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in older:
        apply_one(doc, update)
    before = footprint_of(doc)
    is_edited = watch(doc) if watch is not None and older else _always
    for update in pending:
        apply_one(doc, update)
    after = footprint_of(doc)
    waiting = bool(_not_integrated(pending, after.state))
    changed = not older or not before.same(after) or waiting
    edited = waiting or is_edited()
    whole, complete = _encode(doc, [*older, *pending])
    return Squashed(whole, after, changed, complete, edited)


def _always() -> bool:
    return True


def squash_live(
    before: StateSummary, after: StateSummary, whole: bytes, pending: Sequence[bytes]
) -> Squashed | None:
    """What `squash_buffered` would make, from a live document that has all that is persisted.

    `before` is the footprint of what is persisted, `after` and `whole` are the document's now. None
    when it has not all of `pending`. Raises `CorruptSnapshot` when it cannot be read again.
    """
    clocks = dict(clocks_of(after.state))
    deleted: list[DeletedRange] = []
    for update in pending:
        rest = Varints(missing(update, after.state))
        if rest.next():  # clients with structs beyond the state vector
            return None
        deleted += deletions_in(rest)
    if any(start + length > clocks.get(client, 0) for client, start, length in deleted):
        return None
    if deleted and not is_within(joined_ranges(deleted), ranges_of(after.deletions)):
        return None
    if not _reads_as(state_vector(whole), after.state):
        raise CorruptSnapshot(_UNREADABLE)
    return Squashed(whole, after, not before.same(after))


def condense(
    base: bytes | None, persisted: Sequence[bytes], pending: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Squash what is persisted into one update, and what is pending into another on top of it.

    Raises `CorruptSnapshot`.
    """
    older = [*([] if base is None else [base]), *persisted]
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in older:
        apply_one(doc, update)
    whole, _ = _encode(doc, older)
    before = doc.get_state()
    for update in pending:
        apply_one(doc, update)
    waiting = _not_integrated(pending, doc.get_state())
    added = update_of(doc, before)
    return whole, merged(added, waiting)


def squash(updates: Sequence[bytes]) -> bytes:
    """Squash `updates`, oldest first, into one. Raises `CorruptSnapshot`.

    The result holds also those updates that build on ones not given here. A `Doc` keeps such
    updates aside and pycrdt leaves them out when it encodes the `Doc`, so they are merged in.
    """
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in updates:
        apply_one(doc, update)
    return _encode(doc, updates)[0]


def unusable(base: bytes | None, updates: Sequence[bytes]) -> list[int]:
    """The indices of those `updates` that cannot be applied on top of the ones before.

    Raises `CorruptSnapshot` when it is the base.
    """
    older = [] if base is None else [base]
    found: list[int] = []
    for index, update in enumerate(updates):
        try:
            squash([update])
        except CorruptSnapshot:
            found.append(index)
    while True:
        good = [index for index in range(len(updates)) if index not in found]
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        for update in older:
            apply_one(doc, update)
        for index in good:
            try:
                apply_one(doc, updates[index])
            except CorruptSnapshot:
                found.append(index)
                break  # a panic may have left the Doc in disorder
        else:
            try:
                _encode(doc, [*older, *(updates[index] for index in good)])
            except CorruptSnapshot:
                found.append(_first_to_spoil(older, [updates[index] for index in good], good))
            else:
                return sorted(found)


def _first_to_spoil(older: list[bytes], updates: Sequence[bytes], indices: list[int]) -> int:
    """The index of the first update with which the document cannot be encoded any more."""
    squash(older)  # raises if that is what spoils it
    low, high = 0, len(updates)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            squash([*older, *updates[:middle]])
        except CorruptSnapshot:
            high = middle
        else:
            low = middle
    return indices[low]


_UNREADABLE = "The updates don't merge into a readable document; they were kept unchanged."


def _encode(doc: pycrdt.Doc[Any], updates: Sequence[bytes]) -> tuple[bytes, bool]:
    """The document with those of `updates` that wait for others, and whether none does."""
    state = doc.get_state()
    waiting = _not_integrated(updates, state)
    whole = merged(update_of(doc), waiting)
    # Some updates decode, and yet what comes of them does not: never is that to be a snapshot.
    readable = state_vector(whole)
    if waiting:
        # What was integrated may wait with them when they come as one; it is there all the same.
        apply_one(pycrdt.Doc(), whole)
    if not _reads_as(readable, state):
        raise CorruptSnapshot(_UNREADABLE)
    return whole, not waiting


def _reads_as(readable: bytes, state: bytes) -> bool:
    """Whether what is read again has all that was written, by their state vectors."""
    known = dict(clocks_of(readable))
    return all(known.get(client, 0) >= clock for client, clock in clocks_of(state))


def _not_integrated(updates: Sequence[bytes], state: bytes) -> list[bytes]:
    """Those of `updates` of which a document at `state` has not all, deletions of unseen structs
    included."""
    known = dict(clocks_of(state))
    return [update for update in updates if not _is_integrated(update, state, known)]


def _is_integrated(update: bytes, state: bytes, known: dict[int, int]) -> bool:
    rest = Varints(missing(update, state))
    if rest.next():  # clients with structs beyond the state vector
        return False
    return all(
        start + length <= known.get(client, 0) for client, start, length in deletions_in(rest)
    )
