"""Authors: every edit has a mark, and what is deleted on purpose is known to be."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc

from bookstore_y.stress import marks
from bookstore_y.stress.author import Author
from bookstore_y.stress.copies import content_of, content_of_update, digest, marks_in
from bookstore_y.stress.notebooks import seed

Act = Callable[[Author], None]

EDITS: list[Act] = [
    Author.insert_text,
    Author.delete_text,
    Author.insert_cell,
    Author.move_cell,
    Author.delete_cell,
    Author.set_source,
    Author.stream_output,
]


def a_notebook() -> YNotebook:
    notebook = YNotebook()
    notebook.set(seed(2))
    return notebook


def exchange(one: Doc[Any], other: Doc[Any]) -> None:
    update = one.get_update(other.get_state())
    one.apply_update(other.get_update(one.get_state()))
    other.apply_update(update)


def expected(*authors: Author) -> dict[str, int]:
    """Each mark that is to be there, once; those that the notebook began with too."""
    seeds = [marks.make(marks.SEED, number, at=0) for number in range(3)]
    made = [mark for author in authors for mark, alive in author.edits.items() if alive]
    return dict.fromkeys([*seeds, *made], 1)


@pytest.mark.parametrize("chance", range(5))
def test_two_who_edit_apart_and_meet_have_every_edit_once(chance: int) -> None:
    draw = random.Random(chance)
    first = a_notebook()
    second = YNotebook()
    exchange(first.ydoc, second.ydoc)
    authors = [
        Author(name, notebook, draw, lambda: True)
        for name, notebook in (("c0", first), ("c1", second))
    ]
    for number in range(300):
        draw.choice(EDITS)(draw.choice(authors))
        if number % 20 == 0:
            exchange(first.ydoc, second.ydoc)
    exchange(first.ydoc, second.ydoc)
    contents = [content_of(notebook.ydoc) for notebook in (first, second)]
    assert contents[0] == contents[1]
    assert digest(contents[0]) == digest(contents[1])
    assert marks_in(contents[0]) == expected(*authors)


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_has_a_mark_of_its_own_or_takes_one_away(edit: Act) -> None:
    notebook = a_notebook()
    author = Author("c0", notebook, random.Random(0), lambda: True)
    author.insert_text()
    author.insert_cell()
    before = dict(author.edits)
    edit(author)
    assert author.edits != before
    assert marks_in(content_of(notebook.ydoc)) == expected(author)


def test_edits_without_a_connection_say_so() -> None:
    author = Author("c0", a_notebook(), random.Random(0), lambda: False)
    author.insert_text()
    assert [mark.endswith("~>") for mark in author.edits] == [True]


def test_outputs_are_cleared_now_and_then() -> None:
    notebook = a_notebook()
    author = Author("c0", notebook, random.Random(0), lambda: True)
    for _ in range(60):
        author.stream_output()
    assert list(author.edits.values()).count(False) == 50
    assert marks_in(content_of(notebook.ydoc)) == expected(author)


def test_a_cell_that_is_there_twice_is_seen_twice() -> None:
    """`YNotebook.get` would leave the second out."""
    notebook = a_notebook()
    cell = notebook.get_cell(0)
    notebook.append_cell(cell)
    counts = marks_in(content_of_update(notebook.ydoc.get_update()))
    assert counts[marks.make(marks.SEED, 0, at=0)] == 2
