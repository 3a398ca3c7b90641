"""A kind of document that only this test knows: what it takes to add one."""

from __future__ import annotations

from typing import Any

import jupyter_ydoc
import pytest
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Array, Doc

from bookstore_y.ydoc import content, kinds
from bookstore_y.ydoc.kinds import Kind, kind_of, usual_type
from bookstore_y.ydoc.squash import squash


class Checklist(YBaseDoc):
    """One item a line; saved in alphabetical order, so it does not say what it loads as it is."""

    def __init__(self, ydoc: Doc[Any] | None = None, awareness: Any = None) -> None:
        super().__init__(ydoc, awareness)
        self._items: Array[str] = self._ydoc.get("items", type=Array)

    @property
    def version(self) -> str:
        return "1.0.0"

    def get(self) -> str:
        return "\n".join(sorted(str(item) for item in self._items))

    def set(self, value: str) -> None:
        self._items.clear()
        self._items.extend(value.splitlines())

    def observe(self, callback: Any) -> None:
        raise NotImplementedError


@pytest.fixture(params=["with defaults", "with a kind"])
def checklist(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(jupyter_ydoc.ydocs, "checklist", Checklist)
    if request.param == "with a kind":
        kind = Kind("checklist", suffix=".todo", content_of=lambda body: body.decode("utf-16"))
        monkeypatch.setitem(kinds.KINDS, "checklist", kind)
        assert usual_type("a.todo") == "checklist"
        assert kind_of("checklist").content_of("öl".encode("utf-16")) == "öl"
    return "checklist"


def test_its_documents_say_the_same_after_they_were_archived(checklist: str) -> None:
    doc: Doc[Any] = Doc()
    content.write(checklist, doc, "milk\nbread")
    assert content.of_update(checklist, squash([doc.get_update()])) == "bread\nmilk"


def test_its_file_is_known_by_what_its_class_makes_of_it(checklist: str) -> None:
    assert content.hash_of_file(checklist, "milk\nbread") == content.hash_of("bread\nmilk")
    assert content.is_one_of(checklist, "milk\nbread", [content.hash_of("bread\nmilk")])


def test_its_old_versions_come_back_as_new_edits(checklist: str) -> None:
    doc: Doc[Any] = Doc()
    content.write(checklist, doc, "milk")
    restored = content.restored(checklist, doc.get_update(), "bread")
    assert content.of_update(checklist, restored) == "bread"


def test_a_kind_that_nobody_added_is_one_of_defaults() -> None:
    assert kind_of("unheard of") == Kind("unheard of")
    assert kind_of(None) == Kind(None)


@pytest.mark.parametrize(
    ("path", "type"), [("a.ipynb", "notebook"), ("a.ipynb.txt", "file"), ("data", "file")]
)
def test_the_usual_room_of_a_file_is_told_by_its_name(path: str, type: str) -> None:
    assert usual_type(path) == type
