"""Yjs under Node reads what pycrdt wrote, and refuses what is not a whole document."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from .yjs import Read


def test_yjs_reads_each_type_of_root(yjs_read: Read) -> None:
    doc: Doc[Any] = Doc()
    doc["cells"] = Array([Map({"source": Text("1 + 1"), "id": "a"})])
    doc["meta"] = Map({"nbformat": 4})
    doc["source"] = Text("grün 🌱")

    content = yjs_read(doc.get_update(), {"cells": "array", "meta": "map", "source": "text"})

    assert content == {
        "cells": [{"source": "1 + 1", "id": "a"}],
        "meta": {"nbformat": 4},
        "source": "grün 🌱",
    }


def test_yjs_refuses_half_a_document(yjs_read: Read) -> None:
    doc: Doc[Any] = Doc()
    doc["source"] = text = Text("first")
    known = doc.get_state()
    text += " second"

    with pytest.raises(RuntimeError, match="not a whole document"):
        yjs_read(doc.get_update(known), {"source": "text"})
