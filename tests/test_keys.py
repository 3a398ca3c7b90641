"""Document path <-> key: nothing is lost on the way, and no two documents meet in one key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bookstore_y.errors import InvalidPath
from bookstore_y.keys import (
    MAX_KEY_BYTES,
    Document,
    check_path,
    document_of,
    file_key,
    normalize_prefix,
    reserved_key,
    snapshot_key,
)

PREFIX = "workspace/kylek/notebooks/"

segments = st.text(
    st.characters(exclude_characters="/\ufffe\uffff", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=20,
).filter(lambda segment: segment not in (".", ".."))
paths = (
    st.lists(segments, min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: not path.endswith(".y.zst"))
)
types = st.text("abcXYZ019_-", min_size=1, max_size=12)
typed = st.builds(Document, paths, types)
untyped = st.builds(Document, paths)

awkward_paths = pytest.mark.parametrize(
    "path",
    [
        pytest.param("Tagesbericht 🌊.ipynb", id="emoji"),
        pytest.param("cafe\u0301.ipynb", id="decomposed"),
        pytest.param("caf\u00e9.ipynb", id="composed"),
        pytest.param(" leading and trailing ", id="spaces"),
        pytest.param("1+1.ipynb", id="plus"),
        pytest.param("100%25.ipynb", id="percent"),
        pytest.param("\"double\" and 'single'.txt", id="quotes"),
        pytest.param(".hidden/..still...hidden", id="dots"),
        pytest.param("no-suffix", id="no suffix"),
        pytest.param("ends.in.notebook", id="ends in a type"),
        pytest.param("inner.y.zst/notes.md", id="suffix inside"),
        pytest.param("a/.bookstore/b", id="the reserved name inside"),
        pytest.param(".bookstore.md", id="begins like the reserved name"),
        pytest.param("a?b#c&d=e;f:g@h\\i", id="url"),
    ],
)


@given(typed)
def test_a_typed_document_comes_back_from_its_key(document: Document) -> None:
    assert document_of(PREFIX, snapshot_key(PREFIX, document)) == document


@given(untyped)
def test_an_untyped_document_comes_back_from_its_key(document: Document) -> None:
    assert document_of(PREFIX, snapshot_key(PREFIX, document), typed=False) == document


@awkward_paths
@pytest.mark.parametrize("type", ["notebook", None])
def test_an_awkward_path_comes_back_from_its_key(path: str, type: str | None) -> None:
    document = Document(path, type)

    key = snapshot_key(PREFIX, document)

    assert key == f"{PREFIX}{path}{'.notebook' if type else ''}.y.zst"
    assert document_of(PREFIX, key, typed=type is not None) == document


@given(typed, typed)
@example(Document("a", "b"), Document("a.b", "b"))
@example(Document("a.b", "c"), Document("a", "b"))
@example(Document("cafe\u0301", "file"), Document("caf\u00e9", "file"))
def test_no_two_typed_documents_share_a_key(one: Document, other: Document) -> None:
    assume(one != other)
    assert snapshot_key(PREFIX, one) != snapshot_key(PREFIX, other)


@given(untyped, untyped)
@example(Document("a b"), Document("a+b"))
@example(Document("a%20b"), Document("a b"))
def test_no_two_untyped_documents_share_a_key(one: Document, other: Document) -> None:
    assume(one != other)
    assert snapshot_key(PREFIX, one) != snapshot_key(PREFIX, other)


@given(st.one_of(typed, untyped), paths)
def test_no_snapshot_shares_a_key_with_a_saved_file(document: Document, path: str) -> None:
    assert snapshot_key(PREFIX, document) != file_key(PREFIX, path)


@pytest.mark.parametrize(
    "key",
    [
        "elsewhere/a.ipynb.notebook.y.zst",
        f"{PREFIX}a.ipynb",
        f"{PREFIX}a.ipynb.notebook.y.zst.bak",
        f"{PREFIX}.y.zst",
        f"{PREFIX}no-type.y.zst",
        f"{PREFIX}a/../b.ipynb.notebook.y.zst",
        f"{PREFIX}a.not a type.y.zst",
        reserved_key(PREFIX, "a.notebook.y.zst"),
        PREFIX,
        "",
    ],
)
def test_a_key_that_is_not_a_snapshots_has_no_document(key: str) -> None:
    assert document_of(PREFIX, key) is None


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("/etc/passwd", "absolute", id="absolute"),
        pytest.param("..", r"'\.\.'", id="parent"),
        pytest.param("a/../b", r"'\.\.'", id="parent inside"),
        pytest.param("a/./b", r"'\.'", id="itself inside"),
        pytest.param("a//b", "''", id="empty segment"),
        pytest.param("a/", "''", id="directory"),
        pytest.param("a\0b", "control character", id="NUL"),
        pytest.param("two\nlines.txt", "control character", id="newline"),
        pytest.param("bell\x07", "control character", id="bell"),
        pytest.param("not a character \uffff", "control character", id="U+FFFF"),
        pytest.param("a\ud800b", "UTF-8", id="lone surrogate"),
        pytest.param("a.notebook.y.zst", "reserved", id="reserved suffix"),
        pytest.param(".bookstore", "reserved", id="reserved directory"),
        pytest.param(".bookstore/a.ipynb", "reserved", id="in the reserved directory"),
    ],
)
@pytest.mark.parametrize(
    "refuse",
    [check_path, Document, partial(file_key, PREFIX)],
    ids=["check_path", "Document", "file_key"],
)
def test_a_path_that_cannot_be_a_key_is_refused(
    refuse: Callable[[str], object], path: str, says: str
) -> None:
    with pytest.raises(InvalidPath, match=says):
        refuse(path)


@pytest.mark.parametrize("type", ["", "a.b", "a/b", "note book", "notizbüch", "a\n"])
def test_a_type_that_could_not_be_told_from_the_path_is_refused(type: str) -> None:
    with pytest.raises(InvalidPath, match="not a document type"):
        Document("a", type)


@pytest.mark.parametrize("character", ["a", "é", "🌊"])
def test_a_key_may_have_1024_bytes_and_not_one_more(character: str) -> None:
    fixed = len(snapshot_key(PREFIX, Document("a", "file")).encode()) - 1
    count, rest = divmod(MAX_KEY_BYTES - fixed, len(character.encode()))
    longest = "b" * rest + character * count

    assert len(snapshot_key(PREFIX, Document(longest, "file")).encode()) == MAX_KEY_BYTES
    with pytest.raises(InvalidPath, match="1025 bytes"):
        snapshot_key(PREFIX, Document(longest + "c", "file"))


def test_the_message_about_a_long_path_does_not_repeat_all_of_it() -> None:
    with pytest.raises(InvalidPath) as refused:
        file_key(PREFIX, "long" * 1000)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("prefix", ["a/b", "/a/b", "a/b/", "//a/b//"])
def test_a_prefix_has_one_slash_at_its_end_and_none_before(prefix: str) -> None:
    assert normalize_prefix(prefix) == "a/b/"
    assert file_key(prefix, "c.txt") == "a/b/c.txt"


def test_a_prefix_may_be_empty() -> None:
    assert normalize_prefix("/") == normalize_prefix("") == ""
    assert snapshot_key("", Document("c.txt", "file")) == "c.txt.file.y.zst"
