"""Which files are absent, by path and by directory; and which a disk has had."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y import BookstoreSettings
from bookstore_y.archive.current_files import CurrentBody, CurrentFile
from bookstore_y.archive.workspace import is_within
from bookstore_y.jupyter.absent_files import AbsentFiles
from bookstore_y.jupyter.seen_files import SeenFiles

PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)


def file(path: str) -> CurrentFile:
    now = datetime.now(timezone.utc)
    return CurrentFile(path, (CurrentBody(path, now, 1, None),))


def absent(*paths: str) -> AbsentFiles:
    return AbsentFiles(map(file, paths))


def test_a_directory_holds_the_files_and_the_directories_of_absent_files() -> None:
    files = absent("a.txt", "d/b.txt", "d/e/c.txt")
    assert set(files.children("").files) == {"a.txt"}
    assert files.children("").directories == {"d"}
    assert set(files.children("d").files) == {"b.txt"}
    assert files.children("d").directories == {"e"}
    assert files.children("nowhere") == ({}, frozenset())


def test_a_directory_is_gone_with_its_last_file() -> None:
    files = absent("d/e/c.txt")
    assert files.is_directory("d/e")
    files.discard("d/e/c.txt")
    assert not files.is_directory("d")
    assert not files.is_directory("")
    assert len(files) == 0


def test_a_rename_moves_what_is_below() -> None:
    files = absent("d/a.txt", "d/e/b.txt", "dd/c.txt")
    files.rename("d", "x/y")
    assert set(files.below("")) == {"x/y/a.txt", "x/y/e/b.txt", "dd/c.txt"}


@given(st.lists(st.tuples(st.sampled_from(["add", "discard", "forget"]), PATHS)))
def test_directories_are_those_of_the_files(steps: list[tuple[str, str]]) -> None:
    files, model = AbsentFiles(), set[str]()
    for step, path in steps:
        if step == "add":
            files.add(path, file(path))
            model.add(path)
        elif step == "discard":
            files.discard(path)
            model.discard(path)
        else:
            files.forget(path)
            model = {each for each in model if not is_within(each, path)}
        assert set(files.below("")) == model
        for directory in ("", "a", "b", "a/a", "a/b", "b/a"):
            below = {p for p in model if is_within(p, directory) and p != directory}
            assert files.is_directory(directory) == bool(below)


def seen(root: Path) -> SeenFiles:
    record = SeenFiles(root, BookstoreSettings(s3_bucket="notebooks"))
    record.load()
    return record


def test_a_disk_remembers_what_it_has_had(tmp_path: Path) -> None:
    record = seen(tmp_path)
    record.add(["a.txt", "d/b.txt", "d/c.txt"])
    record.rename("d", "e")
    record.forget("a.txt")
    record.flush()
    again = seen(tmp_path)
    assert {p for p in ("a.txt", "d/b.txt", "e/b.txt", "e/c.txt") if p in again} == {
        "e/b.txt",
        "e/c.txt",
    }


def test_a_record_stays_small(tmp_path: Path) -> None:
    record = seen(tmp_path)
    for _ in range(2000):
        record.add(["a.txt"])
        record.forget("a.txt")
    record.add(["b.txt"])
    record.flush()
    seen(tmp_path).flush()
    assert (tmp_path / ".bookstore_y/seen").stat().st_size < 200
    assert "b.txt" in seen(tmp_path)


def test_a_repository_does_not_see_the_record(tmp_path: Path) -> None:
    seen(tmp_path)
    assert (tmp_path / ".bookstore_y/.gitignore").read_text() == "*\n"


def test_a_disk_that_takes_no_record_has_none(tmp_path: Path) -> None:
    (tmp_path / ".bookstore_y").write_text("in the way")
    record = seen(tmp_path)
    record.add(["a.txt"])
    record.flush()
    assert "a.txt" in record
    assert "a.txt" not in seen(tmp_path)


@pytest.mark.parametrize("between", ["\u2028", "\u2029", "\x85"])
def test_a_record_takes_no_part_of_a_name_for_another(tmp_path: Path, between: str) -> None:
    record, odd = seen(tmp_path), f"a.txt{between}-work{between}+b.txt"
    record.add(["work/c.txt", odd])
    record.flush()
    again = seen(tmp_path)
    assert odd in again
    assert "work/c.txt" in again
    assert "a.txt" not in again
    assert "b.txt" not in again


@pytest.mark.parametrize("name", ["new\nline.txt", "half\ud800.txt"])
def test_a_record_is_written_whatever_files_are_called(tmp_path: Path, name: str) -> None:
    record = seen(tmp_path)
    record.add([name, "a.txt"])
    record.rename("a.txt", name)
    record.add(["b.txt"])
    record.flush()
    assert "b.txt" in seen(tmp_path)
    assert "a.txt" not in seen(tmp_path)
