"""DocumentView: what everybody may read of a document's state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

from ..buffer.records import DocumentRecord
from ..errors import BookstoreError
from ..keys import Document
from .live import Covering, Live
from .schedule import Policy, Timing


class Base(Enum):
    """What the updates at hand build on, and whether the bucket has said so."""

    UNKNOWN = "unknown"
    """The bucket has not been asked since the document was opened."""
    BUFFERED = "buffered"
    """The buffer holds the document, and the bucket has a version of it."""
    NONE = "none"
    """Nothing: the bucket has no version of it."""
    BUCKET_ONLY = "bucket only"
    """What only the bucket has: after an eviction, and until what was found is loaded."""


class Name(Enum):
    """Whether the document has its name."""

    CURRENT = "current"
    DELETED = "deleted"
    """Its file was deleted, and nothing has the name; the next edit may bring it back."""
    DISPLACED = "displaced"
    """Another document has the name, or a file of which there is no document yet."""


class Task(Enum):
    """What is being done with the document's base, rows and version right now."""

    IDLE = "idle"
    LOADING = "loading"
    WRITING = "writing"
    EVICTING = "evicting"


@dataclass(frozen=True)
class Trouble:
    """Why a document is not archived, or cannot be pulled."""

    error: BookstoreError
    attempts: int = 0
    """Checkpoints that failed in a row; 0 if it is only that others' versions cannot be read."""
    retry_at: float = 0.0
    failing_since: float | None = None
    """Seconds since the epoch."""


class DocumentView:
    """What is known of a document. `DocumentState` has what changes it.

    Times are seconds of `time.monotonic`, unless something else is said.
    """

    __slots__ = (
        "_base",
        "_document",
        "_facts",
        "_first_pending",
        "_generation",
        "_has_base",
        "_is_orphaned",
        "_last_activity",
        "_live",
        "_live_baseline",
        "_name",
        "_pending",
        "_pending_bytes",
        "_policy",
        "_pulled_at",
        "_put_ends",
        "_state_vector",
        "_task",
        "_trouble",
        "_users",
        "id",
        "lock",
        "writing",
    )

    def __init__(self, id: int, document: Document, facts: DocumentRecord, policy: Policy) -> None:
        self.id = id
        self.lock = asyncio.Lock()
        self.writing = asyncio.Lock()
        self._document = document
        self._facts = facts
        self._policy = policy
        self._base = Base.UNKNOWN
        self._name = Name.CURRENT
        self._task = Task.IDLE
        self._has_base = False
        self._is_orphaned = False
        self._pending = self._pending_bytes = self._users = self._generation = 0
        self._first_pending = self._last_activity = self._pulled_at = 0.0
        self._state_vector = b"\x00"
        self._live: tuple[Live, ...] = ()
        self._live_baseline: Covering | None = None
        self._put_ends: asyncio.Event | None = None
        self._trouble: Trouble | None = None

    @property
    def document(self) -> Document:
        """What it is called now, or was called last."""
        return self._document

    @property
    def facts(self) -> DocumentRecord:
        """What the buffer keeps of it besides its updates."""
        return self._facts

    @property
    def policy(self) -> Policy:
        """That of the store that opened it last."""
        return self._policy

    @property
    def base(self) -> Base:
        """What the updates at hand build on."""
        return self._base

    @property
    def name(self) -> Name:
        """Whether it has its name."""
        return self._name

    @property
    def task(self) -> Task:
        """What is being done with it."""
        return self._task

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong, if anything is."""
        return self._trouble

    @property
    def error(self) -> BookstoreError | None:
        """Why it is not archived, or cannot be pulled."""
        return None if self._trouble is None else self._trouble.error

    @property
    def attempts(self) -> int:
        """Checkpoints that failed in a row."""
        return 0 if self._trouble is None else self._trouble.attempts

    @property
    def retry_at(self) -> float:
        """Before when nothing is to be tried again."""
        return 0.0 if self._trouble is None else self._trouble.retry_at

    @property
    def pending(self) -> int:
        """Updates that no version in the bucket is known to hold."""
        return self._pending

    @property
    def pending_bytes(self) -> int:
        """Their size."""
        return self._pending_bytes

    @property
    def first_pending(self) -> float:
        """When the oldest of them came."""
        return self._first_pending

    @property
    def has_base(self) -> bool:
        """Whether the buffer holds a snapshot that the updates build on."""
        return self._has_base

    @property
    def state_vector(self) -> bytes:
        """That of what the buffer is known to hold at least."""
        return self._state_vector

    @property
    def users(self) -> int:
        """Stores that have it open."""
        return self._users

    @property
    def live(self) -> tuple[Live, ...]:
        """Those of them that have handed it out."""
        return self._live

    @property
    def live_baseline(self) -> Covering | None:
        """A live document that has all that is persisted. None where it is not known of any."""
        return self._live_baseline

    @property
    def put_ends(self) -> asyncio.Event | None:
        """Set when the PUT that is under way has ended."""
        return self._put_ends

    @property
    def generation(self) -> int:
        """Changes whenever base, version or name do: what the bucket has said before is stale."""
        return self._generation

    @property
    def needs_base(self) -> bool:
        """Whether the bucket has to be asked before what is at hand can be a version."""
        return not (self.synced or self._has_base)

    @property
    def synced(self) -> bool:
        """Whether the bucket has said what it holds of the document, since it was last opened."""
        return self._base in (Base.BUFFERED, Base.NONE)

    @property
    def deleted(self) -> bool:
        """Whether it has lost its name: its file was deleted, or another document has the name."""
        return self._name is not Name.CURRENT

    @property
    def is_archived(self) -> bool:
        """Whether the bucket has a version of it that is current, as far as is known."""
        return bool(self._facts.version_id) and not (self._facts.deleted or self.deleted)

    @property
    def is_complete(self) -> bool:
        """Whether the buffer holds the document from its beginning, once it holds any update."""
        facts = self._facts
        return self._has_base or facts.has_full_history or not facts.version_id

    @property
    def is_orphaned(self) -> bool:
        """Whether what its updates build on is gone for good, so that they are all there is."""
        return self._is_orphaned

    @property
    def checkpoint_through(self) -> int | None:
        """The sequence number up to which there is to be a version before any later update
        counts."""
        return self._facts.replaced[0].seq if self._facts.replaced else None

    def timing(self) -> Timing:
        """What its schedule depends on."""
        return Timing(
            id=self.id,
            pending=self._pending,
            first_pending=self._first_pending,
            last_activity=self._last_activity,
            pulled_at=self._pulled_at,
            is_open=self._users > 0,
            is_buffered=self._base is not Base.BUCKET_ONLY,
            has_version=bool(self._facts.version_id) and not self._facts.deleted,
            noted=self._facts.noted,
            attempts=self.attempts,
            retry_at=self.retry_at,
        )

    def __repr__(self) -> str:
        known = {
            "base": self._base.value,
            "name": self._name.value,
            "task": self._task.value,
            "pending": self._pending,
            "bytes": self._pending_bytes,
            "users": self._users,
            "has_base": self._has_base,
            "orphaned": self._is_orphaned,
            "baseline": self._live_baseline is not None,
            "facts": self._facts,
        }
        return f"<{self._document}: {', '.join(f'{k}={v}' for k, v in known.items())}>"
