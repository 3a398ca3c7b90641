"""A label comes out of its tag as it went in, whatever it says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.archive import labels
from bookstore_y.errors import BookstoreError, InvalidLabel

TAG_VALUE = re.compile(r"[A-Za-z0-9 +\-=._:/@]{1,256}")


@given(st.text(max_size=60))
def test_a_label_comes_back(label: str) -> None:
    wanted = " ".join(label.split())
    try:
        value = labels.to_tag(label)
    except InvalidLabel:
        assert not wanted or len(wanted.encode()) * 3 > 256
        return

    assert TAG_VALUE.fullmatch(value)
    assert value == value.strip()
    assert labels.from_tags({"other": "x", labels.TAG: value}) == wanted


@given(st.text(max_size=300))
def test_any_tag_of_another_program_is_some_label(value: str) -> None:
    found = labels.from_tags({labels.TAG: value})

    assert (found is None) == (value == "")


def test_two_labels_are_two_tags() -> None:
    known = ["a=b", "a=3Db", "a b", "=20", "é", "e\u0301", "%C3%A9", "=C3=A9", "A", "a", "=3D"]

    assert len({labels.to_tag(label) for label in known}) == len(known)


def test_plain_labels_can_be_read_in_any_console() -> None:
    assert labels.to_tag("v1.0: sent to a/b@c") == "v1.0: sent to a/b@c"


def test_no_tag_is_no_label() -> None:
    for tags in ({}, {"project": "x"}, {labels.TAG: ""}):
        assert labels.from_tags(tags) is None


@pytest.mark.parametrize("label", ["", " ", "\n", "\u2028", "x" * 257, "é" * 43, "\ud800"])
def test_what_is_refused_is_said_in_a_sentence(label: str) -> None:
    with pytest.raises(InvalidLabel) as refused:
        labels.to_tag(label)

    assert isinstance(refused.value, BookstoreError)
    assert isinstance(refused.value, ValueError)
    assert str(refused.value).endswith(".")


def test_the_longest_labels() -> None:
    for label in ("x" * 256, "é" * 42 + "xxxx"):
        assert labels.from_tags({labels.TAG: labels.to_tag(label)}) == label
