"""ShownDocument: a version's content, displayed in a notebook cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ._text import escaped, plain, size, when
from ._versions import ListedVersion

Notebook = dict[str, Any]


@dataclass(frozen=True, repr=False)
class ShownDocument:
    """One version's content: a notebook's JSON as a dict, a text, or bytes.

    It is shown as text. Nothing in it is run or rendered, since nobody here trusts it yet.
    """

    version: ListedVersion
    content: Any

    def _heading(self) -> str:
        version = self.version
        by = f", by {', '.join(version.authors)}" if version.authors else ""
        label = f", “{version.label}”" if version.label else ""
        return f"{version.document}, {when(version.last_modified)}{by}{label}"

    def _blocks(self) -> list[tuple[str, list[str]]]:
        if isinstance(self.content, dict):
            return [
                (f"{heading(cell)} {number}", [*source_lines(cell), *output_lines(cell, "⇒ ")])
                for number, cell in enumerate(self.content.get("cells", []))
            ]
        if isinstance(self.content, bytes):
            return [("", [f"[{size(len(self.content))}, not text]"])]
        return [("", str(self.content).split("\n"))]

    def __repr__(self) -> str:
        lines = [plain(self._heading())]
        for title, block in self._blocks():
            lines += [f"── {plain(title)}"] if title else []
            lines += map(plain, block)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escaped(self._heading())}</b></p>"]
        for title, block in self._blocks():
            parts.append(f"<div><small>{escaped(title)}</small></div>" if title else "")
            text = "\n".join(map(escaped, block))
            parts.append(f'<pre style="white-space:pre-wrap;text-align:left">{text}</pre>')
        return "".join(parts)


def heading(cell: Notebook) -> str:
    """What kind of cell it is."""
    return f"{cell.get('cell_type', 'unknown')} cell"


def source_lines(cell: Notebook) -> list[str]:
    """The lines of a cell's source, which may be one string or many."""
    return lines_of(cell.get("source", ""))


def output_lines(cell: Notebook, mark: str = "") -> list[str]:
    """A code cell's outputs in lines: text as it is, all else by its kind, size and hash."""
    lines = []
    for output in cell.get("outputs", []):
        if "text" in output:
            lines += lines_of(output["text"])
        elif output.get("output_type") == "error":
            lines.append(f"{output.get('ename')}: {output.get('evalue')}")
        for mime, data in sorted(output.get("data", {}).items()):
            lines += lines_of(data) if mime == "text/plain" else [_described(mime, data)]
    return [mark + line for line in lines]


def lines_of(text: Any) -> list[str]:
    """The lines of a notebook's string or list of strings; none of an empty one."""
    whole = "".join(text) if isinstance(text, list) else str(text)
    return whole.removesuffix("\n").split("\n") if whole else []


def _described(mime: str, data: Any) -> str:
    text = data if isinstance(data, str) else json.dumps(data, sort_keys=True)
    raw = text.encode("utf-8", "surrogatepass")
    return f"[{mime}, {size(len(raw))}, sha256 {hashlib.sha256(raw).hexdigest()[:8]}]"
