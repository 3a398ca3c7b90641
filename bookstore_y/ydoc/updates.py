"""One Yjs v1 update: checking, applying and encoding it.

pycrdt raises several exceptions for damaged data, and panics; here it is `CorruptSnapshot`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pycrdt

from ..errors import CorruptSnapshot

EMPTY_UPDATE = b"\x00\x00"
EMPTY_STATE = b"\x00"
"""No structs and no deletions, in the Yjs v1 encoding."""


def missing(update: bytes, state: bytes) -> bytes:
    """What `update` holds beyond a state vector. Raises `CorruptSnapshot`."""
    with _guarded:
        return pycrdt.get_update(update, state)


def state_vector(update: bytes) -> bytes:
    """The state vector of `update`. Raises `CorruptSnapshot`."""
    with _guarded:
        return pycrdt.get_state(update)


def check(update: bytes) -> bytes:
    """The state vector of `update`. Raises `CorruptSnapshot` unless it is one update, and nothing
    after it."""
    if _names_too_many(update):
        raise not_an_update("it names more clients than it has bytes")
    state = state_vector(update)
    if decodes(update[:-1]):
        raise more_than_an_update()
    return state


def update_of(doc: pycrdt.Doc[Any], state: bytes = b"\x00") -> bytes:
    """What a live document holds beyond a state vector. Raises `CorruptSnapshot` where it holds
    what pycrdt takes in, but cannot encode."""
    with _guarded:
        return doc.get_update(state)


def decodes(data: bytes) -> bool:
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
    return bool(data) and Varints(data[:10]).next() > len(data)


def more_than_an_update() -> CorruptSnapshot:
    """The error for data that goes on behind an update."""
    return CorruptSnapshot(
        "The data continues past the end of a Yjs v1 update, as data padded with zeros does; "
        "it was kept unchanged and not applied."
    )


def apply_one(doc: pycrdt.Doc[Any], update: bytes) -> None:
    """Apply one update. Raises `CorruptSnapshot`."""
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
            raise not_an_update(error) from None


_guarded = _Guarded()

_ROW = 1 << 16
"""Bytes of one edit, more than which only what was checked on reading has: it would take long."""


def apply(doc: pycrdt.Doc[Any], updates: Sequence[bytes]) -> None:
    """Apply `updates`, oldest first, in one transaction. Raises `CorruptSnapshot`."""
    with doc.transaction():
        for update in updates:
            apply_one(doc, update)


def is_panic(error: BaseException | None) -> bool:
    """Whether pycrdt's Rust has panicked."""
    return type(error).__name__ == "PanicException"


def not_an_update(error: object) -> CorruptSnapshot:
    """The error for data that cannot be read as an update."""
    return CorruptSnapshot(
        f"The data is not a Yjs v1 update ({error}); it was kept unchanged and not applied."
    )


def merged(update: bytes, waiting: Sequence[bytes]) -> bytes:
    """`update` with those that wait for others. Raises `CorruptSnapshot`."""
    if not waiting:
        return update
    with _guarded:
        return pycrdt.merge_updates(update, *waiting)


class Varints:
    """Reads lib0's variable-length unsigned integers: 7 bits a byte, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next(self) -> int:
        """The next of them. Raises `CorruptSnapshot` where there is none."""
        value = shift = 0
        while True:
            if self._at == len(self._data):
                raise not_an_update("it ends too soon")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def end(self) -> None:
        """Raise `CorruptSnapshot` unless all were read."""
        if self._at != len(self._data):
            raise more_than_an_update()
