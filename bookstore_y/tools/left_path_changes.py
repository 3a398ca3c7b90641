"""Path changes in a buffer file that no server has open, such as one that a stopped server left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..buffer.database import Buffer
from ..buffer.recovery import BufferOptions, Recovery
from ..replication.checkpointer import Checkpointer
from ..replication.path_change import PathChange
from ..replication.path_changes import NoSuchChange
from ..settings import BookstoreSettings


def files(settings: BookstoreSettings, options: BufferOptions) -> list[Path]:
    """The buffer files of these settings that there are, in use or not."""
    found = Recovery(settings, options).left_behind()
    own = Path(options.path)
    return [*found, own] if own.is_file() and own not in found else found


def listed(path: Path) -> list[dict[str, Any]]:
    """What the bucket has not followed, like `Moves.listed`. Raises `BufferInUse` while a server
    has the file open, and an `UpdateBufferError` when it cannot be read."""
    buffer = Buffer(str(path), make=False)
    try:
        return [change.to_dict() for change in _changes(buffer)]
    finally:
        buffer.close()


async def retry(settings: BookstoreSettings, path: Path, recovery_dir: str) -> list[dict[str, Any]]:
    """Archive what the file holds, as the next start of a server would, and return the changes
    that are left. Raises like `listed`."""
    Buffer(str(path), make=False).close()  # raises where a checkpointer would take another file
    async with Checkpointer(settings, BufferOptions(str(path), recovery_dir)) as checkpointer:
        await checkpointer.flush(settings.shutdown_timeout)
        return await checkpointer.path_changes.try_again()


async def drop(path: Path, number: int) -> dict[str, Any]:
    """Give up on a change; returns it. Raises like `listed`, and `NoSuchChange`."""
    buffer = Buffer(str(path), make=False)
    try:
        for change in _changes(buffer):
            if change.id == number:
                await buffer.remove_move(number)
                return change.to_dict()
        raise NoSuchChange(f"{path} holds no path change {number}.")
    finally:
        buffer.close()


def _changes(buffer: Buffer) -> list[PathChange]:
    found = []
    for left in buffer.moves():
        change = PathChange(left.id, left.source, left.target, at=left.at, inherited=True)
        change.learn(left.state)
        found.append(change)
    return found
