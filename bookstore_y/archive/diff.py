"""What changed between two versions."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import Any

from .file_content import FileContent, notebook_bytes


@dataclass(frozen=True)
class Diff:
    """What leads from one content to another.

    `type` is `notebook`, `text` or `binary`. `diff` is a list of nbdime's diff operations
    (nbdime documentation, "diff format") as JSON types; of texts a unified diff as a str, empty
    if nothing changed; of anything else an empty str.
    """

    type: str
    before: FileContent
    after: FileContent
    diff: list[dict[str, Any]] | str
    changed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `base` is the content that the diff applies to."""
        return {
            "type": self.type,
            "base": self.before.content,
            "diff": self.diff,
            "changed": self.changed,
            "before": self.before.version.to_dict(),
            "after": self.after.version.to_dict(),
        }


def diff_of(before: FileContent, after: FileContent) -> Diff:
    """Compare two contents: notebooks cell by cell, texts line by line."""
    if before.type == after.type == "notebook":
        operations = _notebooks(before.content, after.content)
        if operations is not None:
            return Diff("notebook", before, after, operations, bool(operations))
    if "base64" in (before.format, after.format):
        return Diff("binary", before, after, "", before.raw() != after.raw())
    text = "".join(_lines(before, after))
    return Diff("text", before, after, text, bool(text))


def _notebooks(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]] | None:
    """nbdime's operations; None if nbdime cannot compare what is no notebook by the schema."""
    import nbformat
    from nbdime.diffing.notebooks import diff_notebooks  # type: ignore[import-untyped]

    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):
        return []  # also where there is a NaN in it, which differs from itself
    try:
        nodes = (nbformat.from_dict(notebook) for notebook in (before, after))  # type: ignore[no-untyped-call]
        operations: list[dict[str, Any]] = json.loads(json.dumps(diff_notebooks(*nodes)))
    except Exception:  # noqa: BLE001 - nbdime raises what it comes upon
        return None
    return operations


def _lines(before: FileContent, after: FileContent) -> list[str]:
    lines = []
    for line in difflib.unified_diff(
        _split(_text(before)),
        _split(_text(after)),
        before.version.path,
        after.version.path,
        before.version.version_id,
        after.version.version_id,
    ):
        lines += [line] if line.endswith("\n") else [line, "\n\\ No newline at end of file\n"]
    return lines


def _split(text: str) -> list[str]:
    """The lines of a text with their ends, which are line feeds and nothing else."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _text(content: FileContent) -> str:
    if content.type == "notebook":
        return notebook_bytes(content.content).decode()
    return str(content.content)
