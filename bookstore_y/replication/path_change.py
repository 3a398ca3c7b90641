"""A path change: a rename or deletion that the bucket has not followed yet.

A change is of the versions that were current when it was first tried, its parts. Whatever is
written under its names later is somebody else's: no change that is tried again takes that along.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BookstoreError
from ..keys import Document
from ..s3.refusals import answer_of

if TYPE_CHECKING:
    from .document import DocumentState
    from .pending_upload import PendingUpload


class Spot(NamedTuple):
    """Where versions stand: those of a document's snapshots, or of a file's saves."""

    kind: str
    """`snapshot` or `save`."""
    path: str
    type: str | None = None
    """Document type of the snapshots."""

    @property
    def document(self) -> Document:
        """The document that the snapshots are of."""
        return Document(self.path, self.type)

    def at(self, path: str) -> Spot:
        """The same of a file at another path."""
        return Spot(self.kind, path, self.type)


def of_document(document: Document) -> Spot:
    """Where a document's snapshots stand."""
    return Spot("snapshot", document.path, document.type)


def of_file(path: str) -> Spot:
    """Where a file's saves stand."""
    return Spot("save", path)


@dataclass(frozen=True)
class Whereabouts:
    """A place at which the bucket may have a document while a change is set aside."""

    document: Document
    version_id: str = ""
    """The one version there that is meant; empty for the current one."""
    gone: frozenset[str] = frozenset()
    """Versions there that have been deleted or renamed, though they may still be current."""


@dataclass
class Part:
    """What a change is of at one spot, until it is done there."""

    version_id: str
    """The version that was current when the change was first tried."""
    etag: str
    copied: bool = False
    """Whether a renamed version goes on under the new name already."""
    kept: str = ""
    """The newest version of the new name's own, while a renamed one is put below it."""


@dataclass(eq=False)
class PathChange:
    """A rename of a file or directory; without `target`, a deletion.

    With `displaced` it is neither: the last state of a document whose name another has taken.
    """

    id: int
    source: str
    target: str | None = None
    displaced: DocumentState | None = None
    below: bool = False
    """Whether the version of a displaced document belongs below that of who has its name now."""
    at: float = field(default_factory=time.time)
    """When it was noted, in seconds since the epoch."""
    inherited: bool = False
    """Whether an earlier process noted it."""
    waits_for: list[asyncio.Event] = field(default_factory=list)
    """PUTs to the old keys that were under way, and the note of it in the buffer."""
    doomed: list[DocumentState] = field(default_factory=list)
    """The documents that a deletion is of; each keeps its last state as a version."""
    until: int = 0
    """Up to which sequence number updates of those came before the deletion."""
    saves: list[PendingUpload] = field(default_factory=list)
    """Files whose name is gone or taken; each has its last save as a version first."""

    parts: dict[Spot, Part] | None = None
    """What is left to do; None until the bucket was first asked what there is."""
    taken: set[Spot] = field(default_factory=set)
    """Where something else has been written since: it is spared."""

    set_aside: bool = False
    """Whether it has failed so often that nothing else waits for it."""
    since: float | None = None
    """When it first failed, in seconds since the epoch."""
    error: BookstoreError | None = None
    reason: str = ""
    code: str = ""
    """S3's error code and message, where it was S3 that refused."""
    message: str = ""
    failures: int = 0
    """In a row, while the bucket itself could be used."""
    attempts: int = 0
    """In a row, whatever the cause."""

    retry_at: float = 0.0
    """Of the event loop's clock."""

    running: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """For whoever tries it."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        if self.displaced is not None:
            return f"the last edits of the former {self.displaced.document}"
        if self.target is None:
            return f"the deletion of {self.source}"
        return f"the rename of {self.source} to {self.target}"

    @property
    def tried(self) -> bool:
        """Whether an earlier try may have done a part of it."""
        return self.attempts > 0 or self.inherited

    def touches(self, path: str) -> bool:
        """Whether it concerns what is at `path`, or a directory above or below it."""
        return _touch(path, self.source) or (self.target is not None and _touch(path, self.target))

    def depends_on(self, other: PathChange) -> bool:
        """Whether it has to wait for an earlier one."""
        return other.touches(self.source) or (
            self.target is not None and other.touches(self.target)
        )

    def failed(self, error: BookstoreError, *, works: bool) -> None:
        """It was tried in vain. `works` says that the bucket itself can be used."""
        self.attempts += 1
        self.failures = self.failures + 1 if works else 0
        self.since = self.since or time.time()
        self.error, self.reason = error, str(error)
        self.code, self.message = answer_of(error)

    def to_dict(self, blocked_by: PathChange | None = None) -> dict[str, Any]:
        """JSON types only; times are in seconds since the epoch."""
        reason = self.reason or None
        if blocked_by is not None:
            reason = f"It waits for {blocked_by}."
        what = "deletion" if self.target is None else "rename"
        return {
            "id": self.id,
            "what": what if self.displaced is None else "displaced",
            "path": self.source,
            "target": self.target,
            "state": "set aside" if self.set_aside else "waiting",
            "at": self.at,
            "since": self.since,
            "reason": reason,
            "code": self.code or None,
            "message": self.message or None,
        }

    # -- what is kept of it --------------------------------------------------------------------

    def to_json(self) -> str:
        """What is known of it besides its names, for `from_json`."""
        parts = self.parts
        state = {
            "parts": None if parts is None else [[*s, *astuple(p)] for s, p in parts.items()],
            "taken": [list(spot) for spot in sorted(self.taken, key=str)],
            "set_aside": self.set_aside,
            "since": self.since,
            "reason": self.reason,
            "code": self.code,
            "message": self.message,
        }
        return json.dumps(state, separators=(",", ":"))

    def learn(self, text: str) -> None:
        """Take in what `to_json` gave. Never fails: the bucket can be asked again."""
        try:
            state = json.loads(text)
            given = state["parts"]
            parts = None if given is None else {Spot(*e[:3]): Part(*e[3:]) for e in given}
            self.taken = {Spot(*each) for each in state["taken"]}
            self.since, self.set_aside = state["since"], bool(state["set_aside"])
            self.reason, self.code = str(state["reason"]), str(state["code"])
            self.message = str(state["message"])
            self.parts = parts
        except (ValueError, TypeError, KeyError, IndexError):
            return


def _touch(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def moved(path: str, source: str, target: str) -> str | None:
    """Where `path` is after `source` was renamed to `target`; None if that does not concern it."""
    if path == source:
        return target
    if path.startswith(f"{source}/"):
        return target + path[len(source) :]
    return None
