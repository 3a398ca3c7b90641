"""RenderedDiff: what changed between two versions, cell by cell or line by line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ._show import heading, lines_of, output_lines, source_lines
from ._text import escaped, plain, signed_lines, when
from ._versions import ListedVersion

_CONTEXT = 2
"""Unchanged lines that are shown around a change."""

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class NotebookChange:
    """One thing that changed. `lines` are `(sign, text)`, the sign `+`, `-` or a space."""

    title: str
    lines: Lines


@dataclass(frozen=True, repr=False)
class RenderedDiff:
    """The difference of two versions of one document.

    `type` is `notebook`, `text` or `binary`. `diff` is a list of nbdime's operations for a
    notebook, a unified diff for a text. `changed` is whether the two say different things.
    `after` is None for what the document says now, if no version has that yet.
    """

    type: str
    before: ListedVersion
    after: ListedVersion | None
    diff: Any
    base: Any
    changed: bool

    @property
    def changes(self) -> list[NotebookChange]:
        """What changed, in the document's order."""
        if not self.changed:
            return []
        if self.type == "notebook":
            return list(notebook_changes(self.base, self.diff))
        if self.type == "text":
            return [NotebookChange("", _unified(str(self.diff)))]
        return [NotebookChange("the file is binary, and differs", [])]

    def _heading(self) -> str:
        return f"{self.before.document}: {_name(self.before)} → {_name(self.after)}"

    def __repr__(self) -> str:
        lines = [plain(self._heading())]
        for change in self.changes:
            lines += [f"── {plain(change.title)}"] if change.title else []
            lines += [f"{sign} {plain(text)}".rstrip() for sign, text in change.lines]
        return "\n".join([*lines, *([] if self.changed else ["No difference."])])

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escaped(self._heading())}</b></p>"]
        for change in self.changes:
            parts.append(f"<div><small>{escaped(change.title)}</small></div>")
            parts.append(signed_lines(change.lines))
        return "".join([*parts, *([] if self.changed else ["<p>No difference.</p>"])])


def _name(version: ListedVersion | None) -> str:
    if version is None:
        return "now"
    label = f" “{version.label}”" if version.label else ""
    return when(version.last_modified) + label


def _unified(diff: str) -> Lines:
    """The lines of a unified diff, without the file names at its head."""
    lines: Lines = []
    for line in diff.split("\n"):
        if lines or line.startswith("@@"):
            lines.append((" ", line) if line.startswith("@@") else (line[:1] or " ", line[1:]))
    while lines and lines[-1] == (" ", ""):
        lines.pop()
    return lines


def notebook_changes(base: dict[str, Any], operations: list[Any]) -> Iterator[NotebookChange]:
    from nbdime import patch  # type: ignore[import-untyped]
    from nbdime.diff_utils import to_diffentry_dicts  # type: ignore[import-untyped]

    top = to_diffentry_dicts(operations)
    after = patch(base, top)
    for operation in top:
        if operation.op == "patch" and operation.key == "cells":
            yield from _cell_changes(base["cells"], operation.diff)
        else:
            name = operation.key
            lines = _compared(_json_lines(base.get(name)), _json_lines(after.get(name)))
            yield NotebookChange(f"the notebook's {name}", lines)


def _cell_changes(cells: list[Any], operations: list[Any]) -> Iterator[NotebookChange]:
    from nbdime import patch

    for operation in operations:
        if operation.op == "addrange":
            for cell in operation.valuelist:
                yield NotebookChange(f"new {heading(cell)}", [("+", s) for s in _whole(cell)])
        elif operation.op == "removerange":
            for number in range(operation.key, operation.key + operation.length):
                cell = cells[number]
                title = f"removed {heading(cell)} {number}"
                yield NotebookChange(title, [("-", s) for s in _whole(cell)])
        else:
            cell = cells[operation.key]
            lines = _compared_cells(cell, patch(cell, operation.diff))
            yield NotebookChange(f"{heading(cell)} {operation.key}", lines)


def _compared_cells(before: dict[str, Any], after: dict[str, Any]) -> Lines:
    lines = _compared(source_lines(before), source_lines(after))
    lines += _compared(output_lines(before, "⇒ "), output_lines(after, "⇒ "))
    for name in sorted({*before, *after} - {"source", "outputs"}):
        if before.get(name) != after.get(name):
            old, new = _json_lines(before.get(name)), _json_lines(after.get(name))
            lines += [(sign, f"{name}: {text}") for sign, text in _compared(old, new)]
    return lines or [(" ", "(in how an output is stored)")]


def _whole(cell: dict[str, Any]) -> list[str]:
    return [*source_lines(cell), *output_lines(cell, "⇒ ")]


def _compared(before: list[str], after: list[str]) -> Lines:
    lines: Lines = []
    diff = difflib.unified_diff(before, after, lineterm="", n=_CONTEXT)
    for line in list(diff)[2:]:  # without the names of files
        if line.startswith("@@"):
            lines += [(" ", "…")] if lines else []
        else:
            lines.append((line[0], line[1:]))
    return lines


def _json_lines(value: Any) -> list[str]:
    if value is None:
        return []
    return lines_of(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False))
