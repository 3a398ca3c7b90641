"""Rewriting an open document, changing only what differs.

A shared type that is deleted and made anew takes the cursors in it to its beginning, and loses
what others are typing into it at that moment. So what the content's own class would build is
built beside the document, and the document then takes over what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from pycrdt import Array, Doc, Map, Text

from .edits import STATE
from .text_edits import Effort, edits, longest_rising

_FIXED = ("cell_type",)
"""What a client reads when it first shows an entry, and never again (JupyterLab's cells)."""

_TRANSIENT = ("execution_state",)
"""What a kernel that runs now says of an entry."""


def rewrite(doc: Doc[Any], wanted: Doc[Any]) -> None:
    """Make `doc` say what `wanted` says, by the fewest edits, in one transaction.

    `wanted` is one that a jupyter_ydoc class has built. Roots that it has not stay as they are.
    Raises `TypeError` for XML, of which no class that Jupyter knows is made.
    """
    effort = Effort()
    with doc.transaction():
        for name, new in wanted.items():
            if name != STATE:
                _take_over(doc.get(name, type=type(new)), new, effort)


def _take_over(old: Any, new: Any, effort: Effort) -> None:
    if isinstance(new, Text):
        _text(old, str(new), effort)
    elif isinstance(new, Map):
        _map(old, new, effort)
    elif isinstance(new, Array):
        _array(old, new, effort)
    else:
        raise TypeError(f"A root of type {type(new).__name__} cannot be rewritten.")


def _text(old: Text, new: str, effort: Effort) -> None:
    said = str(old)
    if said == new:
        return
    # From the end, so that what comes before keeps its position. Positions are bytes of UTF-8.
    end, at = len(said), len(said.encode())
    for edit in reversed(edits(said, new, effort)):
        at -= len(said[edit.end : end].encode())
        size = len(said[edit.start : edit.end].encode())
        end, at = edit.start, at - size
        if edit.text:
            # Before what goes: a cursor at its end then stays behind the new text.
            old.insert(at, edit.text)
        if size:
            del old[at + len(edit.text.encode()) : at + len(edit.text.encode()) + size]


def _map(old: Map[Any], new: Map[Any], effort: Effort) -> None:
    for name, _ in list(old.items()):
        if name not in new and name not in _TRANSIENT:
            del old[name]
    for name, value in new.items():
        there = old.get(name)
        if name in _TRANSIENT and name in old:
            continue
        if isinstance(value, (Text, Map, Array)) and type(there) is type(value):
            _take_over(there, value, effort)
        elif name not in old or not _same(_plain(there), _plain(value)):
            old[name] = _unattached(value)


def _array(old: Array[Any], new: Array[Any], effort: Effort) -> None:
    if all(isinstance(entry, Map) and "id" in entry for each in (old, new) for entry in each):
        _entries(old, new, effort)
        return
    # JupyterLab shows what is inserted among a cell's outputs at their end, wherever it is
    # (CodeCellModel.onGenericChange), so only what comes before it can stay.
    kept = 0
    while kept < min(len(old), len(new)) and _same(_plain(old[kept]), _plain(new[kept])):
        kept += 1
    if kept < len(old):
        del old[kept:]
    old.extend([_unattached(new[index]) for index in range(kept, len(new))])


def _entries(old: Array[Any], new: Array[Any], effort: Effort) -> None:
    """Rewrite an array of maps that have ids, such as a notebook's cells."""
    olds, news = list(old), list(new)
    partner = _partners([_identity(entry) for entry in olds], [_identity(entry) for entry in news])
    stay = longest_rising([index for index in partner if index is not None])
    staying = set(stay)
    # There is no move in Yjs 13: what changes its place is deleted, and made anew.
    for index in reversed(range(len(olds))):
        if index not in staying:
            del old[index]
    for index, (entry, there) in enumerate(zip(news, partner, strict=True)):
        if there not in staying:
            old.insert(index, _unattached(entry))
        elif not _alike(olds[there], entry):
            _map(olds[there], entry, effort)


def _identity(entry: Map[Any]) -> Hashable:
    return entry["id"], *(entry.get(name) for name in _FIXED)


def _partners(olds: Sequence[Hashable], news: Sequence[Hashable]) -> list[int | None]:
    """For each of `news` the index of the one among `olds` that it is; an identity that is there
    several times stands for them in order."""
    places: dict[Hashable, list[int]] = {}
    for index, identity in enumerate(olds):
        places.setdefault(identity, []).append(index)
    used: Counter[Hashable] = Counter()
    found: list[int | None] = []
    for identity in news:
        here = places.get(identity, [])
        found.append(here[used[identity]] if used[identity] < len(here) else None)
        used[identity] += 1
    return found


def _alike(old: Map[Any], new: Map[Any]) -> bool:
    """Whether two cells say the same. One that does keeps whether its outputs are trusted."""
    return _same(_said(old), _said(new))


def _said(entry: Map[Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: value for name, value in _plain(entry).items() if name not in _TRANSIENT
    }
    metadata = said.get("metadata")
    if isinstance(metadata, dict):
        said["metadata"] = {name: metadata[name] for name in metadata if name != "trusted"}
    return said


def _plain(value: Any) -> Any:
    """A value without shared types in it."""
    return value.to_py() if isinstance(value, (Map, Array)) else _text_of(value)


def _text_of(value: Any) -> Any:
    return str(value) if isinstance(value, Text) else value


def _unattached(value: Any) -> Any:
    """A copy of a shared type that can be put into another document."""
    if isinstance(value, Text):
        return Text(str(value))
    if isinstance(value, Map):
        return Map({name: _unattached(each) for name, each in value.items()})
    if isinstance(value, Array):
        return Array([_unattached(each) for each in value])
    return bytes(value) if isinstance(value, bytearray) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: `1` is `1.0`, which Yjs does not tell apart, and is
    not `True`; a NaN is the same as another."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other) or (one != one and other != other)
