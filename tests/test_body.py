"""What a version's bytes are as a file of Jupyter's."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map

from bookstore_y.archive import file_content
from bookstore_y.archive.file_content import FileContent
from bookstore_y.archive.version import Version
from bookstore_y.errors import UnsupportedDocument

from .conformance.documents import Writer, typed_doc

TIME = datetime(2026, 1, 1, 12, 30, tzinfo=timezone.utc)

NOTEBOOK: dict[str, Any] = {
    "cells": [
        {
            "id": "one",
            "cell_type": "code",
            "metadata": {"trusted": True, "tags": ["x"]},
            "execution_count": 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}],
            "source": ["a = 1\n", "b = '\u00e9🌊'"],
        }
    ],
    "metadata": {"title": "x"},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def version(path: str, **more: Any) -> Version:
    return Version("1", f"workspace/{path}", TIME, 10, True, path=path, **more)


def of_file(path: str, raw: bytes) -> FileContent:
    return file_content.of_file(version(path), raw)


def of_update(type_: str | None, content: Any, path: str = "a") -> FileContent:
    doc = typed_doc(type_, content) if type_ else Writer(content).doc
    return file_content.of_update(version(path, type=type_), doc.get_update())


def test_a_saved_notebook_is_a_notebook_that_nobody_trusts() -> None:
    raw = json.dumps(NOTEBOOK, indent=3).encode()

    content = of_file("dir/a.ipynb", raw)

    assert (content.type, content.format) == ("notebook", "json")
    [cell] = content.content["cells"]
    assert cell["metadata"] == {"tags": ["x"]}
    assert cell["source"] == "a = 1\nb = '\u00e9🌊'"
    assert cell["outputs"][0]["text"] == "a\nb"
    assert content.raw() == raw
    assert content.mimetype == "application/x-ipynb+json"
    nbformat.validate(content.content)


def test_a_notebook_of_an_old_format_is_shown_in_the_new_one() -> None:
    cell = {"cell_type": "code", "input": "a = 1", "outputs": [], "language": "python"}
    old = {"worksheets": [{"cells": [cell]}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}

    content = of_file("a.ipynb", json.dumps(old).encode())

    assert content.type == "notebook"
    assert (content.content["nbformat"], content.content["cells"][0]["source"]) == (4, "a = 1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text",
        b"{}",
        b"[]",
        b"null",
        b'{"nbformat": 4}',
        b'{"nbformat": "4", "cells": [], "metadata": {}}',
        b'{"nbformat": 99, "cells": [], "metadata": {}}',
        b'{"nbformat": 4, "cells": {}, "metadata": {}}',
        b'{"nbformat": 4, "cells": [1], "metadata": {}}',
        b'{"nbformat": 3, "worksheets": [1], "metadata": {}}',
        b'{"cells": ' + b"[" * 5000 + b"]" * 5000 + b', "nbformat": 4}',
        b"\xff\xfe",
        b"\xef\xbb\xbfbom",
    ],
)
def test_what_is_no_notebook_is_a_file(raw: bytes) -> None:
    content = of_file("a.ipynb", raw)

    assert content.type == "file"
    assert content.raw() == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file(raw: bytes) -> None:
    for path in ("a.txt", "a.ipynb", "a"):
        content = of_file(path, raw)
        assert content.raw() == raw
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            assert content.format == "base64"
            assert base64.b64decode(content.content) == raw
        else:
            assert (content.format, content.content) == ("text", text)
        model = content.model()
        assert json.loads(json.dumps(model)) == model
        assert model["size"] == len(raw)


def test_the_model_is_one_of_the_contents_api() -> None:
    assert of_file("dir/a b.md", b"# One").model() == {
        "name": "a b.md",
        "path": "dir/a b.md",
        "type": "file",
        "format": "text",
        "content": "# One",
        "mimetype": "text/markdown",
        "created": TIME.isoformat(),
        "last_modified": TIME.isoformat(),
        "size": 5,
        "writable": False,
    }
    assert of_file("a.ipynb", json.dumps(NOTEBOOK).encode()).model()["mimetype"] is None


@pytest.mark.parametrize(
    ("path", "raw", "mimetype"),
    [
        ("a.txt", b"x", "text/plain"),
        ("a", b"x", "text/plain"),
        ("a", b"\xff", "application/octet-stream"),
        ("a.png", b"\xff", "image/png"),
        ("a.txt.gz", b"\xff", "application/octet-stream"),
        ("a.tar.gz", b"\xff", "application/octet-stream"),
        ("a.no-such-type", b"x", "text/plain"),
    ],
)
def test_the_media_type_is_by_the_name(path: str, raw: bytes, mimetype: str) -> None:
    assert of_file(path, raw).mimetype == mimetype


def test_a_snapshot_of_a_notebook() -> None:
    content = of_update("notebook", NOTEBOOK, "a.ipynb")

    assert (content.type, content.format) == ("notebook", "json")
    [cell] = content.content["cells"]
    assert "trusted" not in cell["metadata"]
    written = content.raw()
    assert written.endswith(b"}\n")
    again = of_file("a.ipynb", written)
    assert again.content["cells"][0]["source"] == "a = 1\nb = '\u00e9🌊'"
    nbformat.validate(again.content)


@pytest.mark.parametrize("type_", ["file", "unicode"])
@pytest.mark.parametrize("text", ["", "one\n", "\r\n", "🌊e\u0301\u2028", "\0"])
def test_a_snapshot_of_a_text(type_: str, text: str) -> None:
    content = of_update(type_, text)

    assert (content.type, content.format, content.content) == ("file", "text", text)
    assert content.raw() == text.encode()


@pytest.mark.parametrize("raw", [b"", b"\xff\0", b"text"])
def test_a_snapshot_of_bytes(raw: bytes) -> None:
    content = of_update("blob", raw)

    assert (content.type, content.format) == ("file", "base64")
    assert content.raw() == raw


def test_a_snapshot_without_a_known_type_cannot_be_shown() -> None:
    shapes: Doc[Any] = Doc()
    shapes["shapes"] = Map({"a": "circle"})
    for type_, update in ((None, Writer("x").doc.get_update()), ("drawing", shapes.get_update())):
        with pytest.raises(UnsupportedDocument):
            file_content.of_update(version("a", type=type_), update)


def test_a_snapshot_of_a_type_that_nobody_knows_is_the_text_that_its_room_had() -> None:
    content = file_content.of_update(
        version("a", type="drawing"), Writer("<svg/>").doc.get_update()
    )
    assert (content.format, content.content) == ("text", "<svg/>")


def test_half_a_character_is_written_so_that_it_can_be_read() -> None:
    half = {**NOTEBOOK, "metadata": {"title": "\ud83d"}}

    written = file_content.notebook_bytes(half)

    assert json.loads(written.decode())["metadata"] == {"title": "\ud83d"}
