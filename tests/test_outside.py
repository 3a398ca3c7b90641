"""A room takes over what other means made of its file in one step, which nothing interrupts."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jupyter_server_ydoc.loaders import FileLoader  # type: ignore[import-untyped]
from jupyter_server_ydoc.utils import OutOfBandChanges  # type: ignore[import-untyped]
from jupyter_ydoc import YUnicode

from bookstore_y.jupyter.outside_changes import OutsideChanges, is_saved_by
from bookstore_y.jupyter.rooms import OpenRoom, Rooms
from bookstore_y.local.waiting import eventually
from bookstore_y.store import S3YStore

ROOM = "text:file:some-id"


@dataclass
class Disk:
    """A contents manager with one file, which can be slow."""

    said: str = "as it was"
    at: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    saved_by_room: list[bool] = field(default_factory=list)
    store: Any = None

    def by_other_means(self, said: str) -> None:
        self.said, self.at = said, self.at + timedelta(seconds=1)

    async def get(self, path: str, content: bool = True, **_: Any) -> dict[str, Any]:
        model = {"last_modified": self.at, "writable": True, "hash": "", "content": self.said}
        if content:
            self.reading.set()
            await self.may_read.wait()
        return model

    async def save(self, model: dict[str, Any], path: str) -> dict[str, Any]:
        self.saved_by_room.append(is_saved_by(self.store, model["content"]))
        self.by_other_means(model["content"])
        return {"last_modified": self.at}


@dataclass
class Store:
    """What a room's store is told."""

    document: YUnicode
    file: tuple[str, str] = ("file", "some-id")
    entry: object = "open"
    replaced: list[str] = field(default_factory=list)

    async def replace_by_file(self, how: Any, content_hash: str) -> None:
        self.replaced.append(self.document.get())
        how()

    async def file_is(self, content_hash: str) -> None:
        pass

    def note_saving(self, content_hash: str) -> None:
        pass

    def note_saved(self) -> None:
        pass


@dataclass
class Scene:
    """An open room with its file."""

    disk: Disk
    store: Store
    loader: Any
    document: YUnicode


class _Rooms:
    def __init__(self, rooms: list[OpenRoom], document: YUnicode) -> None:
        self._rooms, self._document = rooms, document

    def all(self) -> list[OpenRoom]:
        return self._rooms

    async def live(self, room: OpenRoom) -> YUnicode:
        return self._document


@pytest.fixture
async def scene() -> Scene:
    document = YUnicode()
    document.set("typed")
    disk, store = Disk(), Store(document)
    disk.store = store
    ids = SimpleNamespace(get_path=lambda file_id: "notes.txt")
    loader = FileLoader("some-id", ids, disk)
    room = SimpleNamespace(ready=True, _update_lock=asyncio.Lock(), ystore=store)
    rooms = _Rooms([OpenRoom(ROOM, room, cast(S3YStore, store))], document)
    serverapp = cast(Any, SimpleNamespace(contents_manager=disk))

    async def follow(file_id: str) -> None:
        pass

    OutsideChanges(cast(Rooms, rooms), serverapp, follow).watch(loader)
    loader.last_modified = disk.at
    return Scene(disk, store, loader, document)


async def test_a_cancelled_caller_does_not_keep_the_room_from_taking_over(scene: Scene) -> None:
    scene.disk.by_other_means("by an agent")
    caller = asyncio.create_task(scene.loader.load_content("text", "file"))
    await scene.disk.reading.wait()
    caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caller
    scene.disk.may_read.set()
    await eventually(lambda: scene.document.get() == "by an agent", "the file to be taken over")
    assert scene.store.replaced == ["typed"]


async def test_what_is_typed_after_the_file_was_taken_over_is_not_set_back(scene: Scene) -> None:
    scene.disk.may_read.set()
    scene.disk.by_other_means("by an agent")
    model = await scene.loader.load_content("text", "file")
    scene.document.set("by an agent, and typed on")
    await scene.document.aset(model["content"])  # the room's next step (its rooms.py)
    assert scene.document.get() == "by an agent, and typed on"
    await scene.document.aset("by somebody else")
    assert scene.document.get() == "by somebody else"


async def test_a_save_does_not_come_between_the_notice_and_the_taking_over(scene: Scene) -> None:
    async def take_over() -> None:
        await scene.loader.load_content("text", "file")

    scene.loader.observe(ROOM, take_over)
    scene.disk.by_other_means("by an agent")
    notice = asyncio.create_task(scene.loader.maybe_notify())
    await scene.disk.reading.wait()
    model = {"format": "text", "type": "file", "content": scene.document.get()}
    save = asyncio.create_task(scene.loader.maybe_save_content(model))
    await asyncio.sleep(0)
    assert scene.disk.saved_by_room == []
    scene.disk.may_read.set()
    await asyncio.gather(notice, save)
    assert scene.store.replaced == ["typed"]
    assert scene.document.get() == "by an agent"
    assert scene.disk.said == "by an agent"


async def test_a_save_finds_what_changed_before_it(scene: Scene) -> None:
    scene.disk.by_other_means("by an agent")
    with pytest.raises(OutOfBandChanges):
        await scene.loader.maybe_save_content({"format": "text", "type": "file", "content": ""})


async def test_a_save_of_the_room_is_told_from_any_other(scene: Scene) -> None:
    await scene.loader.maybe_save_content({"format": "text", "type": "file", "content": "typed"})
    await scene.disk.save({"content": "by another client"}, "notes.txt")
    assert scene.disk.saved_by_room == [True, False]


async def test_what_says_the_same_replaces_nothing(scene: Scene) -> None:
    scene.disk.may_read.set()
    scene.disk.by_other_means("typed")
    await scene.loader.load_content("text", "file")
    assert scene.store.replaced == []
