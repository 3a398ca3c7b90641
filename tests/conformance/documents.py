"""Documents, and writers who each hold a copy of one."""

from __future__ import annotations

from typing import Any

from jupyter_ydoc import ydocs
from pycrdt import Doc, Text

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import VersionMetadata, WriteResult
from bookstore_y.keys import Document
from bookstore_y.ydoc.summary import lineage_of

NOTES = Document("notes.md", "file")


class Writer:
    """A server with a text document open: its copy, and what it knows of the bucket.

    Writers who start from the same `origin` share a lineage.
    """

    def __init__(self, text: str = "", *, origin: Writer | None = None) -> None:
        self.doc: Doc[Any] = Doc()
        self._text = self.doc.get("source", type=Text)
        if origin is None:
            self._text += text
            self.lineage = lineage_of(self.doc.get_update())
        else:
            self.doc.apply_update(origin.doc.get_update())
            self.lineage = origin.lineage
        self.parent: str = origin.parent if origin else ""
        self.parent_etag: str = origin.parent_etag if origin else ""

    @property
    def text(self) -> str:
        return str(self._text)

    def type(self, text: str) -> Writer:
        """Type `text` at the end."""
        self._text += text
        return self

    def facts(self, **more: Any) -> VersionMetadata:
        return VersionMetadata(lineage=self.lineage, parent=self.parent, **more)

    async def save(self, archive: Archive, document: Document = NOTES, **facts: Any) -> WriteResult:
        """Archive the copy, and take in what other writers had written."""
        saved = await archive.save(
            document,
            self.doc.get_update(),
            self.facts(**facts),
            parent_etag=self.parent_etag,
        )
        self.parent, self.parent_etag = saved.version_id, saved.etag
        for update in saved.merged:
            self.doc.apply_update(update)
        return saved


def text_of(update: bytes) -> str:
    """What a text document says."""
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return str(doc.get("source", type=Text))


async def text_in(
    archive: Archive, document: Document | str = NOTES, version_id: str | None = None
) -> str:
    """What a version of a text document says; the current one, unless one is named."""
    return text_of(await archive.load(document, version_id))


def typed_doc(type: str, content: Any) -> Doc[Any]:
    """A document of a jupyter_ydoc type that says `content`."""
    doc: Doc[Any] = Doc()
    ydocs[type](doc).set(content)
    return doc


def content_of(type: str, update: bytes) -> Any:
    """What a document of a jupyter_ydoc type says."""
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return ydocs[type](doc).get()
