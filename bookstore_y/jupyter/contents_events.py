"""Contents events: those of contents managers that emit none.

jupyter_server's own managers tell of what they rename, delete, copy and save by events (its
manager.py and filemanager.py). File ids follow renames by them, and so does the archive. A manager
that overrides these methods may not emit them; what it does is announced for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

CONTENTS_EVENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"

Event = dict[str, Any]

_heard: ContextVar[list[Event] | None] = ContextVar("heard", default=None)
"""What has been emitted since the method that is running was called."""


def announce(manager: Any, event_logger: Any) -> None:
    """Have `manager` emit an event for whatever it renames or deletes."""
    emit = event_logger.emit

    def listen(*, schema_id: str, data: Event, **options: Any) -> Any:
        heard = _heard.get()
        if heard is not None and schema_id == CONTENTS_EVENTS:
            heard.append(data)
        return emit(schema_id=schema_id, data=data, **options)

    def say(data: Event) -> None:
        emit(schema_id=CONTENTS_EVENTS, data=data)

    event_logger.emit = listen
    manager.rename = _announcing(manager.rename, _renamed, say)
    manager.delete = _announcing(manager.delete, _deleted, say)


def _renamed(old_path: str, new_path: str) -> Event:
    return {"action": "rename", "path": new_path, "source_path": old_path}


def _deleted(path: str) -> Event:
    return {"action": "delete", "path": path}


def _announcing(
    work: Callable[..., Any], describe: Callable[..., Event], say: Callable[[Event], None]
) -> Callable[..., Any]:
    """`work`, which is of a contents manager, with its event after it unless it has emitted it."""

    def announced(*args: Any, **kwargs: Any) -> Any:
        heard: list[Event] = []

        def end() -> None:
            event = describe(*args, **kwargs)
            if not any(_names(each) == _names(event) for each in heard):
                say(event)

        token = _heard.set(heard)
        try:
            done = work(*args, **kwargs)
        finally:
            _heard.reset(token)
        if inspect.isawaitable(done):
            return _ending(done, heard, end)
        end()
        return done

    return announced


async def _ending(coming: Any, heard: list[Event], end: Callable[[], None]) -> Any:
    token = _heard.set(heard)
    try:
        done = await coming
    finally:
        _heard.reset(token)
    end()
    return done


def _names(event: Event) -> tuple[Any, ...]:
    """What tells an event from another, however its paths begin and end."""
    paths = (str(event.get(name) or "").strip("/") for name in ("path", "source_path"))
    return (event.get("action"), *paths)
