"""What a document says, apart from how it came to say it, through jupyter_ydoc."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pycrdt
from jupyter_ydoc import YFile, ydocs

from ..errors import BookstoreError, UnsupportedDocument
from . import canonical, notebook_numbers
from .canonical import hash_of as hash_of
from .edits import STATE, Edits
from .kinds import kind_of
from .rewriting import rewrite
from .updates import apply, is_panic

notebook_numbers.install()


def read(type: str | None, doc: pycrdt.Doc[Any]) -> Any:
    """The content of `doc` as a contents manager would save it.

    A notebook's is its JSON as a dict, a file's a str, a blob's bytes. Raises
    `UnsupportedDocument` for a type that no installed package has registered with jupyter_ydoc,
    and for a document whose content is none of its type.
    """
    wrapped = _wrap(type, doc)
    with _telling(f"The document holds no content of the type {type!r}", "restore an earlier one"):
        said = wrapped.get()
    return bytes(said) if isinstance(said, bytearray) else said


def write(type: str | None, doc: pycrdt.Doc[Any], content: Any) -> None:
    """Make `doc` say `content`, by new edits on top of its history. Raises like `read`, and for
    content that a Yjs document cannot hold, such as half of a surrogate pair.

    What stays the same is not touched: cells by their ids, and the words of a source. So those
    who are in the document keep their places in it.
    """
    wanted = _document(type, content)
    kind_of(type).adopt_ids(doc, wanted, content)
    rewrite(doc, wanted)


def restored(type: str | None, current: bytes, old: Any) -> bytes:
    """The update of a document at `current` after edits that make it say the content `old`.

    Moving forward, as a person would: putting an old update itself back would be undone by the
    first client that comes back with newer history. Raises `UnsupportedDocument`.
    """
    present: pycrdt.Doc[Any] = pycrdt.Doc()
    apply(present, [current])
    write(type, present, untrusted(old))
    return present.get_update()


def check(type: str | None, content: Any) -> None:
    """Raise `UnsupportedDocument` unless a document can say `content`, and be read again."""
    read(type, _document(type, content))


def is_known(type: str | None) -> bool:
    """Whether an installed package knows the content of documents of a type."""
    return type in ydocs


def blank(type: str | None) -> Any:
    """The content of a document that nobody has put anything into. Raises like `read`."""
    return read(type, pycrdt.Doc())


def is_blank(type: str | None, doc: pycrdt.Doc[Any]) -> bool:
    """Whether `doc` says what one does that nobody has put anything into: no text, no notebook."""
    try:
        return bool(read(type, doc) == blank(type))
    except BookstoreError:  # whatever it holds
        return False


def is_blank_update(type: str | None, update: bytes) -> bool:
    """The same of the document that `update` holds. Raises `CorruptSnapshot`."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    apply(doc, [update])
    return is_blank(type, doc)


def for_room(content: Any) -> Any:
    """A file's content such that the document which was loaded from it is equal to it.

    A NaN differs from itself, so a room would find each difference that is none, and reset its
    document to the file (jupyter_server_ydoc, `rooms.py`).
    """
    return notebook_numbers.same_nans(content)


def of_update(type: str | None, update: bytes) -> Any:
    """The content of the document that `update` holds.

    Raises like `read`, also for a notebook without a format, which is an update of something
    else or of nothing, and `CorruptSnapshot` for what is no update.
    """
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    apply(doc, [update])
    said = read(type, doc)
    if isinstance(said, dict) and said.get("nbformat") == 0:
        raise UnsupportedDocument(
            "The document holds no notebook, although it is stored as one; restore an earlier "
            "version."
        )
    return said


def watch(type: str | None, doc: pycrdt.Doc[Any]) -> Callable[[], bool]:
    """Begin to watch a document; what is returned tells whether it was edited since, apart from
    what a room notes in it. Of a type that nobody knows, everything is an edit."""
    try:
        _wrap(type, doc)
    except UnsupportedDocument:
        return lambda: True
    edits = Edits(doc)
    start = edits.mark()
    return lambda: edits.since(start)


def untrusted(body: Any) -> Any:
    """Content without the marks by which a notebook's outputs are trusted to run scripts.

    What comes from a bucket is trusted by nobody until a user of this server does.
    """
    if isinstance(body, dict) and isinstance(body.get("cells"), list):
        return {**body, "cells": [_without_trust(cell) for cell in body["cells"]]}
    return body


def hash_of_file(type: str | None, body: Any) -> str:
    """The hash of what a document says after loading a file of this content; empty for None."""
    if body is None:
        return ""
    if kind_of(type).says_as_loaded or type not in ydocs:
        return hash_of(body)
    try:
        # A class may spell what it loads in another way.
        return hash_of(read(type, _document(type, body)))
    except BookstoreError:
        return hash_of(body)


def is_one_of(type: str | None, body: Any, hashes: Iterable[str]) -> bool:
    """Whether a file's content is one that was stored as a hash, by this release or an earlier one.

    Hashes of the first form differ with all that loading invents, so they are found again only
    where it invents nothing.
    """
    stored = {each for each in hashes if each}
    if hash_of_file(type, body) in stored:
        return True
    former = {each for each in stored if not canonical.is_current_form(each)}
    return bool(former) and not former.isdisjoint(_former_hashes_of_file(type, body))


def _former_hashes_of_file(type: str | None, body: Any) -> Iterator[str]:
    """The hashes that earlier releases may have kept of a file; none where they could keep none."""
    try:
        said = untrusted(read(type, _document(type, body)))
    except BookstoreError:  # they could not open it, either
        return
    yield _former_hash_of(said)
    yield from map(_former_hash_of, kind_of(type).former_spellings(said))


def _former_hash_of(said: Any) -> str:
    text = said if isinstance(said, (str, bytes)) else _json(said)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[: canonical.HASH_DIGITS]


def base_of(doc: pycrdt.Doc[Any]) -> bytes:
    """A description of a document's first state, equal for equal histories.

    jupyter_server_ydoc builds a room's document from its file under the client id 0, so that
    two servers make one history of one file. Its encoding is not fixed (maps inside an output
    come in any order), hence the content and client 0's clock. The `state` root is the room's
    own, not the file's. Without a client 0 the history is nobody else's, and its encoding will do.
    """
    state = doc.get_state()
    clocks = _clock_of_client_0(state)
    if clocks is None:
        return doc.get_update()
    roots = {
        name: root.to_py() if hasattr(root, "to_py") else str(root)
        for name, root in doc.items()
        if root is not None and name != STATE
    }
    return f"{clocks} {_json(roots)}".encode("utf-8", "surrogatepass")


def _document(type: str | None, content: Any) -> pycrdt.Doc[Any]:
    """A document that says `content`, with a history of its own. Raises like `read`."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    wrapped = _wrap(type, doc)
    what = f"A document of type {type!r} cannot say this content"
    with _telling(what, "clone the version to a file, and mend it there"):
        wrapped.set(content)
    return doc


def _wrap(type: str | None, doc: pycrdt.Doc[Any]) -> Any:
    known = ydocs.get(type or "")
    if known is None and type and {"source"} <= set(doc.keys()) <= {"source", STATE}:
        # A room of a type that nobody has registered has a text (jupyter_server_ydoc's rooms.py).
        known = YFile
    if known is None:
        raise UnsupportedDocument(
            f"A document of type {type!r} has no jupyter_ydoc class that knows its content; "
            f"install the package that defines it, or use one of {sorted(ydocs)}."
        )
    return known(doc)


@contextmanager
def _telling(what: str, remedy: str) -> Iterator[None]:
    """Make whatever a document class stumbles over an `UnsupportedDocument`."""
    try:
        yield
    except BookstoreError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise UnsupportedDocument(f"{what} ({error!r:.200}); {remedy}.") from error


def _without_trust(cell: Any) -> Any:
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    if isinstance(metadata, dict) and "trusted" in metadata:
        metadata = {name: value for name, value in metadata.items() if name != "trusted"}
        return {**cell, "metadata": metadata}
    return cell


def _json(value: Any) -> str:
    # Lineages are made of it, so it stays as it is.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)


def _clock_of_client_0(state: bytes) -> int | None:
    decoder = pycrdt.Decoder(state)
    for _ in range(decoder.read_var_uint()):
        client, clock = decoder.read_var_uint(), decoder.read_var_uint()
        if client == 0:
            return clock
    return None
