"""What a document says, apart from how it came to say it, through jupyter_ydoc."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pycrdt
from jupyter_ydoc import ydocs

from . import cell_ids, notebook_numbers
from .errors import BookstoreError, UnsupportedDocument
from .rewriting import rewrite
from .snapshot import apply, is_panic

notebook_numbers.install()

HASH_DIGITS = 16
"""Hexadecimal digits of a content hash: it tells states of one file apart, no more."""


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
    if type == "notebook":
        cell_ids.adopt(doc, wanted, content)
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


def untrusted(body: Any) -> Any:
    """Content without the marks by which a notebook's outputs are trusted to run scripts.

    What comes from a bucket is trusted by nobody until a user of this server does.
    """
    if isinstance(body, dict) and isinstance(body.get("cells"), list):
        return {**body, "cells": [_without_trust(cell) for cell in body["cells"]]}
    return body


def hash_of_file(type: str | None, body: Any) -> str:
    """The hash of a file's content as a document would have it after loading it."""
    if body is None:
        return ""
    return hash_of(read(type, _document(type, body)))


def hash_of(content: Any) -> str:
    """A hash that is equal for contents that save to the same file.

    Leaves out what differs between a document and its file without anyone having edited either:
    `trusted`, which the contents manager sets on loading and strips on saving.
    """
    content = untrusted(content)
    text = content if isinstance(content, (str, bytes)) else _canonical(content)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:HASH_DIGITS]


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
        if root is not None and name != "state"
    }
    return f"{clocks} {_canonical(roots)}".encode("utf-8", "surrogatepass")


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


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)


def _clock_of_client_0(state: bytes) -> int | None:
    decoder = pycrdt.Decoder(state)
    for _ in range(decoder.read_var_uint()):
        client, clock = decoder.read_var_uint(), decoder.read_var_uint()
        if client == 0:
            return clock
    return None
