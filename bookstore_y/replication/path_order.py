"""PathOrder: what loading and checkpointing a document need to know of path changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..keys import Document
from .document import DocumentState
from .path_change import Part, Spot, Whereabouts


class PathOrder(Protocol):
    """The renames and deletions that the bucket has yet to follow; see `PathChanges`."""

    @property
    def waiting(self) -> bool:
        """Whether there are any."""

    async def follow(self, path: str) -> None:
        """Have the bucket follow what `path` has to wait for. Raises a `BookstoreError`."""

    def holds_up(self, path: str) -> bool:
        """Whether what is at `path` has to wait."""

    def whereabouts(self, document: Document) -> Sequence[Whereabouts]:
        """Where the bucket may have a document, the best place first."""

    def replaced(self, spot: Spot) -> Part | None:
        """The version that what is written at a spot takes the place of."""

    def renamed_from(self, entry: DocumentState) -> str | None:
        """Under which former path the bucket has what a document builds on."""

    async def wrote(self, spot: Spot, entry: DocumentState | None = None, seq: int = 0) -> None:
        """Something has been written at a spot, of updates up to `seq`."""
