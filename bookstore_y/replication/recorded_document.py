"""RecordedDocument: what happens to a document that only its record in the buffer tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..buffer.records import FILE_HASHES, DocumentRecord, Replaced
from . import invariants
from .document_view import DocumentView


class RecordedDocument(DocumentView):
    """What happens to the record of a document. The caller has the buffer keep it."""

    __slots__ = ()

    def replaced_up_to(self, seq: int, *, by_file: bool) -> None:
        """What it says up to a sequence number is to be a version of its own."""
        self._set_record(replaced=[*self._facts.replaced, Replaced(seq, by_file)])

    def passed(self, seq: int) -> list[Replaced]:
        """There is a version of what was replaced up to `seq`. Returns which that is of."""
        replaced = self._facts.replaced
        self._set_record(replaced=[each for each in replaced if each.seq > seq])
        return [each for each in replaced if each.seq <= seq]

    def lineage_is(self, lineage: str) -> None:
        """It goes on with a history, unless it has one."""
        if not self._facts.lineage:
            self._set_record(lineage=lineage)

    def brought_by_clients(self, former_file_id: str, lineage: str) -> None:
        """Its first edit came from a tab that has it from a disk that is lost."""
        lineage = self._facts.lineage or lineage
        self._set_record(former_file_id=former_file_id, lineage=lineage)

    def version_goes_on(self, was: str, version_id: str, etag: str) -> bool:
        """A version is current as another one now. False if it does not build on that."""
        if not was or self._facts.version_id != was:
            return False
        self._generation += 1
        self._set_record(version_id=version_id, etag=etag)
        return True

    def with_version(self, version_id: str, etag: str) -> DocumentRecord:
        """Its record as it is when the buffer builds on that version, which is current."""
        deleted = self._facts.deleted and not etag
        return replace(self._facts, version_id=version_id, etag=etag, deleted=deleted)

    def without_history(self) -> DocumentRecord:
        """Its record as it is when the buffer has nothing else of it."""
        return replace(self._facts, has_full_history=False)

    def deletion_followed(self) -> None:
        """The bucket has deleted it. Whoever still has it open starts a new run of versions with
        the next edit, though what it is made of may be in the last one of the old alone."""
        self._set_record(etag="", deleted=True)

    def file_is(self, file_id: str, content_hash: str = "") -> None:
        """Its file has that id, and content of that hash, if one is given."""
        if not content_hash:
            self._set_record(file_id=file_id)
            return
        others = [each for each in self._facts.file_hashes if each != content_hash]
        hashes = [*others, content_hash][-FILE_HASHES:]
        self._set_record(file_id=file_id, saving="", file_hashes=hashes)

    def save_begun(self, content_hash: str) -> None:
        """Content of that hash is on its way to its file."""
        self._set_record(saving=content_hash)

    def _set_record(self, **changes: Any) -> None:
        self._facts = replace(self._facts, **changes)
        self._changed()

    def _changed(self) -> None:
        if invariants.CHECKED:
            invariants.check_invariants(self)
