"""Yjs updates, as clients and other programs send them."""

from __future__ import annotations

from typing import Any

import pycrdt

from bookstore_y.errors import CorruptSnapshot
from bookstore_y.ydoc.squash import squash, squash_buffered, unusable
from bookstore_y.ydoc.updates import EMPTY_UPDATE, check, missing, state_vector

from .target import Target, hold, only

SEPARATOR = b"\xfe\xfe"
"""Between the updates of one input."""

MOST = 4
"""Updates in one input."""


def update(data: bytes) -> None:
    """Whatever is taken for an update can be squashed, or is named as what cannot be."""
    updates = [one for one in data.split(SEPARATOR)[:MOST] if _is_update(one)]
    for one in updates:
        hold(not _is_update(one + b"\x00"), "an update with something after it is taken for one")
        with only(CorruptSnapshot):
            missing(one, b"\x00")
    good: list[bytes] = []
    with only(CorruptSnapshot):
        bad = unusable(EMPTY_UPDATE, updates)
        good = [one for index, one in enumerate(updates) if index not in bad]
    with only():  # what is not unusable is usable
        whole = squash(good)
        state_vector(whole)
        squashed = squash_buffered(None, good[:1], good[1:])
        state_vector(squashed.update)
        squash([whole])
    with only(CorruptSnapshot):
        squash(updates)
    with only(CorruptSnapshot):
        squash_buffered(None, updates[:1], updates[1:])
    with only(CorruptSnapshot):  # in another order, what was usable may panic
        again = squash([whole, *good])
        hold(_text(again) == _text(whole), "squashing twice changes the document")


def seeds() -> list[bytes]:
    """Somebody's typing and deleting, a map, an array, and two people who do not agree."""
    updates: list[bytes] = []
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=1)
    doc.observe(lambda event: updates.append(event.update))
    text = doc.get("text", type=pycrdt.Text)
    text += "tides"
    del text[1:3]
    doc.get("map", type=pycrdt.Map)["level"] = 2.75
    doc.get("array", type=pycrdt.Array).append(pycrdt.Map({"a": [1, None, True, "b"]}))
    text.format(0, 2, {"bold": True})
    other: pycrdt.Doc[Any] = pycrdt.Doc(client_id=2)
    other.get("text", type=pycrdt.Text).insert(0, "pier")
    theirs = other.get_update()
    return [
        EMPTY_UPDATE,
        bytes(64),
        *updates,
        theirs,
        SEPARATOR.join(updates[:MOST]),
        SEPARATOR.join(updates[1:MOST]),  # builds on what is not there
        SEPARATOR.join([theirs, updates[0]]),
        pycrdt.merge_updates(theirs, *updates),
    ]


def _is_update(data: bytes) -> bool:
    with only(CorruptSnapshot):
        check(data)
        return True
    return False


def _text(data: bytes) -> str:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    with only():
        doc.apply_update(data)
        return str(doc.get("text", type=pycrdt.Text))
    return ""


TARGET = Target("update", update, seeds)
