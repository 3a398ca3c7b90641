"""Marks: what tells one edit from every other, in a document and on its way."""

from __future__ import annotations

import pycrdt

from bookstore_y.stress import marks


def test_a_mark_names_its_author_and_is_found_as_often_as_it_is_there() -> None:
    first, second = marks.make("c1", 0), marks.make("c1", 1)
    assert marks.author(first) == "c1"
    assert marks.count(f"x{first}{second}y\n{first}") == {first: 2, second: 1}


def test_marks_stand_in_the_update_that_carries_them() -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text += f"größer 🌊 {marks.make('c7', 3, at=12.345)}"
    assert marks.arrivals(updates[0]) == [marks.Arrival("c7", 12.345, offline=False)]


def test_an_update_tells_the_newest_mark_of_each_author() -> None:
    """A moved cell has a mark from before the move."""
    old, new = marks.make("c1", 1, at=1), marks.make("c1", 2, at=2, offline=True)
    other = marks.make("c2", 1, at=1)
    found = marks.arrivals(f"{new}{old}{other}".encode())
    assert found == [marks.Arrival("c1", 2, offline=True), marks.Arrival("c2", 1, offline=False)]
