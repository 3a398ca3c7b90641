"""A stored document and its file, where they differ without anybody having changed the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc

from .ydoc import content
from .ydoc.kinds import kind_of
from .ydoc.squash import squash
from .ydoc.updates import apply


@dataclass(frozen=True)
class Stored:
    """A document whose file says the same, or is what it was at its last load or save."""

    type: str | None
    update: bytes
    content: Any
    """What the document says."""
    is_newer: bool
    """Whether its file is older."""

    def for_room(self, loaded: Any) -> Any:
        """What its room finds it to say, as soon as that has adopted the marks of the file as it
        was `loaded`, or of None where it was not."""
        doc: Doc[Any] = Doc()
        apply(doc, [self.update])
        adopt(self.type, doc, loaded)
        return content.read(self.type, doc)


def stored_of(
    type: str | None, updates: list[bytes], body: Any, known: Iterable[str]
) -> Stored | None:
    """A document whose file has the content `body`; None if that was changed by other means.

    `known` are the hashes of what the file may be without that. Raises like `content.read`.
    """
    update = squash(updates)
    doc: Doc[Any] = Doc()
    apply(doc, [update])
    said = content.read(type, doc)  # maybe nothing yet, where a room was closed too soon
    if content.hash_of(said) == content.hash_of_file(type, body):
        return Stored(type, update, said, is_newer=False)
    if content.is_one_of(type, body, known):
        return Stored(type, update, said, is_newer=True)
    return None


def adopt(type: str | None, doc: Doc[Any], loaded: Any) -> None:
    """Have a document say what its file says as it was `loaded`, in what no file holds."""
    kind_of(type).adopt_marks(doc, loaded)
