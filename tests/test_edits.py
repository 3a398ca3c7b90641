"""Edits are told from what a room notes in its document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jupyter_ydoc import YFile, YNotebook, ydocs
from pycrdt import Array, Doc, Map, Text

from bookstore_y.ydoc import content
from bookstore_y.ydoc.edits import Edits
from bookstore_y.ydoc.squash import squash_buffered

Change = Callable[[Any], None]


def cell(**more: Any) -> dict[str, Any]:
    plain = {"id": "a", "cell_type": "code", "source": "x", "metadata": {}, "outputs": []}
    return {**plain, **more}


def notebook() -> YNotebook:
    document = YNotebook(Doc())
    document.set({"cells": [cell()], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    return document


def text() -> YFile:
    document = YFile(Doc())
    document.set("x")
    return document


def _notes_a_save(document: Any) -> None:
    document.dirty = False
    document.hash = "abc"
    document.path = "elsewhere.ipynb"


def _in_cell(key: str, value: Any) -> Change:
    def change(document: Any) -> None:
        document.ycells[0][key] = value

    return change


def _in_metadata(key: str, value: Any) -> Change:
    def change(document: Any) -> None:
        document.ycells[0]["metadata"][key] = value

    return change


def _type(document: Any) -> None:
    source = (
        document.ycells[0]["source"] if isinstance(document, YNotebook) else document.ydoc["source"]
    )
    source += "y"


def _output(document: Any) -> None:
    document.ycells[0]["outputs"].append(Map({"output_type": "stream", "text": Text("hi")}))


def _of_notebook(document: Any) -> None:
    document.ydoc["meta"]["metadata"]["title"] = "x"


def _new_root(document: Any) -> None:
    document.ydoc["comments"] = Array(["x"])


def _both(document: Any) -> None:
    with document.ydoc.transaction():
        _in_metadata("trusted", True)(document)
        _type(document)


CASES = [
    pytest.param(notebook, _notes_a_save, False, id="a save"),
    pytest.param(notebook, _in_metadata("trusted", True), False, id="trust"),
    pytest.param(notebook, _in_cell("id", "b"), False, id="an id"),
    pytest.param(notebook, _in_cell("execution_state", "running"), False, id="running"),
    pytest.param(notebook, _in_metadata("tags", ["a"]), True, id="a tag"),
    pytest.param(notebook, _in_cell("execution_count", 3), True, id="a count"),
    pytest.param(notebook, _in_cell("cell_type", "raw"), True, id="a type"),
    pytest.param(notebook, _type, True, id="typing"),
    pytest.param(notebook, _output, True, id="an output"),
    pytest.param(notebook, lambda document: document.append_cell(cell(id="b")), True, id="a cell"),
    pytest.param(notebook, _of_notebook, True, id="the notebook's metadata"),
    pytest.param(notebook, _new_root, True, id="a root"),
    pytest.param(notebook, _both, True, id="an edit and a note"),
    pytest.param(text, _notes_a_save, False, id="a text is saved"),
    pytest.param(text, _type, True, id="a text"),
]


@pytest.mark.parametrize(("make", "change", "edited"), CASES)
def test_an_open_document(make: Callable[[], Any], change: Change, edited: bool) -> None:
    document = make()
    edits = Edits(document.ydoc)
    change(document)
    assert edits.since((0, frozenset(make().ydoc.keys()))) is edited
    mark = edits.mark()
    _notes_a_save(document)
    assert not edits.since(mark)


@pytest.mark.parametrize(("make", "change", "edited"), CASES)
def test_updates_that_are_decoded(make: Callable[[], Any], change: Change, edited: bool) -> None:
    document = make()
    type_ = "notebook" if isinstance(document, YNotebook) else "file"
    before, state = document.ydoc.get_update(), document.ydoc.get_state()
    change(document)
    update = document.ydoc.get_update(state)
    squashed = squash_buffered(before, [], [update], lambda doc: content.watch(type_, doc))
    assert squashed.changed
    assert squashed.edited is edited


def test_all_is_an_edit_where_it_cannot_be_told() -> None:
    document: Doc[Any] = Doc()
    document["shapes"] = Map({"a": 1})
    assert content.watch("shapes", document)()  # a type that nobody knows

    class YShapes(YFile):
        """A kind of document whose class forgets a root."""

    ydocs["shapes"] = YShapes
    try:
        stored: Doc[Any] = Doc()
        stored.apply_update(document.get_update())
        assert content.watch("shapes", stored)()
    finally:
        del ydocs["shapes"]


def test_a_watch_that_has_ended_tells_nothing() -> None:
    document = text()
    edits = Edits(document.ydoc)
    mark = edits.mark()
    assert not edits.since(mark)
    edits.close()
    _type(document)
    assert edits.since(mark)


def test_what_comes_first_is_an_edit() -> None:
    squashed = squash_buffered(
        None, [], [text().ydoc.get_update()], lambda doc: content.watch("file", doc)
    )
    assert squashed.edited


def test_what_waits_for_another_update_is_an_edit() -> None:
    document = text()
    before = document.ydoc.get_update()
    _type(document)
    state = document.ydoc.get_state()
    _type(document)
    late = document.ydoc.get_update(state)
    assert squash_buffered(before, [], [late], lambda doc: content.watch("file", doc)).edited
