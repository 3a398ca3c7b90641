"""The canonical form of a document's content, and its hash.

Two contents have one canonical form when they save to the same file, apart from what loading a
file invents, and what saving it strips. docs/architecture.md ("The content hash") describes the
form for other programs; hashes are stored, so it stays what it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

HASH_DIGITS = 16
"""Hexadecimal digits of a hash: it tells states of one file apart, no more."""

FORM = "2-"
"""What a hash of this form begins with. Those of the first form are digits alone."""

_DEFAULTS = {
    # As jupyter_ydoc's YNotebook fills them in (its ynotebook.py, `_set`).
    "language_info": {"name": ""},
    "kernelspec": {"name": "", "display_name": ""},
}
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
"""What nbformat neither reads from a notebook's metadata nor writes (v4/rwbase.py)."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def hash_of(content: Any) -> str:
    """The hash of what a document says: equal for contents of one canonical form.

    It is the same in every process and release, whatever `content` is.
    """
    digest = hashlib.sha256(canonical(content)).hexdigest()
    return FORM + digest[:HASH_DIGITS]


def is_current_form(stored: str) -> bool:
    """Whether a stored hash is of the form that `hash_of` gives."""
    return stored.startswith(FORM)


def canonical(content: Any) -> bytes:
    """The canonical form of a notebook's dict, a text, bytes, or what else a document says."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        return _encoded(content.replace("\r\n", "\n").rstrip("\n"))
    if is_notebook(content):
        content = _notebook(content)
    plain = _plain(content)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _encoded(text)


def is_notebook(content: Any) -> bool:
    """Whether `content` has the shape of a notebook of nbformat 4."""
    return isinstance(content, Mapping) and isinstance(content.get("cells"), (list, tuple))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# -- notebooks -------------------------------------------------------------------------------------


def _notebook(notebook: Mapping[str, Any]) -> dict[str, Any]:
    cells = [_cell(cell) for cell in notebook["cells"]]
    if cells == [{"cell_type": "code"}]:
        cells = []  # jupyter_ydoc gives a notebook that has no cells an empty one
    return {
        "cells": cells,
        "metadata": _metadata(notebook.get("metadata")),
        "nbformat": notebook.get("nbformat", 4),
        "nbformat_minor": notebook.get("nbformat_minor", 5),
    }


def _metadata(metadata: Any) -> Any:
    if not isinstance(metadata, Mapping):
        return metadata or {}
    return {
        name: value
        for name, value in metadata.items()
        if name not in _TRANSIENT and _DEFAULTS.get(name) != value
    }


def _cell(cell: Any) -> Any:
    if not isinstance(cell, Mapping):
        return cell
    said = {name: value for name, value in cell.items() if name not in ("id", "execution_state")}
    metadata = said.get("metadata")
    if isinstance(metadata, Mapping):
        said["metadata"] = {name: metadata[name] for name in metadata if name != "trusted"}
    if "source" in said:
        said["source"] = _joined(said["source"])
    if isinstance(said.get("outputs"), (list, tuple)):
        said["outputs"] = [_output(output) for output in said["outputs"]]
    if isinstance(said.get("attachments"), Mapping):
        said["attachments"] = {
            name: _bundle(bundle) for name, bundle in said["attachments"].items()
        }
    for name, nothing in _NOTHING.items():
        if name in said and said[name] in (None, nothing):
            del said[name]
    return said


_NOTHING: dict[str, Any] = {
    "source": "",
    "metadata": {},
    "outputs": [],
    "attachments": {},
    "execution_count": None,
}
"""What a cell says as much by not having it."""


def _output(output: Any) -> Any:
    if not isinstance(output, Mapping):
        return output
    said = dict(output)
    if "text" in said:
        said["text"] = _joined(said["text"])
    if isinstance(said.get("data"), Mapping):
        said["data"] = _bundle(said["data"])
    return said


def _bundle(bundle: Any) -> Any:
    """A MIME bundle, whose texts may be lists of lines in a file (nbformat's v4/rwbase.py)."""
    if not isinstance(bundle, Mapping):
        return bundle
    return {
        kind: value if _is_json(str(kind)) else _joined(value) for kind, value in bundle.items()
    }


def _is_json(kind: str) -> bool:
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _joined(lines: Any) -> Any:
    if isinstance(lines, (list, tuple)) and all(isinstance(line, str) for line in lines):
        return "".join(lines)
    return lines


# -- any value -------------------------------------------------------------------------------------


_SIMPLE = frozenset((str, int, bool, type(None)))


def _plain(value: Any) -> Any:
    """`value` of JSON's types alone. In a document, and in JavaScript, 1.0 and 1 are the same."""
    if isinstance(value, (str, int)) or value is None:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Mapping):
        return {
            name if type(name) is str else _name(name): item
            if type(item) in _SIMPLE
            else _plain(item)
            for name, item in value.items()
        }
    if isinstance(value, (set, frozenset)):
        return {"set": sorted((_plain(item) for item in value), key=_order)}
    if isinstance(value, Iterable):
        return [item if type(item) in _SIMPLE else _plain(item) for item in value]
    return _object(value)


def _object(value: Any) -> Any:
    """What no file format knows: by the name of its class and what its attributes say."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, Mapping) and attributes:
        return {kind: _plain(attributes)}
    return {kind: _ADDRESS.sub("", repr(value))}


def _name(name: Any) -> str:
    return name if isinstance(name, str) else _order(_plain(name))


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
