"""How a stored document stands to its file."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc

from bookstore_y.file_state import adopt, stored_of
from bookstore_y.ydoc import content

Json = dict[str, Any]


def code(source: str, trusted: bool | None = None, **more: Any) -> Json:
    metadata = {} if trusted is None else {"trusted": trusted}
    plain = {"cell_type": "code", "source": source, "metadata": metadata, "outputs": []}
    return {**plain, "execution_count": None, **more}


def notebook(*cells: Json, minor: int = 4) -> Json:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": minor}


def document(body: Json) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    YNotebook(doc).set(copy.deepcopy(body))
    return doc


def opened(doc: Doc[Any], loaded: Json | None) -> tuple[Any, Any]:
    """What the room of a document finds, and what it was told that it would find."""
    updates = [doc.get_update()]
    stored = stored_of("notebook", updates, loaded or notebook(code("?")), ["", *known(loaded)])
    said = stored.for_room(loaded) if stored is not None else None
    room: Doc[Any] = Doc()
    YNotebook(room)
    room.apply_update(updates[0])
    adopt("notebook", room, loaded)
    return content.read("notebook", room), said


def known(loaded: Json | None) -> list[str]:
    return [] if loaded is not None else [content.hash_of(notebook(code("?")))]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_document_is_trusted_as_its_file_is(trusted: bool) -> None:
    doc = document(notebook(code("x", not trusted), code("y"), code("z", trusted)))
    loaded = notebook(code("x", trusted), code("y", trusted), code("z", trusted))
    found, told = opened(doc, loaded)
    assert found == told
    assert [cell["metadata"] for cell in found["cells"]] == [{"trusted": trusted}] * 3


def test_nobody_trusts_what_was_stored_where_the_file_says_nothing() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "hi"}
    doc = document(notebook(code("x", True, outputs=[output])))
    found, told = opened(doc, None)
    assert found == told
    assert found["cells"][0]["metadata"] == {"trusted": False}


def test_text_bears_no_mark_of_trust() -> None:
    prose = {"cell_type": "markdown", "source": "x", "metadata": {"trusted": True}}
    found, told = opened(document(notebook(prose)), notebook({**prose, "metadata": {}}))
    assert found == told
    assert found["cells"][0]["metadata"] == {}


@pytest.mark.filterwarnings("ignore:Non-unique cell ID")
def test_cells_that_share_an_id_have_their_own_from_then_on() -> None:
    doc = document(notebook(code("x", id="a"), code("y", id="b"), code("z", id="c"), minor=5))
    for index in (1, 2):
        doc["cells"][index]["id"] = "a"  # as two people may do at once
    loaded = notebook(code("x", id="a"), code("y", id="q"), code("z", id="r"), minor=5)
    found, told = opened(doc, loaded)
    assert found == told
    assert len({cell["id"] for cell in found["cells"]}) == 3
    assert opened(doc, loaded)[0] == found  # whenever it is opened
    assert [cell["source"] for cell in found["cells"]] == ["x", "y", "z"]


def test_of_equal_cells_with_one_id_there_is_one() -> None:
    doc = document(notebook(code("x", id="a"), code("x", id="b"), minor=5))
    doc["cells"][1]["id"] = "a"
    found, told = opened(doc, notebook(code("x", id="a"), minor=5))
    assert found == told
    assert len(found["cells"]) == 1


def test_a_file_is_the_same_or_older_or_was_changed_by_other_means() -> None:
    updates = [document(notebook(code("new"))).get_update()]

    def stand(body: Any, *states: str) -> bool | None:
        stored = stored_of("notebook", updates, body, states)
        return None if stored is None else stored.is_newer

    old = notebook(code("old"))
    assert stand(notebook(code("new", True, id="loaded"))) is False
    assert stand(old) is None
    assert stand(old, content.hash_of(old)) is True
    assert stand(old, content.hash_of(notebook(code("older")))) is None


def test_marks_are_for_notebooks_alone() -> None:
    doc: Doc[Any] = Doc()
    content.write("file", doc, "x")
    adopt("file", doc, None)
    assert content.read("file", doc) == "x"
