"""Ids for the cells of a notebook without ids, taken from matching cells."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from pycrdt import Array, Doc, Map

from .text_edits import COMPARISONS

CELLS = "cells"
"""The root that has a notebook's cells (jupyter_ydoc's ynotebook.py)."""


def adopt(doc: Doc[Any], wanted: Doc[Any], notebook: dict[str, Any]) -> None:
    """Give cells of `wanted`, which was built from `notebook`, the ids that `doc` has for them.

    Notebooks have ids as of nbformat 4.5. The cells of an older one, and the one that an empty
    notebook is shown with, get new ids each time that a document is built. By those ids a cell
    that stays would be another one.
    """
    built = list(wanted.get(CELLS, type=Array))
    given = notebook.get("cells") or [{} for _ in built]
    without = [cell for cell, source in zip(built, given, strict=True) if not source.get("id")]
    known = {cell["id"] for cell in built if cell not in without}
    there = [cell for cell in doc.get(CELLS, type=Array) if cell.get("id", None) not in known]
    for cell, id_ in zip(without, _ids(there, without), strict=True):
        if id_ is not None:
            cell["id"] = id_


def _ids(there: list[Map[Any]], cells: list[Map[Any]]) -> list[str | None]:
    """For each of `cells` the id of the one that says the same; between those that do, the ids
    of cells of the same type, in order."""
    olds, news = [_said(cell) for cell in there], [_said(cell) for cell in cells]
    found: list[str | None] = [None] * len(cells)
    if len(olds) * len(news) > COMPARISONS:
        return found
    matcher = SequenceMatcher(None, olds, news, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            for offset in range(end - start):
                found[new_start + offset] = there[start + offset]["id"]
            continue
        left = list(range(start, end))
        for index in range(new_start, new_end):
            alike = (each for each in left if olds[each][0] == news[index][0])
            old = next(alike, None)
            if old is not None:
                found[index] = there[old]["id"]
                del left[: left.index(old) + 1]
    return found


def _said(cell: Map[Any]) -> tuple[Any, str]:
    return cell["cell_type"], str(cell["source"])
