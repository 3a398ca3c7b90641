"""DocumentState: a document in the buffer, and where it stands with the bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..archive.version import Snapshot
from ..buffer.records import DocumentRecord, Known
from ..keys import Document
from .document_view import Base, Name, Task, Trouble
from .live import Covering, Live
from .recorded_document import RecordedDocument
from .schedule import Policy


class Credits:
    """What the next version is to say of itself: who made it, and what it is more than a
    checkpoint."""

    def __init__(self) -> None:
        self.authors: frozenset[str] = frozenset()
        self.origin = ""

    def joined(self, authors: Iterable[str]) -> None:
        """They have a part in the next version."""
        self.authors |= frozenset(authors)

    def made_by(self, origin: str, *, unless_said: bool = False) -> None:
        """It is what makes the next version; with `unless_said`, only where nothing else does."""
        self.origin = (unless_said and self.origin) or origin


@dataclass(eq=False)
class Put:
    """A version that is being written, from the moment before its PUT until it is noted."""

    authors: tuple[str, ...]
    origin: str
    _state: DocumentState
    _ends: asyncio.Event
    _acknowledged: bool = False

    def acknowledged(self, version_id: str, etag: str, now: float) -> None:
        """The bucket has it."""
        self._acknowledged = True
        self._state._put_acknowledged(version_id, etag, now)
        self.ended()

    def noted_only(self) -> None:
        """There is no need for a version: a room has noted something, and nobody has edited."""
        self._acknowledged = True
        self._state._set_record(noted=True)

    def ended(self) -> None:
        """No request of it is under way any more."""
        self._ends.set()
        self._state._put_ends = None


class Eviction:
    """An eviction that is under way."""

    def __init__(self, state: DocumentState) -> None:
        self._state = state

    def gone(self, now: float) -> None:
        """The buffer has nothing of the document any more: what its room goes on to write builds
        on what the bucket has."""
        self._state._evicted(now)


class DocumentState(RecordedDocument):
    """A document in the buffer, and where it stands with the bucket.

    Nobody else sets a field of it. Its methods are named after what has happened; those that
    change the record leave it to the caller to have the buffer keep it.

    **Locks**, in the order in which they may be taken; whoever holds one may wait for those after
    it, and never for one before it:

    1. `lock`, the document's: one long operation at a time (checkpoint, load, pull, eviction).
       Its holder may wait for path changes and for the bucket. It protects no field by itself.
    2. A path change's (`PathChanges`, a slot and then the change's own): one try of it. Its holder
       may need the last state of a document written, and must not take `lock`, whose holder may
       be waiting for the change.
    3. `writing`: base, version, ETag, lineage, `live_baseline`, which rows count as persisted, and
       the task. Never held while waiting for a path change or for `lock`.
    4. The slots for squashing and for PUTs (`CheckpointWriter`): memory and connections.

    `put_ends` is no lock: a path change waits for it, and who owns it waits for the bucket alone.

    **What is known of the base**::

        UNKNOWN --confirmed, base_loaded--> BUFFERED --evicted--> BUCKET_ONLY
           |  '------begun_here------> NONE --acknowledged--> BUFFERED    |
           '<------------- opened (first user), not from BUCKET_ONLY      |
                             BUFFERED or NONE <--base_loaded, rebuilt_from_live

    Only a whole document is ever written: nothing while its base is BUCKET_ONLY, and otherwise
    only where the buffer has a base, the full history, or the bucket has nothing of it.
    """

    __slots__ = ("credits",)

    def __init__(
        self,
        id: int,
        document: Document,
        facts: DocumentRecord,
        policy: Policy,
        now: float,
    ) -> None:
        super().__init__(id, document, facts, policy)
        self.credits = Credits()
        self._last_activity = now

    @classmethod
    def recovered(cls, known: Known, policy: Policy, now: float) -> DocumentState:
        """A document that an earlier process has left in the buffer."""
        state = cls(known.id, known.document, known.facts, policy, now)
        state._pending, state._pending_bytes = known.pending, known.pending_bytes
        state._first_pending = now
        state._has_base = known.has_base
        if known.facts.deleted:
            state._name = Name.DELETED
        return state

    # -- who has it ----------------------------------------------------------------------------

    def opened(self, policy: Policy) -> None:
        """A store has it open. Others may have written to it while none had."""
        if self._users == 0 and self.synced:
            self._base = Base.UNKNOWN
            self._live_baseline = None
        self._users += 1
        self._policy = policy
        self._changed()

    def closed(self) -> None:
        """A store has closed it."""
        self._users -= 1
        self._changed()

    def live_attached(self, live: Live) -> None:
        """A store has handed it out."""
        if live not in self._live:
            self._live = (*self._live, live)
        self._changed()

    def live_detached(self, live: Live) -> None:
        """That store has no more to do with it."""
        self._live = tuple(each for each in self._live if each is not live)
        if self._live_baseline is not None and self._live_baseline.live is live:
            self._live_baseline = None
        self._changed()

    # -- its updates ---------------------------------------------------------------------------

    def appended(self, size: int, now: float) -> None:
        """An update of so many bytes has been appended."""
        self._last_activity = now
        if not self._pending:
            self._first_pending = now
        self._pending += 1
        self._pending_bytes += size
        self._changed()

    def touched(self, now: float) -> None:
        """Somebody has read it."""
        self._last_activity = now

    def counted(self, updates: int, size: int) -> None:
        """So many updates of so many bytes more are pending than were counted, or fewer."""
        self._pending = max(0, self._pending + updates)
        self._pending_bytes = max(0, self._pending_bytes + size) if self._pending else 0
        self._changed()

    # -- what it builds on ---------------------------------------------------------------------

    def base_found(self, found: Snapshot, state_vector: bytes, *, has_rows: bool) -> None:
        """The bucket has a newer version than the buffer: what is known of it is taken in.

        Until the buffer has it, and after a crash, what the buffer holds is not to be taken for
        the document. If the buffer has a base, it holds an older one, whose version is replaced
        together with it. `has_rows` says whether the buffer holds any update.
        """
        self._generation += 1
        self._state_vector = state_vector
        learned = self._facts.learn_of_file(found.facts.file_id, found.facts.file_hashes)
        self._facts = replace(learned, lineage=found.facts.lineage)
        if not self._has_base:
            self._facts = replace(self._facts, version_id=found.version_id, etag=found.etag)
            if not (self._facts.has_full_history and has_rows):
                self._facts = replace(self._facts, has_full_history=False)
                self._base, self._live_baseline = Base.BUCKET_ONLY, None
            elif self.synced:
                self._base = Base.UNKNOWN
                self._live_baseline = None
            if found.etag:
                self._facts = replace(self._facts, deleted=False)
        self._changed()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What was found goes to the buffer; `base_loaded` says when it is there."""
        self._live_baseline = None
        self._begin(Task.LOADING)
        try:
            yield
        finally:
            self._end()

    def base_loaded(self, version_id: str, etag: str, now: float | None = None) -> None:
        """The buffer has a base, of that version. `now` says that it is current."""
        self._has_base, self._is_orphaned, self._live_baseline = True, False, None
        self._generation += 1
        self._base = Base.BUFFERED
        self._pulled_at = self._pulled_at if now is None else now
        self._facts = self.with_version(version_id, etag)
        self._changed()

    def base_folded(self, state_vector: bytes) -> None:
        """Part of the buffer's updates is a base now."""
        self._generation += 1
        self._has_base, self._is_orphaned = True, False
        self._state_vector = state_vector
        self._changed()

    def confirmed(self, *, orphaned: bool = False) -> None:
        """The bucket has said what it holds, and the buffer has it. With `orphaned`, what the
        updates build on is gone for good, and they are all there is."""
        self._is_orphaned = orphaned and not self.is_complete
        self._base = Base.BUFFERED if self._facts.version_id else Base.NONE
        self._changed()

    def begun_here(self, *, anew: bool) -> None:
        """The bucket has nothing of it. With `anew`, neither has the buffer, and whatever the
        bucket once had under that name was another document."""
        if anew:
            self._facts = replace(self._facts, lineage="", version_id="", etag="")
        self._facts = replace(self._facts, has_full_history=True)
        self.confirmed()

    def rebuilt_from_live(self, *, keep_version: bool) -> None:
        """What the bucket had of it is gone or cannot be read: it begins with the live documents,
        which the caller appends as a whole. With `keep_version` it succeeds that version."""
        self._generation += 1
        self._live_baseline = None
        version_id = self._facts.version_id if keep_version else ""
        self._facts = replace(self._facts, version_id=version_id, etag="", has_full_history=True)
        self.confirmed()

    def pulled(self, now: float) -> None:
        """The bucket has been asked whether others have written to it."""
        self._pulled_at = now

    @contextmanager
    def evicting(self) -> Iterator[Eviction]:
        """Its updates are to leave the buffer. Nothing has changed unless `gone` is called."""
        self._begin(Task.EVICTING)
        try:
            yield Eviction(self)
        finally:
            self._end()

    # -- versions ------------------------------------------------------------------------------

    @contextmanager
    def put_started(self, *, through: int | None) -> Iterator[Put]:
        """A version is being written, with what is known of the next one; `through` says that
        another one comes after it, which is of its origin. If the bucket does not acknowledge it,
        all of that is for the next one."""
        self._begin(Task.WRITING)
        following, authors, origin = self.credits, self.credits.authors, ""
        following.authors = frozenset()
        if through is None:
            origin, following.origin = following.origin, ""
        self._put_ends = asyncio.Event()
        put = Put(tuple(sorted(authors)), origin, self, self._put_ends)
        try:
            yield put
        except BaseException:
            if not put._acknowledged:
                following.authors |= authors
                following.origin = following.origin or origin
            raise
        finally:
            put.ended()
            self._end()

    def persisted(self, updates: int, size: int, now: float, *, has_base: bool = False) -> None:
        """A version holds so many of the pending updates. `has_base` says that the buffer has it
        as its base."""
        self._first_pending = now
        self._generation += has_base
        self._has_base = self._has_base or has_base
        self.counted(-min(updates, self._pending), -min(size, self._pending_bytes))

    def covered_by(self, covering: Covering | None, state_vector: bytes | None = None) -> None:
        """A live document has all that is persisted, which is of that state vector at least."""
        known = self.synced and covering is not None and covering.live in self._live
        self._live_baseline = covering if known else None
        self._state_vector = state_vector or self._state_vector
        self._changed()

    # -- its name ------------------------------------------------------------------------------

    def renamed(self, document: Document) -> None:
        """Its file has another name."""
        self._document = document
        self._generation += 1

    def file_deleted(self) -> None:
        """Its file is gone, and so is its name."""
        if self._name is Name.CURRENT:
            self._name = Name.DELETED
        self._changed()

    def brought_back(self, *, by_undeleting: bool = False) -> None:
        """An edit has brought it back, or its deletion was taken back; but not its name, if
        another document has that."""
        if self._name is Name.DELETED:
            self._name = Name.CURRENT
        if by_undeleting:
            self._set_record(deleted=False)

    def displaced(self) -> None:
        """Another document has its name."""
        self._name = Name.DISPLACED
        self._changed()

    # -- trouble -------------------------------------------------------------------------------

    def in_trouble(self, trouble: Trouble | None) -> None:
        """Something has failed, or nothing fails any more."""
        self._trouble = trouble
        self._changed()

    # -- for Put and Eviction ------------------------------------------------------------------

    def _put_acknowledged(self, version_id: str, etag: str, now: float) -> None:
        self._generation += 1
        self._pulled_at = now
        self._base = Base.BUFFERED if self._base is Base.NONE else self._base
        self._set_record(version_id=version_id, etag=etag, deleted=False, noted=False)

    def _evicted(self, now: float) -> None:
        self._generation += 1
        self._base, self._live_baseline = Base.BUCKET_ONLY, None
        self._has_base = self._is_orphaned = False
        self._last_activity = now
        self._facts = self.without_history()
        self._changed()

    def _begin(self, task: Task) -> None:
        if self._task is not Task.IDLE:
            raise RuntimeError(f"{task.value} while {self._task.value}: {self!r}")
        self._task = task
        try:
            self._changed()
        except AssertionError:
            self._task = Task.IDLE
            raise

    def _end(self) -> None:
        self._task = Task.IDLE
        self._changed()
