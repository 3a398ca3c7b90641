"""Writing content into a document that people are in: what stays the same is not touched."""

from __future__ import annotations

import math
import random
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_ydoc import YNotebook

from bookstore_y.errors import UnsupportedDocument
from bookstore_y.ydoc import content

SIGNED = {"trusted": True}


def cell(id_: str | None, source: str, *outputs: Any, kind: str = "code", **more: Any) -> Any:
    made = {"cell_type": kind, "source": source, "metadata": {}, **more}
    if kind == "code":
        made |= {"outputs": list(outputs), "execution_count": None}
    return made if id_ is None else made | {"id": id_}


def notebook(*cells: Any, minor: int = 5, **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def stream(text: str) -> Any:
    return {"output_type": "stream", "name": "stdout", "text": text}


class Room:
    """A document that somebody is in, as the server has it."""

    def __init__(self, said: Any, type: str = "notebook") -> None:
        self.type = type
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        content.write(type, self.doc, said)
        self.sizes: list[int] = []
        self._watched = self.doc.observe(lambda event: self.sizes.append(len(event.update)))

    def write(self, said: Any) -> None:
        content.write(self.type, self.doc, said)

    @property
    def said(self) -> Any:
        return content.read(self.type, self.doc)

    @property
    def cells(self) -> Any:
        return self.doc.get("cells", type=pycrdt.Array)

    def source(self, index: int) -> pycrdt.Text:
        source: pycrdt.Text = self.cells[index]["source"]
        return source

    def cursor(self, index: int, after: str) -> Any:
        """A cursor in a cell's source, behind a text; as awareness has it."""
        source = self.source(index)
        at = str(source).index(after) + len(after)
        return source.sticky_index(at, pycrdt.Assoc.BEFORE)


def before(text: pycrdt.Text, cursor: Any) -> str:
    """What is before a cursor, if it is ASCII: pycrdt counts otherwise."""
    return str(text)[: cursor.get_index()]


def test_a_cursor_stays_where_it_is_while_the_lines_around_it_change() -> None:
    room = Room(notebook(cell("a", "x = 1\nlevel = read()\ny = 2\n"), cell("b", "plot")))
    cursor = room.cursor(0, "level")
    room.write(notebook(cell("a", "# first\nx = 10\nlevel = read(gauge)\n"), cell("b", "plot")))
    assert before(room.source(0), cursor) == "# first\nx = 10\nlevel"
    room.source(0).insert(cursor.get_index(), "s")
    assert str(room.source(0)) == "# first\nx = 10\nlevels = read(gauge)\n"


def test_a_cursor_stays_though_outputs_and_metadata_of_its_cell_change() -> None:
    room = Room(notebook(cell("a", "x = 1", stream("one"), metadata={"tags": ["old"]})))
    cursor = room.cursor(0, "x =")
    wanted = notebook(cell("a", "x = 1", stream("two"), metadata={"tags": ["new"], "more": 1}))
    room.write(wanted)
    assert room.said["cells"] == wanted["cells"]
    assert before(room.source(0), cursor) == "x ="


def test_cells_that_keep_their_order_stay_when_others_come_go_and_move() -> None:
    room = Room(notebook(*(cell(name, f"# {name}") for name in "abcdef")))
    cursors = {name: room.cursor("abcdef".index(name), "#") for name in "bcef"}
    room.write(notebook(*(cell(name, f"# {name}") for name in "bcxefa")))
    assert [each["id"] for each in room.said["cells"]] == list("bcxefa")
    for name, cursor in cursors.items():
        assert before(room.source("bcxefa".index(name)), cursor) == "#"


def test_writing_what_it_says_changes_nothing() -> None:
    said = notebook(cell("a", "x", stream("1")), cell("b", "y", kind="markdown"), kernel={"a": 1})
    room = Room(said)
    room.write(said)
    assert room.sizes == []


def test_a_small_change_of_a_large_notebook_is_a_small_update() -> None:
    many = [cell(f"c{number}", "line\n" * 50, stream("out\n" * 50)) for number in range(200)]
    room = Room(notebook(*many))
    many[100] = cell("c100", "line\n" * 50 + "last", stream("out\n" * 50))
    room.write(notebook(*many))
    assert len(room.sizes) == 1, "all of it arrives at once"
    assert room.sizes[0] < 200


def test_outputs_before_the_first_that_differs_stay() -> None:
    room = Room(notebook(cell("a", "x", stream("1"), stream("2"), stream("3"))))
    first = room.cells[0]["outputs"][0]["text"].sticky_index(1, pycrdt.Assoc.BEFORE)
    room.write(notebook(cell("a", "x", stream("1"), stream("new"), stream("3"))))
    assert [each["text"] for each in room.said["cells"][0]["outputs"]] == ["1", "new", "3"]
    assert first.get_index() == 1


def test_a_cell_that_becomes_another_type_is_made_anew() -> None:
    # JupyterLab reads the type when it first shows the cell, and never again.
    room = Room(notebook(cell("a", "text"), cell("b", "y")))
    room.cells[0]["seen"] = "as code"
    room.write(notebook(cell("a", "text", kind="markdown"), cell("b", "y")))
    assert "seen" not in room.cells[0]
    assert room.said["cells"][0]["cell_type"] == "markdown"
    assert "outputs" not in room.said["cells"][0]


def test_a_cell_that_says_the_same_stays_trusted_and_one_that_changes_does_not() -> None:
    room = Room(
        notebook(cell("a", "x", stream("1"), metadata=SIGNED), cell("b", "y", metadata=SIGNED))
    )
    room.write(notebook(cell("a", "x", stream("1")), cell("b", "y", stream("<script>"))))
    assert [each["metadata"] for each in room.said["cells"]] == [SIGNED, {}]


def test_what_runs_now_goes_on_running() -> None:
    room = Room(notebook(cell("a", "x")))
    room.cells[0]["execution_state"] = "running"
    room.write(notebook(cell("a", "y")))
    assert room.cells[0]["execution_state"] == "running"


def test_cells_of_a_notebook_without_ids_stay_too() -> None:
    room = Room(notebook(cell(None, "one"), cell(None, "two"), cell(None, "three"), minor=4))
    cursors = [room.cursor(index, "t") for index in (1, 2)]
    said = [cell(None, "two"), cell(None, "new", kind="markdown"), cell(None, "three!")]
    room.write(notebook(*said, minor=4))
    assert [each["source"] for each in room.said["cells"]] == ["two", "new", "three!"]
    assert [
        before(room.source(index), each) for index, each in zip((0, 2), cursors, strict=True)
    ] == [
        "t",
        "t",
    ]


def test_an_empty_notebook_is_written_without_an_edit_into_one_that_shows_its_empty_cell() -> None:
    room = Room(notebook())
    room.write(notebook())
    assert room.sizes == []


def test_a_cell_id_that_is_there_twice_stands_for_both_in_order() -> None:
    room = Room(notebook(cell("a", "one"), cell("b", "b")))
    room.cells.append(YNotebook().create_ycell(cell("a", "two")))
    room.write(notebook(cell("a", "one!"), cell("b", "b"), cell("c", "two")))
    assert [each["source"] for each in room.said["cells"]] == ["one!", "b", "two"]


def test_numbers_that_yjs_does_not_tell_apart_are_no_difference_and_booleans_are() -> None:
    room = Room(notebook(cell("a", "x", metadata={"one": 1, "flag": True})))
    room.write(notebook(cell("a", "x", metadata={"one": 1.0, "flag": True})))
    assert room.sizes == []
    room.write(notebook(cell("a", "x", metadata={"one": 1, "flag": 1})))
    assert room.said["cells"][0]["metadata"]["flag"] is not True


def test_numbers_that_json_has_not_are_no_difference_either() -> None:
    numbers = {"nan": math.nan, "all": [math.inf, -math.inf], "long": 10**30, "large": 2**62}
    room = Room(notebook(cell("a", "x", metadata=numbers)))
    room.write(notebook(cell("a", "x", metadata=numbers)))
    assert room.sizes == []
    room.write(notebook(cell("a", "y", metadata={**numbers, "more": math.nan})))
    metadata = room.said["cells"][0]["metadata"]
    assert math.isnan(metadata.pop("nan"))
    assert math.isnan(metadata.pop("more"))
    assert metadata == {"all": [math.inf, -math.inf], "long": 10**30, "large": 2**62}


def test_a_text_file_keeps_its_cursors() -> None:
    room = Room("one\ntwo é😀\nthree\n", "file")
    text = room.doc.get("source", type=pycrdt.Text)
    cursor = text.sticky_index(len("one\ntwo"), pycrdt.Assoc.BEFORE)
    room.write("zero\none\ntwo 😀!\nfour é\n")
    assert room.said == "zero\none\ntwo 😀!\nfour é\n"
    assert before(text, cursor) == "zero\none\ntwo"


def test_bytes_are_taken_over() -> None:
    room = Room(b"\x00\x01", "blob")
    room.write(b"\x02")
    assert room.said == b"\x02"


def test_a_restore_and_what_others_type_at_that_moment_merge() -> None:
    said = notebook(cell("a", "x = 1\ny = 2\n"), cell("b", "z = 3"))
    room = Room(said)
    other: pycrdt.Doc[Any] = pycrdt.Doc()
    other.apply_update(room.doc.get_update())
    typed: pycrdt.Text = other.get("cells", type=pycrdt.Array)[0]["source"]
    typed.insert(len("x = 1\ny = 2"), "0  # typed")
    room.write(notebook(cell("a", "x = 100\ny = 2\n"), cell("b", "z = 3")))
    room.doc.apply_update(other.get_update())
    assert str(room.source(0)) == "x = 100\ny = 20  # typed\n"


sources = st.text(alphabet="ab\n é", max_size=12)
outputs = st.lists(
    st.one_of(
        st.builds(stream, sources),
        st.just({"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}),
    ),
    max_size=3,
)
cells = st.one_of(
    st.builds(
        lambda id_, source, out, tags, count: cell(
            id_, source, *out, metadata={"tags": tags}, execution_count=count
        ),
        st.sampled_from("abcdefgh"),
        sources,
        outputs,
        st.lists(st.text(max_size=3), max_size=2),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    st.builds(
        lambda id_, source, files: cell(id_, source, kind="markdown", attachments=files),
        st.sampled_from("abcdefgh"),
        sources,
        st.dictionaries(st.sampled_from("xy"), st.just({"image/png": "AA=="}), min_size=1),
    ),
)
notebooks = st.builds(
    lambda cells, minor, metadata: notebook(
        *(each if minor == 5 else {k: v for k, v in each.items() if k != "id"} for each in cells),
        minor=minor,
        **metadata,
    ),
    st.lists(cells, max_size=6, unique_by=lambda each: each["id"]),
    st.sampled_from([4, 5]),
    st.dictionaries(st.sampled_from(["authors", "title"]), st.integers(0, 3)),
)


@settings(max_examples=200)
@given(notebooks, notebooks)
def test_any_notebook_can_be_written_over_any_other(old: Any, new: Any) -> None:
    room, fresh = Room(old), Room(new)
    room.write(new)
    if new["cells"]:
        assert _comparable(room.said) == _comparable(fresh.said)
    assert [each["source"] for each in room.said["cells"]] == [
        each["source"] for each in fresh.said["cells"]
    ]
    room.sizes.clear()
    room.write(new)
    assert room.sizes == []


def _comparable(said: dict[str, Any]) -> Any:
    """Without trust, and without the id that an empty notebook's cell gets."""
    said = content.untrusted(said)
    return {**said, "cells": [{**each, "id": each.get("id", "")[:1]} for each in said["cells"]]}


def test_a_thousand_cells_in_another_order_are_quickly_written() -> None:
    many = [cell(f"c{number}", f"# {number}\n" * 20) for number in range(1000)]
    room = Room(notebook(*many))
    random.Random(1).shuffle(many)
    room.write(notebook(*many))
    assert [each["id"] for each in room.said["cells"]] == [each["id"] for each in many]


def test_a_type_that_nothing_knows_is_refused() -> None:
    with pytest.raises(UnsupportedDocument):
        content.write("unheard of", pycrdt.Doc(), "x")
