"""Notebooks, text and their changes, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._text import size, visible, visible_lines
from ._times import local

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from ..archive.diff import Diff
    from ..archive.file_content import FileContent
    from ..archive.version import Version


def heading(version: Version) -> Text:
    """Which version it is, in one line."""
    from rich.text import Text

    line = Text.assemble((visible(version.path), "bold"))
    line.append(f"  {visible(version.version_id)}", "cyan")
    line.append(f"  {local(version.last_modified)}  {version.kind}", "dim")
    if version.label:
        line.append(f"  {visible(version.label)}", "bold yellow")
    if version.authors:
        line.append(f"  by {visible(', '.join(version.authors))}", "dim")
    return line


def content(shown: FileContent) -> Iterator[RenderableType]:
    """What a version says. Nothing in it is obeyed by the terminal."""
    if shown.type == "notebook":
        yield from _notebook(shown.content)
    elif shown.format == "base64":
        yield f"{size(len(shown.raw()))}, not text; --raw writes the bytes."
    else:
        yield _code(str(shown.content), _lexer_of(shown.version.path))


def difference(diff: Diff) -> Iterator[RenderableType]:
    """What changed between two versions."""
    from rich.text import Text

    if not diff.changed:
        yield "They are the same."
    elif diff.type == "binary":
        before, after = len(diff.before.raw()), len(diff.after.raw())
        yield f"The file is not text. It was {size(before)} and is now {size(after)}."
    elif diff.type == "text":
        for line in str(diff.diff).splitlines()[2:]:  # the heading says which versions
            head = line.startswith("@@")
            yield _signed("@" if head else line[:1] or " ", line if head else line[1:])
    else:
        from ..client._diff import notebook_changes

        for change in notebook_changes(diff.before.content, list(diff.diff)):
            yield ""
            yield Text(f"── {visible(change.title)}", "bold")
            for sign, line in change.lines:
                yield _signed(sign, line)


def _signed(sign: str, line: str) -> Text:
    from rich.text import Text

    style = {"+": "green", "-": "red", "@": "cyan"}.get(sign, "")
    return Text(visible_lines(line) if sign == "@" else f"{sign} {visible_lines(line)}", style)


def _notebook(notebook: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    from ..client._show import output_lines, source_lines

    language = _language(notebook)
    for number, cell in enumerate(notebook.get("cells", [])):
        kind = str(cell.get("cell_type", "unknown"))
        yield Text(f"── {visible(kind)} cell {number}", "dim")
        lexer = language if kind == "code" else "markdown" if kind == "markdown" else "text"
        yield _code("\n".join(source_lines(cell)), lexer)
        for line in output_lines(cell):
            yield Text(f"⇒ {visible_lines(line)}", "green")
        yield ""


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    if not isinstance(metadata, dict):
        return "text"
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        found = metadata.get(name)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return "python"


def _lexer_of(path: str) -> str:
    from rich.syntax import Syntax

    return Syntax.guess_lexer(path)


def _code(text: str, language: str) -> RenderableType:
    """Source in the terminal's own colours."""
    from rich.syntax import Syntax

    made = Syntax("", language, theme="ansi_dark", background_color="default").highlight(
        visible_lines(text)
    )
    made.rstrip()
    return made
