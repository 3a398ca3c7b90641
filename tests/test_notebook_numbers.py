"""A notebook's document says every number that its file says, and tells by name what it cannot."""

from __future__ import annotations

import json
import math
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.errors import CorruptSnapshot, UnsupportedDocument
from bookstore_y.ydoc import content

NUMBERS = [
    math.nan,
    math.inf,
    -math.inf,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    12345678901234567890,
    10**300,
    1e300,
    1e19,
    1.5,
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63 - 2000, 2**63 + 2000)
    | st.integers(-(2**63) - 2000, -(2**63) + 2000)
    | st.floats()
    | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values) | st.dictionaries(st.text("abc\ufeff"), values),
    max_leaves=20,
)


def notebook_with(value: Any) -> Any:
    """A notebook with a value in its outputs and in all metadata."""
    result = {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {"application/json": value, "text/plain": "x"},
        "metadata": {"of output": value},
    }
    stream = {"output_type": "stream", "name": "stdout", "text": "x"}
    cell = {
        "cell_type": "code",
        "id": "a",
        "source": "x",
        "metadata": {"of cell": value},
        "outputs": [result, stream],
        "execution_count": 1,
    }
    metadata = {"of notebook": value, "kernelspec": {}, "language_info": {}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def spelled(notebook: Any) -> str:
    """A notebook as its file has it; floats that are whole numbers are ints to jupyter_ydoc."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        whole = isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**63
        return int(value) if whole else value

    return json.dumps(plain(notebook), sort_keys=True)


def update_that_says(notebook: Any) -> bytes:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, notebook)
    return doc.get_update()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_comes_back_as_it_was(number: float) -> None:
    notebook = notebook_with(number)
    said = content.of_update("notebook", update_that_says(notebook))
    assert spelled(said) == spelled(notebook)


@given(json_values)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    notebook = notebook_with(value)
    said = content.of_update("notebook", update_that_says(notebook))
    assert spelled(said) == spelled(notebook)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_document_is_equal_to_the_file_that_it_was_loaded_from(number: float) -> None:
    file = json.dumps(notebook_with(number))
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, content.for_room(json.loads(file)))
    assert content.read("notebook", doc) == content.for_room(json.loads(file))


@pytest.mark.parametrize("number", NUMBERS)
def test_setting_the_same_again_leaves_the_cells_alone(number: float) -> None:
    notebook = notebook_with(number)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, notebook)
    changes: list[Any] = []
    cells = doc.get("cells", type=pycrdt.Array)
    watch = cells.observe_deep(changes.append)
    content.write("notebook", doc, json.loads(json.dumps(notebook)))
    cells.unobserve(watch)
    assert changes == []


def test_a_number_replaces_another_in_a_cell_that_stays() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, notebook_with(1))
    content.write("notebook", doc, notebook_with(2**70))
    said = content.read("notebook", doc)
    assert spelled(said) == spelled(notebook_with(2**70))


def test_what_looks_like_a_long_integer_in_a_source_stays_text() -> None:
    digits = f"\ufeff{2**70}\ufeff"
    notebook = notebook_with(0)
    notebook["cells"][0]["source"] = notebook["cells"][0]["outputs"][1]["text"] = digits
    said = content.of_update("notebook", update_that_says(notebook))
    assert spelled(said) == spelled(notebook)


def test_a_document_that_another_program_gave_a_nan_is_read() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, notebook_with(1))
    doc.get("cells", type=pycrdt.Array)[0]["outputs"][0]["data"] = {"text/plain": math.nan}
    (cell,) = content.of_update("notebook", doc.get_update())["cells"]
    assert math.isnan(cell["outputs"][0]["data"]["text/plain"])


def test_half_of_a_surrogate_pair_is_refused_in_a_sentence() -> None:
    notebook = notebook_with("\ud800")
    with pytest.raises(UnsupportedDocument, match="cannot hold this content"):
        update_that_says(notebook)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda doc: doc.get("cells", type=pycrdt.Array).append("no cell"),
        lambda doc: doc.get("cells", type=pycrdt.Array).append(pycrdt.Map({"attachments": {}})),
        lambda doc: doc.get("meta", type=pycrdt.Map).update({"nbformat": "four"}),
    ],
)
def test_a_document_that_is_no_notebook_is_refused_in_a_sentence(break_it: Any) -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write("notebook", doc, notebook_with(1))
    break_it(doc)
    with pytest.raises(UnsupportedDocument, match="no content of type 'notebook'"):
        content.of_update("notebook", doc.get_update())


def test_an_empty_document_is_no_notebook() -> None:
    with pytest.raises(UnsupportedDocument, match="stored as a notebook but holds none"):
        content.of_update("notebook", b"\x00\x00")
    assert content.of_update("file", b"\x00\x00") == ""


def test_what_is_no_update_is_told_apart_from_what_is_no_notebook() -> None:
    with pytest.raises(CorruptSnapshot):
        content.of_update("notebook", b"no update")
