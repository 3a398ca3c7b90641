"""What a server adds to the cells of a notebook that it opens: trust and ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pycrdt import Array, Doc, Map

from .cell_ids import CELLS

TRUSTED = "trusted"


def adopt(doc: Doc[Any], loaded: Any) -> None:
    """Give the cells of a document the marks of trust that its file has as it was `loaded`, which
    says the same; and ids of their own to those that share one.

    Where nothing is known of a cell, nobody trusts it. jupyter_ydoc would make ids at random, each
    time that a document is read.
    """
    found = loaded.get("cells") if isinstance(loaded, dict) else None
    verdicts = [_verdict(cell) for cell in found] if isinstance(found, list) else []
    with doc.transaction():
        for index, cell in enumerate(_distinct(doc)):
            metadata = cell.get("metadata", None)
            if not isinstance(metadata, Map):
                continue
            if index < len(verdicts):
                _mark(metadata, verdicts[index])
            elif cell.get("outputs", None):
                _mark(metadata, False)


def _verdict(cell: Any) -> bool | None:
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    verdict = metadata.get(TRUSTED) if isinstance(metadata, dict) else None
    return verdict if isinstance(verdict, bool) else None


def _mark(metadata: Map[Any], trusted: bool | None) -> None:
    if metadata.get(TRUSTED, None) == trusted:
        return
    if trusted is None:
        del metadata[TRUSTED]
    else:
        metadata[TRUSTED] = trusted


def _distinct(doc: Doc[Any]) -> Iterator[Map[Any]]:
    """The cells that the document says: of equal ones with one id the first (jupyter_ydoc's
    ynotebook.py, `_get`)."""
    first: dict[Any, Any] = {}
    for cell in doc.get(CELLS, type=Array):
        if not isinstance(cell, Map):
            continue
        id_ = cell.get("id", None)
        if id_ not in first:
            first[id_] = cell
        elif _said(cell) == _said(first[id_]):
            continue
        elif id_ is not None:
            id_ = _another(id_, first)
            cell["id"] = id_
            first[id_] = cell
        yield cell


def _said(cell: Map[Any]) -> Any:
    said = dict(cell.to_py() or {})
    said.pop("execution_state", None)
    return said


def _another(id_: str, taken: dict[Any, Any]) -> str:
    number = 1
    while True:
        made = hashlib.sha256(f"{id_} {number}".encode()).hexdigest()[:8]
        if made not in taken:
            return made
        number += 1
