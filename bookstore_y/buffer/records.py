"""The buffer's records: updates, documents and path changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..keys import Document

FILE_HASHES = 32
"""Loads and saves of its file that a document remembers."""


class Replaced(NamedTuple):
    """What a document said up to a sequence number, and was then made to say no more."""

    seq: int
    by_file: bool = False
    """Whether its file replaced it; otherwise somebody had an old version back."""


_PERSISTED = {"has_full_history": "whole"}
"""Names in the `facts` column, where they are not those of today."""


@dataclass(frozen=True)
class DocumentRecord:
    """What is known about a document besides its updates."""

    lineage: str = ""
    version_id: str = ""
    """The version that the buffer's content builds on, and its ETag."""
    etag: str = ""
    file_id: str = ""
    """jupyter_server_fileid's id, which tells a kept disk from a fresh one."""
    file_hashes: Sequence[str] = field(default_factory=list)
    """Hashes of the file at its loads and saves, oldest first; the last one is what it is now."""
    saving: str = ""
    """Hash of a save that was begun, and is not known to have reached the file."""
    has_full_history: bool = False
    """Whether the buffer has all of it from its beginning, though the bucket has some, too."""
    deleted: bool = False
    """Whether the file was deleted, the bucket has followed, and nothing was written since."""
    replaced: Sequence[Replaced] = field(default_factory=list)
    """What is to be a version of its own before any later update is in one, oldest first."""
    noted: bool = False
    """Whether what counts as persisted has notes of a room that no version has, see `edits`."""
    former_file_id: str = ""
    """The file's id on a disk that was lost before the first version; tabs come back with it."""

    def learn_of_file(self, file_id: str, hashes: Sequence[str]) -> DocumentRecord:
        """With what another knows of the file's loads and saves, the oldest first."""
        ours = self.file_hashes
        news = [each for each in hashes if each not in ours]
        if file_id == self.file_id or not ours:
            return replace(self, file_id=file_id, file_hashes=[*ours, *news][-FILE_HASHES:])
        # It is of another disk; what the file was last on this one stays the last.
        return replace(self, file_hashes=[*news, *ours][-FILE_HASHES:])

    def absorb(self, other: DocumentRecord) -> DocumentRecord:
        """With what another buffer knows of the same document."""
        learned = self.learn_of_file(other.file_id, other.file_hashes)
        saving, noted = self.saving or other.saving, self.noted or other.noted
        return replace(learned, saving=saving, noted=noted)

    def file_states(self) -> tuple[str, ...]:
        """Hashes of what the file was, and of what it may be, oldest first."""
        saving = [self.saving] if self.saving and self.saving not in self.file_hashes else []
        return (*self.file_hashes, *saving)

    def to_json(self) -> str:
        known = {_PERSISTED.get(name, name): it for name, it in self.__dict__.items()}
        return json.dumps(known, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> DocumentRecord:
        """Never fails: what is not known can be asked of the bucket again."""
        try:
            given: Any = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(given, dict):
            return cls()
        known: dict[str, Any] = {}
        for name, default in cls().__dict__.items():
            kept = given.get(_PERSISTED.get(name, name))
            known[name] = kept if type(kept) is type(default) else default
        known["file_hashes"] = [str(each) for each in known["file_hashes"]]
        known["replaced"] = [each for kept in known["replaced"] for each in _replaced(kept)]
        return cls(**known)


@dataclass(frozen=True)
class Row:
    """One update: the Yjs v1 update, the store's metadata, and seconds since the epoch."""

    seq: int
    data: bytes
    metadata: bytes
    timestamp: float


@dataclass(frozen=True)
class BufferedDocument:
    """All that the buffer holds of one document, as of one moment."""

    base: Row | None
    rows: list[Row]
    persisted: int

    @property
    def pending(self) -> list[Row]:
        return [row for row in self.rows if row.seq > self.persisted]

    @property
    def empty(self) -> bool:
        return self.base is None and not self.rows

    def until(self, seq: int) -> BufferedDocument:
        """What was held up to a sequence number."""
        return BufferedDocument(
            self.base, [row for row in self.rows if row.seq <= seq], self.persisted
        )

    def updates(self) -> list[bytes]:
        """Every update held, oldest first, the base before them."""
        head = [] if self.base is None else [self.base.data]
        return head + [row.data for row in self.rows]


@dataclass(frozen=True)
class PendingUpdates(BufferedDocument):
    """What is pending of one document, with how much is held besides its base."""

    count: int
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Known:
    """A document that the buffer held when it was opened."""

    id: int
    document: Document
    facts: DocumentRecord
    pending: int
    pending_bytes: int
    newest: float
    """When its last update came; 0 if it holds none."""
    has_base: bool
    """Whether it holds a snapshot that its updates build on."""


@dataclass(frozen=True)
class Move:
    """A rename, or without `target` a deletion, that the bucket has not followed."""

    id: int
    source: str
    target: str | None
    documents: list[int]
    """The documents that a deletion is of; one that came later is another of the same name."""
    at: float
    """When it was noted, in seconds since the epoch."""
    state: str = ""
    """What is known of it besides, in JSON; see `path_change.Change.to_json`."""


def document_ids(text: str) -> list[int]:
    """Never fails, like `DocumentRecord.from_json`."""
    try:
        given = json.loads(text)
    except (ValueError, TypeError):
        return []
    return [each for each in given if isinstance(each, int)] if isinstance(given, list) else []


def _replaced(given: Any) -> list[Replaced]:
    """Never fails, like `DocumentRecord.from_json`."""
    if not (isinstance(given, list) and len(given) == 2 and isinstance(given[0], int)):
        return []
    return [Replaced(given[0], bool(given[1]))]
