"""Names taken by archived files that are not on the disk.

A contents manager chooses the name of a new file by asking itself what exists. While a name is
being chosen, what the archive holds exists, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

_taken: ContextVar[frozenset[str]] = ContextVar("taken", default=frozenset())


def reserve(paths: frozenset[str]) -> None:
    """For the rest of this task, these paths exist for a manager given to `respect_reserved`."""
    _taken.set(paths)


def respect_reserved(manager: Any) -> None:
    """Have a contents manager respect the names that are taken, when it asks what exists."""
    for name in ("exists", "file_exists"):
        setattr(manager, name, _respecting(getattr(manager, name)))


def _respecting(exists: Callable[[str], Any]) -> Callable[[str], Any]:
    if inspect.iscoroutinefunction(exists):

        async def exists_now(path: str) -> Any:
            return path.strip("/") in _taken.get() or await exists(path)

        return exists_now

    def exists_at_once(path: str) -> Any:
        return path.strip("/") in _taken.get() or exists(path)

    return exists_at_once
