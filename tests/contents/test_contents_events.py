"""What a contents manager does and does not tell is announced for it, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jupyter_server.utils import ensure_async

from bookstore_y.jupyter.contents_events import CONTENTS_EVENTS, announce
from bookstore_y.jupyter.moved_files import _without_common_end


class Events:
    """An event logger that keeps what it is given."""

    def __init__(self) -> None:
        self.emitted: list[dict[str, Any]] = []

    def emit(self, *, schema_id: str, data: dict[str, Any]) -> None:
        assert schema_id == CONTENTS_EVENTS
        self.emitted.append(data)


class Manager:
    """Tells of what it does, or not; a deletion of `there.txt` alone works."""

    def __init__(self, events: Events, tells: bool) -> None:
        self._events, self._tells = events, tells

    def _emit(self, **data: str) -> None:
        if self._tells:
            self._events.emit(schema_id=CONTENTS_EVENTS, data=data)

    def rename(self, old_path: str, new_path: str) -> None:
        self._emit(action="rename", path=new_path.strip("/"), source_path=old_path.strip("/"))

    def delete(self, path: str) -> None:
        if path != "there.txt":
            raise FileNotFoundError(path)
        self._emit(action="delete", path=path)


class AsyncManager(Manager):
    """The same, to be awaited."""

    async def rename(self, old_path: str, new_path: str) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().rename(old_path, new_path)

    async def delete(self, path: str) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().delete(path)


@pytest.mark.parametrize("tells", [True, False], ids=["which tells", "which is silent"])
@pytest.mark.parametrize("kind", [Manager, AsyncManager], ids=["sync", "async"])
async def test_each_thing_that_a_manager_does_is_told_once(
    kind: type[Manager], tells: bool
) -> None:
    events = Events()
    manager: Any = kind(events, tells)
    announce(manager, events)
    await ensure_async(manager.rename("/a.txt", "b.txt"))
    await ensure_async(manager.delete("there.txt"))
    with pytest.raises(FileNotFoundError):
        await ensure_async(manager.delete("gone.txt"))
    assert [(e["action"], e["path"].strip("/")) for e in events.emitted] == [
        ("rename", "b.txt"),
        ("delete", "there.txt"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "moved"),
    [
        ("a.ipynb", "b.ipynb", ("a.ipynb", "b.ipynb")),
        ("old/a.ipynb", "new/a.ipynb", ("old", "new")),
        ("x/old/sub/a.ipynb", "x/new/sub/a.ipynb", ("x/old", "x/new")),
        ("a.ipynb", "folder/a.ipynb", ("a.ipynb", "folder/a.ipynb")),
    ],
)
def test_a_folder_has_moved_where_the_ends_of_paths_are_the_same(
    source: str, target: str, moved: tuple[str, str]
) -> None:
    assert _without_common_end(source, target) == moved
