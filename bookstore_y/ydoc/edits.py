"""Telling people's edits from a room's own notes in a document.

A room keeps its own state in the document: that it is saved, its path, who may run the outputs,
which cell is running. None of that is in the file, and none of it is worth a version.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pycrdt import Doc

STATE = "state"
"""The root in which a room notes where it stands; it is no content (jupyter_ydoc's ybasedoc.py)."""

Mark = tuple[int, frozenset[str]]
"""How many edits were seen, and which roots there were."""

_NOTES = {
    "cells": {
        1: frozenset({"id", "execution_state"}),
        2: frozenset({"trusted"}),
    }
}
"""By root and depth: keys of maps that do not count, since the content hash leaves them out. A cell
is at the depth 1, its metadata at 2 (jupyter_ydoc's ynotebook.py)."""


class Edits:
    """Counts the edits of one document. For use in the thread of its `Doc` alone.

    The types of its roots have to be known by then, as they are once it has a jupyter_ydoc class.
    """

    def __init__(self, doc: Doc[Any]) -> None:
        self._doc = doc
        self._count = 0
        roots = {name: root for name, root in doc.items() if name != STATE}
        self._unknown = any(root is None for root in roots.values())
        self._subscriptions = [
            (root, root.observe_deep(partial(self._saw, name)))
            for name, root in roots.items()
            if root is not None
        ]

    def mark(self) -> Mark:
        """The moment, for `since`."""
        return self._count, frozenset(self._doc.keys())

    def since(self, mark: Mark) -> bool:
        """Whether there was an edit since; also where it cannot be told."""
        return self._unknown or self.mark() != mark

    def close(self) -> None:
        """See no more of it, so that nothing can be told of it any more."""
        self._unknown = True
        for root, subscription in self._subscriptions:
            root.unobserve(subscription)
        self._subscriptions = []

    def _saw(self, root: str, events: Any) -> None:
        if not all(_is_note(root, event) for event in events):
            self._count += 1


def _is_note(root: str, event: Any) -> bool:
    keys = getattr(event, "keys", None)
    path = event.path
    if not isinstance(keys, dict):
        return False
    if len(path) == 2 and path[1] != "metadata":
        return False
    return bool(keys) and set(keys) <= _NOTES.get(root, {}).get(len(path), frozenset())
