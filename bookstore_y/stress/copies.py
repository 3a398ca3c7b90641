"""What a copy of a document says, in a form in which two copies can be compared."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from pycrdt import Array, Doc, Map

from . import marks

Content = dict[str, Any]


def content_of(doc: Doc[Any]) -> Content:
    """Cells and metadata of a notebook's Yjs document, as they are: what reads it otherwise leaves
    out cells that are there twice. Without `state`, which is not the document's but the room's."""
    cells: Array[Any] = doc.get("cells", type=Array)
    meta: Map[Any] = doc.get("meta", type=Map)
    return {"cells": cells.to_py() or [], "meta": meta.to_py() or {}}


def content_of_update(update: bytes) -> Content:
    """The same of a Yjs v1 update that holds the whole document."""
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return content_of(doc)


def digest(content: Content) -> str:
    """Equal for copies that say the same."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def marks_in(content: Content) -> Counter[str]:
    """How often each mark is in a copy: in sources and outputs, wherever they are."""
    return marks.count(json.dumps(content, ensure_ascii=False))
