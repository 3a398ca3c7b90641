"""What is typed into cells that were deleted meanwhile is found in what the clients sent."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc, create_update_message, handle_sync_message

from bookstore_y.jupyter import late_edits
from bookstore_y.jupyter.late_edits import LateEdits
from bookstore_y.local.waiting import eventually
from bookstore_y.ydoc import content
from bookstore_y.ydoc.summary import Ranges, with_late

Json = dict[str, Any]


def code(id_: str, source: str) -> Json:
    plain: Json = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {**plain, "id": id_, "source": source}


def notebook(*cells: Json) -> Json:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


class Room:
    """A room, as far as its messages go, and what was found in them."""

    def __init__(self, base: bytes) -> None:
        self.ydoc: Doc[Any] = Doc()
        self.notebook = YNotebook(self.ydoc)
        self.ydoc.apply_update(base)
        self.on_message: Any = None
        self.found: list[tuple[list[bytes], Ranges]] = []
        self.late = LateEdits(self, self.keep)

    async def keep(self, updates: Sequence[bytes], dropped: Ranges) -> None:
        self.found.append((list(updates), dropped))

    def receive(self, message: bytes) -> None:
        """As pycrdt.websocket's room does."""
        assert self.on_message(message) is False
        handle_sync_message(message[1:], self.ydoc)

    def kept(self, base: bytes) -> list[str] | None:
        """The sources of what is to be a version."""
        updates, dropped = self.found[-1]
        update = with_late(base, updates, dropped)
        return None if update is None else sources(content.of_update("notebook", update))


def sources(said: Json) -> list[str]:
    return [cell["source"] for cell in said["cells"]]


class Person:
    """Somebody with the document open, connected or not."""

    def __init__(self, base: bytes) -> None:
        self.doc: Doc[Any] = Doc()
        self.notebook = YNotebook(self.doc)
        self.doc.apply_update(base)

    def type(self, index: int, text: str) -> bytes:
        """Type at the end of a cell. Returns the update."""
        before = self.doc.get_state()
        source = self.notebook.ycells[index]["source"]
        source += text
        return self.doc.get_update(before)


@pytest.fixture
def base() -> bytes:
    return of(notebook(code("a", "one"), code("b", "two")))


def of(body: Json) -> bytes:
    doc: Doc[Any] = Doc()
    YNotebook(doc).set(copy.deepcopy(body))
    return doc.get_update()


def reset(room: Room) -> None:
    """The file was changed by other means: the second cell is gone."""
    content.write("notebook", room.ydoc, notebook(code("a", "one"), code("c", "new")))


async def test_what_a_tab_typed_while_it_was_away_is_found(base: bytes) -> None:
    room, person = Room(base), Person(base)
    reset(room)
    for word in (" typed", " away"):
        person.type(1, word)
    room.receive(create_update_message(person.doc.get_update(room.ydoc.get_state())))
    await room.late.keep_now()
    assert sources(room.notebook.source) == ["one", "new"]
    assert room.kept(base) == ["one", "two typed away"]


async def test_it_is_found_by_a_later_room_too(base: bytes) -> None:
    """Where Yjs has forgotten what the deleted cell was."""
    first, person = Room(base), Person(base)
    reset(first)
    doc: Doc[Any] = Doc()
    doc.apply_update(first.ydoc.get_update())
    room = Room(doc.get_update())
    person.type(1, " typed")
    room.receive(create_update_message(person.doc.get_update(room.ydoc.get_state())))
    await room.late.keep_now()
    assert room.kept(base) == ["one", "two typed"]


async def test_keystrokes_on_the_way_are_found_together(base: bytes) -> None:
    room, person = Room(base), Person(base)
    reset(room)
    for index, word in ((0, " here"), (1, " a"), (1, "b"), (0, "!"), (1, "c")):
        room.receive(create_update_message(person.type(index, word)))
    assert room.late.pending
    await room.late.keep_now()
    assert sources(room.notebook.source) == ["one here!", "new"]
    assert room.kept(base) == ["one here!", "two abc"]
    assert len(room.found) == 1


async def test_they_are_found_as_soon_as_no_more_come(
    base: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_edits, "QUIET", 0.01)
    room, person = Room(base), Person(base)
    reset(room)
    room.receive(create_update_message(person.type(1, " typed")))
    await eventually(lambda: bool(room.found), "it is found")
    assert room.kept(base) == ["one", "two typed"]


async def test_ordinary_edits_are_no_late_ones(base: bytes) -> None:
    room, person = Room(base), Person(base)
    for _ in range(3):
        room.receive(create_update_message(person.type(1, " typed")))
    before = person.doc.get_state()
    del person.notebook.ycells[0]
    room.receive(create_update_message(person.doc.get_update(before)))
    assert not room.late.pending
    await room.late.keep_now()
    assert room.found == []


async def test_what_its_author_deleted_again_is_not_to_be_kept(base: bytes) -> None:
    room, person = Room(base), Person(base)
    person.type(0, " typed")
    del person.notebook.ycells[0]["source"][3:9]
    room.receive(create_update_message(person.doc.get_update(room.ydoc.get_state())))
    await room.late.keep_now()
    assert all(with_late(base, updates, dropped) is None for updates, dropped in room.found)


async def test_whoever_watched_the_messages_before_still_does(base: bytes) -> None:
    room = Room(base)
    seen: list[bytes] = []

    def skip(message: bytes) -> bool:
        seen.append(message)
        return True

    room.on_message = skip
    LateEdits(room, room.keep)
    assert room.on_message(b"\x00\x00") is True
    assert seen == [b"\x00\x00"]


async def test_what_is_remembered_is_bounded(base: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_edits, "RECENT_BYTES", 1000)
    room, person = Room(base), Person(base)
    for _ in range(100):
        room.receive(create_update_message(person.type(0, "x" * 50)))
    assert room.late._size <= 1000
    reset(room)
    room.receive(create_update_message(person.type(1, " typed")))
    await room.late.keep_now()
    assert sum(map(len, room.found[0][0])) <= 1200
