"""Snapshots: squashing updates into one, and the zstd frame it is archived in. Pure functions.

An *update* is one binary Yjs v1 update; a *snapshot* is one squashed update that holds a whole
document. Everything here is synchronous and touches no `Doc` of the caller's, so it can run in
any thread.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pycrdt
import zstandard

from ..errors import CorruptSnapshot, DocumentTooLarge

EMPTY_UPDATE = b"\x00\x00"
EMPTY_STATE = b"\x00"
"""No structs and no deletions, in the Yjs v1 encoding."""


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
        clocks = [{c: n for c, n in _clocks(each.state) if n} for each in (self, other)]
        return clocks[0] == clocks[1] and _ranges(self.deletions) == _ranges(other.deletions)

    def covers(self, other: StateSummary) -> bool:
        """Whether a document of this footprint has all that one of the other has."""
        clocks = dict(_clocks(self.state))
        if any(clocks.get(client, 0) < clock for client, clock in _clocks(other.state)):
            return False
        return _within(_ranges(other.deletions), _ranges(self.deletions))


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
        _apply(doc, update)
    before = footprint_of(doc)
    is_edited = watch(doc) if watch is not None and older else _always
    for update in pending:
        _apply(doc, update)
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
    clocks = dict(_clocks(after.state))
    deleted: list[_Range] = []
    for update in pending:
        rest = _Varints(missing(update, after.state))
        if rest.next():  # clients with structs beyond the state vector
            return None
        deleted += _deletions(rest)
    if any(start + length > clocks.get(client, 0) for client, start, length in deleted):
        return None
    if deleted and not _within(_joined(deleted), _ranges(after.deletions)):
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
        _apply(doc, update)
    whole, _ = _encode(doc, older)
    before = doc.get_state()
    for update in pending:
        _apply(doc, update)
    waiting = _not_integrated(pending, doc.get_state())
    added = update_of(doc, before)
    return whole, _merged(added, waiting)


def squash(updates: Sequence[bytes]) -> bytes:
    """Squash `updates`, oldest first, into one. Raises `CorruptSnapshot`.

    The result holds also those updates that build on ones not given here. A `Doc` keeps such
    updates aside and pycrdt leaves them out when it encodes the `Doc`, so they are merged in.
    """
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in updates:
        _apply(doc, update)
    return _encode(doc, updates)[0]


def missing(update: bytes, state: bytes) -> bytes:
    """What `update` holds beyond a state vector. Raises `CorruptSnapshot`."""
    with _guarded:
        return pycrdt.get_update(update, state)


def without_client(state: bytes, client: int) -> bytes:
    """A state vector as if a client had done nothing."""
    clocks = [(each, clock) for each, clock in _clocks(state) if each != client]
    encoder = pycrdt.Encoder()
    encoder.write_var_uint(len(clocks))
    for each, clock in clocks:
        encoder.write_var_uint(each)
        encoder.write_var_uint(clock)
    return encoder.to_bytes()


def state_vector(update: bytes) -> bytes:
    """The state vector of `update`. Raises `CorruptSnapshot`."""
    with _guarded:
        return pycrdt.get_state(update)


def check(update: bytes) -> bytes:
    """The state vector of `update`. Raises `CorruptSnapshot` unless it is one update, and nothing
    after it."""
    if _names_too_many(update):
        raise _not_an_update("it names more clients than it has bytes")
    state = state_vector(update)
    if _decodes(update[:-1]):
        raise _more_than_an_update()
    return state


def update_of(doc: pycrdt.Doc[Any], state: bytes = b"\x00") -> bytes:
    """What a live document holds beyond a state vector. Raises `CorruptSnapshot` where it holds
    what pycrdt takes in, but cannot encode."""
    with _guarded:
        return doc.get_update(state)


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
    known = dict(_clocks(before))
    found = _joined(_deletions(_Varints(delete_set)))
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
    _apply(doc, base)
    for update in updates:
        _apply(doc, update)
    seen = footprint_of(doc)
    clocks, gone = dict(_clocks(seen.state)), _ranges(seen.deletions)
    alive = {
        client: there
        for client, ranges in dropped.items()
        if (there := [each for each in ranges if each[1] <= clocks.get(client, 0)])
        and not _within({client: there}, gone)
    }
    return update_of(doc) if alive else None


def lineage_of(first_state: bytes) -> str:
    """The lineage id of a history: 32 hexadecimal digits, from its first state."""
    return hashlib.sha256(first_state).hexdigest()[:32]


def compress(update: bytes, level: int = 3) -> bytes:
    """One zstd frame (RFC 8878) of `update`, with its content size and checksum written in."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    return compressor.compress(update)


def _decodes(data: bytes) -> bool:
    """Whether there is an update at the beginning of `data`; pycrdt ignores what comes after it.

    An update is never the beginning of a longer one, since what comes where, and how much of it,
    is written before it (Yjs, `UpdateEncoderV1` and `DeleteSet.js`).
    """
    if _names_too_many(data):
        return False
    try:
        state_vector(data)
    except CorruptSnapshot:
        return False
    return True


def _names_too_many(data: bytes) -> bool:
    """Whether `data` names more clients than can be in it; pycrdt reserves memory for all."""
    return bool(data) and _Varints(data[:10]).next() > len(data)


def _more_than_an_update() -> CorruptSnapshot:
    return CorruptSnapshot(
        "The data goes on behind the end of a Yjs v1 update, as what was filled with zeros does; "
        "it was kept as it is and not applied."
    )


def size_of(frame: bytes) -> int:
    """Bytes of the update in a zstd frame, as far as it says; else as many as are likely."""
    try:
        declared = zstandard.frame_content_size(frame)
    except zstandard.ZstdError:
        declared = -1
    return declared if declared >= 0 else 8 * len(frame)


_HEADS = (1 << 16, 1 << 20, 1 << 24)
"""Bytes from the beginning of a frame after which it is seen whether they are an update already."""


def decompress(frame: bytes, max_size: int, max_growth: int | None = None) -> bytes:
    """The update in a zstd frame that any program may have written. Raises like `opened`."""
    return opened(frame, max_size, max_growth)[0]


def opened(frame: bytes, max_size: int, max_growth: int | None = None) -> tuple[bytes, bytes]:
    """The update in a zstd frame that any program may have written, and its state vector.

    Raises `DocumentTooLarge` when it would be over `max_size` bytes, or over `max_growth` times
    as many as the frame has, and `CorruptSnapshot` when `frame` is not one whole zstd frame of one
    Yjs v1 update. What is far too large is not made for that, nor is what goes on for long behind
    an update: a frame of a few kB may hold a GB.
    """
    limit = _Limit(max_size, len(frame), max_growth)
    try:
        declared = zstandard.frame_content_size(frame)
        limit.check(declared)
        update = _decompressed(frame, limit, declared)
        return update, check(update)
    except zstandard.ZstdError as error:
        raise CorruptSnapshot(
            f"The object is not one whole zstd frame ({error}); restore an earlier version."
        ) from None
    except CorruptSnapshot as error:
        raise CorruptSnapshot(f"{error} Restore an earlier version.") from None


class _Limit:
    """How large the content of a frame may be, in bytes."""

    def __init__(self, max_size: int, stored: int, max_growth: int | None) -> None:
        self._max_size = max_size
        self._stored = stored
        self._grown = max_size if max_growth is None else max(stored * max_growth, _SMALL)

    def check(self, size: int) -> None:
        """Raise `DocumentTooLarge` for more bytes than that."""
        if size > self._max_size:
            raise DocumentTooLarge(
                f"The snapshot decompresses to {size} bytes or more, over max_document_size "
                f"({self._max_size}); raise c.BookstoreSettings.max_document_size to read it."
            )
        if size > self._grown:
            raise DocumentTooLarge(
                f"The snapshot has {self._stored} bytes and would decompress to {size} or more, "
                "which no notebook does that a person made; ask whoever wrote it for another."
            )


_SMALL = 1 << 26
"""Bytes up to which a frame may grow in any proportion."""


def _decompressed(frame: bytes, limit: _Limit, declared: int) -> bytes:
    _check_heads(frame, declared)
    decompressor = zstandard.ZstdDecompressor()
    if declared >= 0:
        return decompressor.decompress(frame, max_output_size=declared, allow_extra_data=False)
    # Frames written by a stream (`zstd` reading a pipe) do not say their size.
    stream = decompressor.decompressobj()
    parts: list[bytes] = []
    size = 0
    view = memoryview(frame)
    for start in range(0, len(frame), _STEP):
        part = stream.decompress(view[start : start + _STEP])
        size += len(part)
        limit.check(size)
        parts.append(part)
        if stream.eof and (stream.unused_data or start + _STEP < len(frame)):
            raise zstandard.ZstdError("data after the frame")
    if not stream.eof:
        raise zstandard.ZstdError("the frame is truncated")
    return b"".join(parts)


_STEP = 256
"""Bytes of a frame that are decompressed at a time, which gives 8 MB at most."""


def _check_heads(frame: bytes, declared: int) -> None:
    """Raise `CorruptSnapshot` for what is an update already before it ends."""
    reader = zstandard.ZstdDecompressor().stream_reader(frame)
    head = b""
    for size in _HEADS:
        if 0 <= declared <= size:
            return
        head += reader.read(size + 1 - len(head))
        if len(head) <= size:
            return
        if _decodes(head[:size]):
            raise _more_than_an_update()


def _apply(doc: pycrdt.Doc[Any], update: bytes) -> None:
    if len(update) <= _ROW:
        check(update)  # a row of zeros would be an edit that says nothing
    with _guarded:
        doc.apply_update(update)


class _Guarded:
    """Makes what pycrdt raises a `CorruptSnapshot`. A class, since every `write` goes through it,
    and a generator would take five times as long as the check that it guards."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A panic in pycrdt's Rust is no Exception, and its class has no public name.
        if isinstance(error, (ValueError, RuntimeError)) or is_panic(error):
            raise _not_an_update(error) from None


_guarded = _Guarded()

_ROW = 1 << 16
"""Bytes of one edit, more than which only what was checked on reading has: it would take long."""


def apply(doc: pycrdt.Doc[Any], updates: Sequence[bytes]) -> None:
    """Apply `updates`, oldest first, in one transaction. Raises `CorruptSnapshot`."""
    with doc.transaction():
        for update in updates:
            _apply(doc, update)


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
            _apply(doc, update)
        for index in good:
            try:
                _apply(doc, updates[index])
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


def is_panic(error: BaseException | None) -> bool:
    """Whether pycrdt's Rust has panicked."""
    return type(error).__name__ == "PanicException"


def _not_an_update(error: object) -> CorruptSnapshot:
    return CorruptSnapshot(
        f"The data is not a Yjs v1 update ({error}); it was kept as it is and not applied."
    )


_UNREADABLE = "The updates make no document that can be read again; they were kept as they are."


def _encode(doc: pycrdt.Doc[Any], updates: Sequence[bytes]) -> tuple[bytes, bool]:
    """The document with those of `updates` that wait for others, and whether none does."""
    state = doc.get_state()
    waiting = _not_integrated(updates, state)
    whole = _merged(update_of(doc), waiting)
    # Some updates decode, and yet what comes of them does not: never is that to be a snapshot.
    readable = state_vector(whole)
    if waiting:
        # What was integrated may wait with them when they come as one; it is there all the same.
        _apply(pycrdt.Doc(), whole)
    if not _reads_as(readable, state):
        raise CorruptSnapshot(_UNREADABLE)
    return whole, not waiting


def _reads_as(readable: bytes, state: bytes) -> bool:
    """Whether what is read again has all that was written, by their state vectors."""
    known = dict(_clocks(readable))
    return all(known.get(client, 0) >= clock for client, clock in _clocks(state))


def _merged(update: bytes, waiting: Sequence[bytes]) -> bytes:
    if not waiting:
        return update
    with _guarded:
        return pycrdt.merge_updates(update, *waiting)


def _not_integrated(updates: Sequence[bytes], state: bytes) -> list[bytes]:
    """Those of `updates` of which a document at `state` has not all, deletions of unseen structs
    included."""
    known = dict(_clocks(state))
    return [update for update in updates if not _is_integrated(update, state, known)]


def _is_integrated(update: bytes, state: bytes, known: dict[int, int]) -> bool:
    rest = _Varints(missing(update, state))
    if rest.next():  # clients with structs beyond the state vector
        return False
    return all(start + length <= known.get(client, 0) for client, start, length in _deletions(rest))


def _clocks(state: bytes) -> Iterator[tuple[int, int]]:
    # A state vector: count, then (client, clock) pairs (y-protocols, PROTOCOL.md).
    numbers = _Varints(state)
    for _ in range(numbers.next()):
        yield numbers.next(), numbers.next()
    numbers.end()


_Range = tuple[int, int, int]
"""Client, first clock, and number of clocks."""


def _deletions(numbers: _Varints) -> Iterator[_Range]:
    # A delete set: clients, each with its ranges of (clock, length) (Yjs, DeleteSet.js).
    for _ in range(numbers.next()):
        client = numbers.next()
        for _ in range(numbers.next()):
            yield client, numbers.next(), numbers.next()


def _ranges(deletions: bytes) -> dict[int, list[tuple[int, int]]]:
    """The deletions of an update without structs, as `_joined` gives them."""
    rest = _Varints(deletions)
    rest.next()
    joined = _joined(_deletions(rest))
    rest.end()
    return joined


def _joined(deleted: Iterable[_Range]) -> Ranges:
    """By client: the first clocks of ranges, ascending and apart, with the clocks behind them."""
    joined: dict[int, list[tuple[int, int]]] = {}
    for client, start, length in sorted(deleted):
        ranges = joined.setdefault(client, [])
        if ranges and ranges[-1][1] >= start:
            start, end = ranges[-1][0], max(ranges.pop()[1], start + length)
        else:
            end = start + length
        ranges.append((start, end))
    return joined


def _within(
    inner: dict[int, list[tuple[int, int]]], outer: dict[int, list[tuple[int, int]]]
) -> bool:
    """Whether every range of `inner` lies in one of `outer`."""
    for client, ranges in inner.items():
        around = outer.get(client, [])
        for start, end in ranges:
            at = bisect_right(around, (start, math.inf)) - 1
            if at < 0 or around[at][1] < end:
                return False
    return True


class _Varints:
    """Reads lib0's variable-length unsigned integers: 7 bits a byte, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next(self) -> int:
        """The next of them. Raises `CorruptSnapshot` where there is none."""
        value = shift = 0
        while True:
            if self._at == len(self._data):
                raise _not_an_update("it ends too soon")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def end(self) -> None:
        """Raise `CorruptSnapshot` unless all were read."""
        if self._at != len(self._data):
            raise _more_than_an_update()
