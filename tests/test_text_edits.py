"""Edits of a text: they make the one of the other, and leave alone what both have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.ydoc.text_edits import (
    Edit,
    Effort,
    edits,
    longest_rising,
)

texts = st.text(alphabet="ab \n.é😀", max_size=60)


def applied(old: str, found: list[Edit]) -> str:
    end = len(old)
    for edit in reversed(found):
        assert edit.start <= edit.end <= end
        old, end = old[: edit.start] + edit.text + old[edit.end :], edit.start
    return old


def touched(found: list[Edit]) -> int:
    return sum(edit.end - edit.start + len(edit.text) for edit in found)


@given(texts, texts, st.integers(0, 2000))
def test_edits_make_the_new_text_of_the_old(old: str, new: str, effort: int) -> None:
    assert applied(old, edits(old, new)) == new
    assert applied(old, edits(old, new, Effort(effort))) == new


@given(texts)
def test_an_equal_text_needs_no_edit(text: str) -> None:
    assert edits(text, text) == []


def test_only_what_differs_within_a_line_is_touched() -> None:
    old = "level = read()\n# in metres\nplot(level)\n"
    new = "level = read(gauge)\n# in metres\nplot(levels)\n"
    assert edits(old, new) == [Edit(13, 13, "gauge"), Edit(37, 37, "s")]


def test_a_name_that_changes_in_every_line_is_all_that_is_touched() -> None:
    old = "".join(f"a{number} = first\n" for number in range(1000))
    new = old.replace("first", "other")
    found = edits(old, new)
    assert applied(old, found) == new
    assert touched(found) == 1000 * len("firstother")


def test_two_changes_far_apart_leave_a_large_text_between_them_alone() -> None:
    lines = [f"line {number} of {number % 7}\n" for number in range(50_000)]
    old = "".join(lines)
    lines[10], lines[-10] = "one\n", "two\n"
    assert touched(edits(old, "".join(lines))) < 100


def test_what_is_all_different_is_replaced_rather_than_compared_for_long() -> None:
    old = "".join(f"{number * 7 % 11}\n" for number in range(50_000))
    new = "".join(f"{number * 5 % 13}\n" for number in range(40_000))
    effort = Effort()
    found = edits(old, new, effort)
    assert applied(old, found) == new
    assert len(found) < 5000
    assert effort.comparisons >= 0


@given(st.lists(st.integers(), unique=True, max_size=8))
def test_the_longest_rising_subsequence(numbers: list[int]) -> None:
    found = longest_rising(numbers)
    assert found == sorted(found)
    assert [number for number in numbers if number in found] == found
    for chosen in range(2 ** len(numbers)):
        other = [number for at, number in enumerate(numbers) if chosen >> at & 1]
        assert other != sorted(other) or len(other) <= len(found)
