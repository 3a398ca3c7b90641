"""Live documents: the `Doc`s that this process's stores have handed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc

from ..ydoc.edits import Edits, Mark
from ..ydoc.summary import StateSummary, footprint_of
from ..ydoc.updates import update_of


@dataclass(eq=False)
class Live:
    """A document that somebody has open. For use in the thread of its `Doc` alone."""

    ydoc: Doc[Any]
    is_ready: Callable[[], bool]
    """Whether it holds its document; a room may have loaded half of it, or reset it to its file."""
    edits: Edits | None = None
    """What tells edits of it from what its room notes; None where no room has it."""

    def deliver(self, update: bytes) -> None:
        """Apply what another writer made."""
        self.ydoc.apply_update(update)

    def whole(self) -> bytes:
        """All of it, as one update. Raises `CorruptSnapshot` where it cannot be encoded."""
        return update_of(self.ydoc)

    def footprint(self) -> StateSummary:
        """What it has seen. Raises `CorruptSnapshot` likewise."""
        return footprint_of(self.ydoc)

    def mark(self) -> Mark | None:
        """The moment, for `is_edited_since`."""
        return self.edits.mark() if self.edits is not None else None

    def is_edited_since(self, mark: Mark | None) -> bool:
        """Whether anybody has edited it since, as far as is known."""
        return self.edits is None or mark is None or self.edits.since(mark)


@dataclass(frozen=True)
class Covering:
    """A live document that has all that is persisted of it, and will have: it only grows."""

    live: Live
    footprint: StateSummary
    """Of what is persisted."""
    mark: Mark | None
    """When the live document had nothing else; None if it is not known."""
