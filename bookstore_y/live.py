"""Live documents: the `Doc`s that stores of this process have handed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc

from .snapshot import Footprint, footprint_of, update_of


@dataclass(eq=False)
class Live:
    """A document that somebody has open. For use in the thread of its `Doc` alone."""

    ydoc: Doc[Any]
    is_ready: Callable[[], bool]
    """Whether it holds its document; a room may have loaded half of it, or reset it to its file."""

    def deliver(self, update: bytes) -> None:
        """Apply what another writer made."""
        self.ydoc.apply_update(update)

    def whole(self) -> bytes:
        """All of it, as one update. Raises `CorruptSnapshot` where it cannot be encoded."""
        return update_of(self.ydoc)

    def footprint(self) -> Footprint:
        """What it has seen. Raises `CorruptSnapshot` likewise."""
        return footprint_of(self.ydoc)
