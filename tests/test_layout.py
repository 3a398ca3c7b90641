"""The folders as docs/architecture.md lists them, each file with the first line of its docstring.

`.venv/bin/python -m tests.test_layout` writes the list into the page.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bookstore_y"
PAGE = ROOT / "docs" / "architecture.md"

BEGIN = "<!-- The folders; tests/test_layout.py writes and checks what follows. -->\n"
END = "<!-- The end of the folders. -->\n"

ORDER = ["s3", "ydoc", "buffer", "archive", "replication", "", "tools"]
"""The folders in the order of who may import whom, `""` being the modules beside them; surfaces
follow by name."""

LONGEST = 450
"""Lines of a module."""

MOST_METHODS = 30
"""Methods of a class."""

MODULES = sorted(PACKAGE.rglob("*.py"))

TO_SPLIT = frozenset(
    {
        "replication/bucket_sync.py",
        "replication/checkpointer.py",
        "replication/path_changes.py",
        "store.py",
    }
)
"""Modules that are still over the limits."""


def first_line(module: Path) -> str:
    """The first line of a module's docstring. Empty if it has none."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n")[0]


def listing() -> str:
    """All modules by folder, as Markdown."""
    folders = sorted({module.parent for module in MODULES}, key=_place)
    lines = ["```text"]
    for folder in folders:
        name = folder.relative_to(PACKAGE).as_posix()
        inside = [m for m in MODULES if m.parent == folder and m.name != "__init__.py"]
        about = first_line(folder / "__init__.py")
        lines += [
            *([""] if len(lines) > 1 else []),
            f"{'bookstore_y' if name == '.' else name}/  {about}",
        ]
        width = max((len(module.name) for module in inside), default=0)
        lines += [f"    {module.name:{width}}  {first_line(module)}" for module in inside]
    return "\n".join([*lines, "```", ""])


def _place(folder: Path) -> tuple[int, str]:
    name = folder.relative_to(PACKAGE).as_posix().replace(".", "")
    top = name.partition("/")[0]
    return (ORDER.index(top) if top in ORDER else len(ORDER), name)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.relative_to(PACKAGE).as_posix())
def test_the_first_line_of_a_module_says_in_one_sentence_what_it_is_for(module: Path) -> None:
    line = first_line(module)
    assert line.endswith((".", ":", "?")), f"{line!r} goes on in the next line"


def test_the_page_lists_the_folders_as_they_are() -> None:
    listed = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert listed == listing(), "run `.venv/bin/python -m tests.test_layout`"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.relative_to(PACKAGE).as_posix())
def test_a_module_holds_one_idea(module: Path) -> None:
    text = module.read_text()
    if module.relative_to(PACKAGE).as_posix() in TO_SPLIT:
        pytest.xfail("is to be split")
    assert len(text.splitlines()) <= LONGEST
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = [
                n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            assert len(methods) <= MOST_METHODS, node.name


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + listing() + END + rest.partition(END)[2])
