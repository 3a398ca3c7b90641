"""User metadata and keys of objects, which any program may have written."""

from __future__ import annotations

from bookstore_y.archive.version import VersionMetadata, former_path
from bookstore_y.errors import InvalidPath
from bookstore_y.keys import MAX_KEY_BYTES, Document, document_of, snapshot_key

from .target import Target, hold, only

PREFIX = "workspace"


def metadata(data: bytes) -> None:
    """An object says something about itself or nothing, and never fails to be read."""
    pairs = (line.partition("=") for line in data.decode("utf-8", "surrogateescape").splitlines())
    given = {name: value for name, _, value in pairs}
    with only():
        facts = VersionMetadata.from_metadata(given)
        hold(facts.updates >= 0, "a negative number of updates")
        source = former_path(facts.origin)
    if source is not None:
        with only(InvalidPath):
            snapshot_key(PREFIX, Document(source, "notebook"))


def key(data: bytes) -> None:
    """A key of a listing is one document's, or none's."""
    name = data.decode("utf-8", "replace")
    for typed in (True, False):
        with only():
            document = document_of(PREFIX, name, typed=typed)
        if document is not None and len(name.encode()) <= MAX_KEY_BYTES:
            with only():
                back = snapshot_key(PREFIX, document)
            hold(back == name, f"{name!r} is the key of {document}, whose key is {back!r}")


def metadata_seeds() -> list[bytes]:
    """What this package writes, after a checkpoint and after renames, and a very large number."""
    plain = VersionMetadata(
        "0" * 32, "parent", 7, ("Zoë", "a,b"), "checkpoint", "file", ("1", "2"), "id", "former"
    )
    written = [
        plain.to_metadata(),
        {**plain.to_metadata(), "origin": "renamed-from:a/b%20c.ipynb"},
        {**plain.to_metadata(), "origin": "renamed-from:=w7wudHh0"},
        {"updates": "9" * 100},
        {"updates": "٣"},
    ]
    return ["\n".join(f"{n}={v}" for n, v in facts.items()).encode() for facts in written]


def key_seeds() -> list[bytes]:
    """Keys of snapshots and others."""
    return [
        b"workspace/a/b.ipynb.notebook.y.zst",
        b"workspace/notes.txt.y.zst",
        "workspace/süd/☃.md.unicode.y.zst".encode(),
        b"workspace/../a.file.y.zst",
        b"workspace/a.y.zst.file.y.zst",
        b"published/a.ipynb",
    ]


def too_many_digits() -> bytes:
    """More than `int` takes by default. AWS allows 2 KB of metadata, other servers more."""
    return b"updates=" + b"9" * 5000


METADATA = Target("metadata", metadata, metadata_seeds, max_len=8192)
KEY = Target("key", key, key_seeds, max_len=1100)
