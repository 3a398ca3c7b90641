"""DocumentState: a document in the buffer, and where it stands with the bucket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ..buffer.records import DocumentRecord, Replaced
from ..errors import BookstoreError
from ..keys import Document
from .live import Covering, Live
from .schedule import Policy, Timing


@dataclass(eq=False)
class DocumentState:
    """A document in the buffer, and where it stands with the bucket."""

    id: int
    document: Document
    facts: DocumentRecord
    policy: Policy
    pending: int = 0
    pending_bytes: int = 0
    first_pending: float = 0.0
    last_activity: float = 0.0
    """Loop times in seconds, like every time here but `failing_since`."""
    state: bytes = b"\x00"
    """State vector that the buffer is known to hold at least."""
    pulled_at: float = 0.0
    """When the bucket was last asked, or told, what is current."""
    synced: bool = False
    """Whether the bucket has said what it holds of the document, since it was last opened."""
    origin: str = ""
    """What made the next version, where it is more than a checkpoint."""
    authors: set[str] = field(default_factory=set)
    error: BookstoreError | None = None
    failing_since: float | None = None
    """Seconds since the epoch."""
    attempts: int = 0
    retry_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """For whoever checkpoints it, loads it or evicts it."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """From squashing to the note of what the bucket has acknowledged; under `lock`, and for those
    who follow a move, which the holder of `lock` may be waiting for."""
    putting: asyncio.Event | None = None
    """Set when the PUT that is under way has ended."""
    evicted: bool = False
    """Whether the updates at hand build on what only the bucket has."""
    renames: int = 0
    """How often its file has got another name."""
    deleted: bool = False
    """Whether its file was deleted; a new file of that name is another document."""
    users: int = 0
    """Stores that have it open."""
    live: list[Live] = field(default_factory=list)
    """Those of them that have handed it out."""
    live_baseline: Covering | None = None
    """A live document that has all that is persisted. None where it is not known of any."""

    @property
    def checkpoint_through(self) -> int | None:
        """The sequence number up to which there is to be a version before any later update
        counts."""
        return self.facts.replaced[0].seq if self.facts.replaced else None

    def timing(self) -> Timing:
        """What its schedule depends on."""
        return Timing(
            id=self.id,
            pending=self.pending,
            first_pending=self.first_pending,
            last_activity=self.last_activity,
            pulled_at=self.pulled_at,
            is_open=self.users > 0,
            is_buffered=not self.evicted,
            has_version=bool(self.facts.version_id) and not self.facts.deleted,
            noted=self.facts.noted,
            attempts=self.attempts,
            retry_at=self.retry_at,
        )

    def passed(self, seq: int) -> list[Replaced]:
        """There is a version of what was replaced up to `seq`. Returns which that is of."""
        replaced = self.facts.replaced
        self.facts.replaced = [each for each in replaced if each.seq > seq]
        return [each for each in replaced if each.seq <= seq]
