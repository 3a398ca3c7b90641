"""What a diff says leads from one content to the other."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbdime import patch  # type: ignore[import-untyped]
from nbdime.diff_utils import to_diffentry_dicts  # type: ignore[import-untyped]

from bookstore_y.archive.diff import Diff, diff_of
from bookstore_y.archive.file_content import FileContent, of_file
from bookstore_y.archive.version import Version

TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)

ODD_LINES = ["a\n", "b\n", "c\x0cd\n", "e\u2028f\n", "g\r\n", "h\ri\n", "\x85\n", "\n", "🌊\n", "z"]


def content(body: bytes, path: str = "a.txt", version_id: str = "1") -> FileContent:
    return of_file(Version(version_id, f"workspace/{path}", TIME, len(body), True, path=path), body)


def of(before: bytes | str, after: bytes | str, path: str = "a.txt") -> Diff:
    bodies = (side.encode() if isinstance(side, str) else side for side in (before, after))
    return diff_of(*(content(body, path, f"v{n}") for n, body in enumerate(bodies)))


def notebook(*cells: str | dict[str, Any], **metadata: Any) -> bytes:
    made = [
        {
            "id": f"cell-{n}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": cell,
        }
        if isinstance(cell, str)
        else cell
        for n, cell in enumerate(cells)
    ]
    whole = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole).encode()


def patched(before: str, diff: str, directory: Path) -> str:
    """What patch(1) makes of a text."""
    (directory / "a.txt").write_bytes(before.encode())
    command = ["patch", "--binary", "--quiet", "--force", "a.txt"]
    subprocess.run(command, input=diff.encode(), cwd=directory, check=True)
    return (directory / "a.txt").read_bytes().decode() if (directory / "a.txt").exists() else ""


# -- texts --------------------------------------------------------------------------------------


def test_a_text_differs_line_by_line() -> None:
    diff = of("one\ntwo\nthree\n", "one\n2\nthree\n")

    assert (diff.type, diff.changed) == ("text", True)
    assert diff.diff == "--- a.txt\tv0\n+++ a.txt\tv1\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def test_equal_texts_do_not_differ() -> None:
    for text in ("", "one", "one\n", "\r\n", "\x0c"):
        diff = of(text, text)
        assert (diff.type, diff.diff, diff.changed) == ("text", "", False)


def test_the_end_of_the_last_line_is_told() -> None:
    assert str(of("one\n", "one").diff).endswith("+one\n\\ No newline at end of file\n")
    assert str(of("one", "one\n").diff).count("\\ No newline at end of file\n") == 1
    assert str(of("one", "two").diff).count("\\ No newline at end of file\n") == 2


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(ODD_LINES), max_size=12),
    st.lists(st.sampled_from(ODD_LINES), max_size=12),
)
def test_the_diff_of_a_text_can_be_applied(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str]
) -> None:
    old, new = "".join(before), "".join(after)
    diff = of(old, new)

    assert diff.changed == (old != new)
    assert isinstance(diff.diff, str)
    assert patched(old, diff.diff, tmp_path_factory.mktemp("patch")) == new


# -- notebooks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("a = 1", "b"), ("a = 2", "b")),
        (("a",), ("a", "b", "c")),
        (("a", "b", "c"), ("c",)),
        ((), ("a",)),
        (("a", "b"), ("b", "a")),
        (("x\ny\nz",), ("x\n\u2028y\nz\n",)),
    ],
)
def test_the_diff_of_a_notebook_can_be_applied(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    diff = of(notebook(*before), notebook(*after, title="new"), "a.ipynb")

    assert (diff.type, diff.changed) == ("notebook", True)
    operations = json.loads(json.dumps(diff.diff))
    base = nbformat.from_dict(diff.before.content)  # type: ignore[no-untyped-call]
    assert patch(base, to_diffentry_dicts(operations)) == diff.after.content


def test_equal_notebooks_do_not_differ_however_they_are_written() -> None:
    body = notebook("a = 1", "b")

    diff = of(body, json.dumps(json.loads(body), indent=4, sort_keys=True), "a.ipynb")

    assert (diff.type, diff.diff, diff.changed) == ("notebook", [], False)


def test_what_is_only_trusted_has_not_changed() -> None:
    cell: dict[str, Any] = {
        "id": "a",
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": "",
    }

    diff = of(notebook(cell), notebook({**cell, "metadata": {"trusted": True}}), "a.ipynb")

    assert not diff.changed


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"<<<<<<< HEAD",
        b"{}",
        b'{"cells": 1, "nbformat": 4}',
        notebook({}),
        notebook({"cell_type": "code", "source": {}, "metadata": {}, "outputs": []}),
        notebook({"cell_type": "code", "source": None, "metadata": None, "outputs": None}),
        notebook({"cell_type": "other", "source": "", "metadata": {}}),
        notebook({"cell_type": "code", "source": "", "metadata": {}, "outputs": [1, None]}),
        notebook("\ud83d"),
        json.dumps({"cells": [], "metadata": {}, "nbformat": 99}).encode(),
        json.dumps({"worksheets": [{"cells": [1]}], "metadata": {}, "nbformat": 3}).encode(),
        b'{"cells": ' + b"[" * 5000 + b"]" * 5000 + b', "nbformat": 4}',
    ],
)
def test_a_broken_notebook_differs_too(broken: bytes) -> None:
    for before, after in ((broken, notebook("a")), (notebook("a"), broken)):
        diff = of(before, after, "a.ipynb")
        assert diff.changed
        assert diff.type in ("notebook", "text")
        json.dumps(diff.to_dict())
    assert not of(broken, broken, "a.ipynb").changed


def test_a_notebook_and_what_is_none_differ_as_texts() -> None:
    diff = diff_of(content(notebook("a"), "a.ipynb"), content(b"text", "b.txt"))

    assert diff.type == "text"
    assert '-   "source": "a"' in str(diff.diff) or "source" in str(diff.diff)


# -- bytes --------------------------------------------------------------------------------------


def test_bytes_only_differ_or_not() -> None:
    for before, after in ((b"\xff\0", b"\xff\1"), (b"\xff", b"text"), (b"text", b"\xff")):
        diff = of(before, after)
        assert (diff.type, diff.diff, diff.changed) == ("binary", "", True)
    assert not of(b"\xff\0", b"\xff\0").changed


def test_a_diff_is_json() -> None:
    for before, after, path in (
        (b"one", b"two", "a.txt"),
        (b"\xff", b"\xfe", "a.bin"),
        (notebook("a"), notebook("b"), "a.ipynb"),
    ):
        said = json.loads(json.dumps(of(before, after, path).to_dict()))
        assert set(said) == {"type", "base", "diff", "changed", "before", "after"}
        assert (said["before"]["version_id"], said["after"]["version_id"]) == ("v0", "v1")
        assert said["base"] == content(before, path).content
