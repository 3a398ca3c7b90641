"""Bringing back files that the disk lost and the archive holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..aio import Budget
from ..archive.current_files import CurrentFile, CurrentFiles
from ..archive.file_content import FileReader
from ..archive.workspace import is_within
from ..errors import (
    BookstoreError,
    BucketError,
    BucketUnavailable,
    ConfigurationError,
    DocumentNotFound,
    InvalidPath,
)
from ..tools.pulling import MEMORY, SNAPSHOT_GROWTH
from .absent_files import AbsentFiles
from .placing import Placer

PATIENCE = 10.0
"""Seconds that whoever asks for a file waits for the archive at most."""


class Found(Enum):
    """What the archive held at a path where the disk had nothing."""

    NOTHING = "nothing"
    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True)
class Source:
    """The archive, as far as bringing files back needs it."""

    files: CurrentFiles
    reader: FileReader
    bring_up_to_date: Callable[[str], Awaitable[None]]
    """Has in the bucket what this server alone knows of a path. Raises a `BookstoreError`."""
    now_at: Callable[[str], str | None]
    """Where the file is that the bucket has at a path, after renames that it has not followed;
    None if the file is deleted."""
    archived_at: Callable[[str], str | None]
    """Where the bucket has what is at a path, while it refuses to follow a rename; None if it has
    nothing but what was deleted."""
    away: Callable[[], BookstoreError | None]
    """Why the bucket cannot be used now, as far as is known."""
    note: Callable[[BookstoreError], None]
    """Takes note of an error that the bucket gave."""


@dataclass(frozen=True)
class Written:
    """A file that was brought back. `size` is in bytes, on the disk."""

    version_id: str
    size: int
    reason: str
    """Why it is not the newest version; empty if it is."""


class BringingBack:
    """Brings back one path at a time, once for all who ask for it."""

    def __init__(
        self,
        placer: Placer,
        absent: AbsentFiles,
        written: Callable[[str, Written], None],
        was_here: Callable[[str], bool],
    ) -> None:
        """`written` is told of each file that is back; `was_here` tells of a path that this disk
        has had, so that the file was removed from it."""
        self.absent = absent
        self.placer = placer
        self.listed = False
        """Whether `absent` holds all that is absent."""
        self._written = written
        self._was_here = was_here
        self._source: Source | None = None
        self._started = asyncio.Event()
        self._budget = Budget(MEMORY)
        self._asked: dict[str, asyncio.Task[Found]] = {}
        self._dropped: set[str] = set()
        self._placing: dict[str, asyncio.Event] = {}
        self._held: list[tuple[str, asyncio.Event]] = []

    def start(self, source: Source) -> None:
        """From now on the archive can be asked."""
        self._source = source
        self._started.set()

    def fail(self) -> None:
        """The archive does not open: nobody need wait for it."""
        self._started.set()

    async def stop(self) -> None:
        """Bring nothing more back."""
        self._source = None
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def source(self) -> Source:
        """The archive. Raises `ConfigurationError` when it takes too long to start."""
        try:
            await asyncio.wait_for(self._started.wait(), PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            pass
        if self._source is None:
            raise ConfigurationError("The archive is not open yet; try again in a moment.")
        return self._source

    async def bring_back(self, path: str) -> Found:
        """Have the file or directory at `path` on this disk, if the archive holds it and the disk
        has nothing there.

        Waits for `PATIENCE` at most; what takes longer goes on, and is there for whoever asks
        again. Raises a `BookstoreError` when the archive cannot say whether it holds the path,
        cannot be read, or the disk does not take it: never takes that for "not found".
        """
        path = path.strip("/")
        try:
            self.placer.check(path)
        except InvalidPath:
            return Found.NOTHING  # the contents manager knows what to say of it
        if not await self.placer.is_free(path):
            return Found.NOTHING
        source = await self.source()
        task = self._start(path, lambda: self._bring(source, path))
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        if not done:
            raise BucketUnavailable(
                f"The archive did not return {path} within {PATIENCE:g} s; it is still working, "
                "so try again in a moment."
            )
        return task.result()

    async def bring(self, path: str, file: CurrentFile) -> Found:
        """Bring back a file that is known to be absent, however long it takes. Raises like
        `bring_back`."""
        source = await self.source()
        return await asyncio.shield(self._start(path, lambda: self._fetch(source, path, file)))

    def _start(
        self, path: str, work: Callable[[], Coroutine[Any, Any, Found]]
    ) -> asyncio.Task[Found]:
        task = self._asked.get(path)
        if task is None:
            task = self._asked[path] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._ended(path, done))
        return task

    def _ended(self, path: str, task: asyncio.Task[Found]) -> None:
        del self._asked[path]
        self._dropped.discard(path)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; nobody may be left

    async def _bring(self, source: Source, path: str) -> Found:
        known = path in self.absent or self.absent.is_directory(path)
        try:
            away = source.away()
            if away is not None:
                raise away
            await source.bring_up_to_date(path)
            file, is_directory = await self._look(source, path)
        except (BucketError, ConfigurationError) as error:
            source.note(error)
            if self.listed and not known:
                return Found.NOTHING  # the bucket has said so before it went away
            raise BucketUnavailable(
                f"{path} is not on this disk, and the archive, which may hold it, can't be "
                f"reached. {error}"
            ) from error
        if file is not None:
            return await self._fetch(source, path, file)
        self.absent.discard(path)
        if is_directory or self.absent.is_directory(path):
            await self.placer.make_directory(path)
            return Found.DIRECTORY
        return Found.NOTHING

    async def _look(self, source: Source, path: str) -> tuple[CurrentFile | None, bool]:
        """What the bucket has of what is at a path now."""
        there = source.archived_at(path)
        if there is None:
            return None, False
        file, is_directory = await source.files.at(there)
        if is_directory and file is None and not self.absent.is_directory(path):
            # A directory that was removed with all that was in it does not come back, since a
            # file browser that shows it asks for it again and again.
            below = await source.files.all(there)
            is_directory = any(not self._was_here(each.path) for each in below)
        return file, is_directory

    async def _fetch(self, source: Source, path: str, file: CurrentFile) -> Found:
        growth = SNAPSHOT_GROWTH if file.newest.is_snapshot else 1
        async with self._budget.spending(file.newest.size * growth):
            try:
                body = await source.reader.read(file)
            except DocumentNotFound:  # deleted or renamed since it was listed
                self.absent.discard(path)
                return Found.NOTHING
            except BucketError as error:
                source.note(error)
                raise
            async with self._placing_at(path):
                if path in self._dropped:
                    return Found.NOTHING
                if not await self.placer.place(path, body):
                    self.absent.discard(path)
                    return Found.NOTHING
        self.absent.discard(path)
        self._written(path, Written(body.version.version_id, len(body.body), body.reason))
        return Found.FILE

    # -- renames and deletions -----------------------------------------------------------------

    def drop(self, path: str) -> None:
        """What is being brought back at a path, or below it, belongs elsewhere or nowhere now."""
        self._dropped |= {each for each in self._asked if is_within(each, path)}

    @contextlib.asynccontextmanager
    async def _placing_at(self, path: str) -> AsyncIterator[None]:
        while held := [until for each, until in self._held if is_within(path, each)]:
            await held[0].wait()
        self._placing[path] = ended = asyncio.Event()
        try:
            yield
        finally:
            del self._placing[path]
            ended.set()

    async def hold(self, path: str) -> None:
        """Have nothing placed at a path or below it until `release`, since it is about to be
        renamed or deleted."""
        self._held.append((path, asyncio.Event()))
        for each in [ended for p, ended in self._placing.items() if is_within(p, path)]:
            await each.wait()

    def release(self, path: str) -> None:
        """End a `hold`."""
        held = next(held for held in self._held if held[0] == path)
        self._held.remove(held)
        held[1].set()
