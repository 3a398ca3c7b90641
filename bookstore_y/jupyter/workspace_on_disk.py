"""The workspace on an empty disk: archived files appear and open.

A starting server lists the workspace once. What the archive holds and the disk does not is shown
in the file browser from then on, and written to the disk in the background.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from ..aio import each, listed
from ..archive.current_files import CurrentFile, Level
from ..errors import BookstoreError, BucketError, BucketUnavailable, ConfigurationError, InvalidPath
from ..keys import check_path
from ..replication.health import pause
from ..settings import BookstoreSettings
from .absent_files import AbsentFiles, Children
from .bringing_back import BringingBack, Found, Source, Written
from .placing import NotPlaced, Placer
from .seen_files import SeenFiles

LISTING = 5.0
"""Seconds that a directory's listing waits for the archive at most."""

AT_ONCE = 8
"""Files that are brought back at one time in the background. People's requests go beside them."""

REFUSALS = 20
"""Files in a row that the disk may refuse before the others are not tried."""

TRIES = 5
"""Times that a file is asked for while the bucket says that it is unavailable."""

TOLD = 20
"""Files whose trouble is told one by one."""

_YIELD = 200
"""Files after which others get their turn."""


class WorkspaceOnDisk:
    """The files of one server that its archive holds."""

    def __init__(self, settings: BookstoreSettings, placer: Placer) -> None:
        self._settings = settings
        self._placer = placer
        self._absent = AbsentFiles()
        self._bringing = BringingBack(
            placer, self._absent, self._written, lambda path: path in self._seen
        )
        self._seen = SeenFiles(None, settings)
        self.log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger(
            "bookstore_y.jupyter.workspace"
        )
        self._state = "starting"
        self._error: str | None = None
        self._failed: dict[str, str] = {}
        self._restored = self._bytes = self._spent = 0
        self._refusals = 0
        self._unavailable: Counter[str] = Counter()
        self._reason = ""
        """Why the background leaves files to be written when they are opened."""
        self._began = 0.0
        """When it began to write, by the monotonic clock."""
        self._task: asyncio.Task[None] | None = None
        self._since_listing: list[Callable[[], None]] | None = None
        self._levels: dict[tuple[str, str], asyncio.Task[Level]] = {}

    @property
    def _restores(self) -> bool:
        return bool(self._settings.s3_bucket) and self._settings.restore_workspace != "never"

    def start(
        self, source: Source, checkpoint_all: Callable[[], Awaitable[None]], delay: float = 0.0
    ) -> None:
        """Begin to bring back what is missing, in the background, unless that is turned off.

        `checkpoint_all` writes to the bucket what an earlier process left to this server. `delay`
        is in seconds, for which a starting server has better things to do.
        """
        self._bringing.start(source)
        if self._restores:
            self._seen = SeenFiles(self._placer.root, self._settings)
            self._seen.load()
            self._task = asyncio.create_task(self._run(source, checkpoint_all, delay))
        else:
            self._state = "off"

    def fail(self) -> None:
        """The archive does not open: nobody need wait for it."""
        self._bringing.fail()

    async def stop(self) -> None:
        """Bring nothing more back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._bringing.stop()

    def status(self) -> dict[str, Any]:
        """How far it is, of JSON types.

        `state` is `starting`, `waiting` (for the bucket), `restoring`, `restored`, `partial`
        (the rest is written when it is opened) or `off`; `missing` counts the files that are not
        on this disk, as far as is known; `error` says why it waits, or why the rest is missing.
        """
        return {
            "state": self._state,
            "missing": len(self._absent),
            "restored": self._restored,
            "restored_bytes": self._bytes,
            "failed": dict(list(self._failed.items())[:TOLD]),
            "failures": len(self._failed),
            "error": self._error,
        }

    # -- what requests ask ---------------------------------------------------------------------

    async def bring_back(self, path: str) -> Found:
        """See `BringingBack.bring_back`."""
        if not self._settings.s3_bucket:
            return Found.NOTHING
        return await self._bringing.bring_back(path)

    async def bring_back_below(self, directory: str) -> None:
        """Bring back all files of a directory. Raises a `BookstoreError` if one is not there
        then."""
        if not self._settings.s3_bucket:
            return
        source = await self._bringing.source()
        files = await _within(source.files.all(directory), source)
        paths = sorted(_current(files, source))
        missing = [path for path in paths if await self._placer.is_free(path)]

        async def bring(path: str) -> None:
            await self._bringing.bring_back(path)

        async for _ in each(listed(missing), bring, AT_ONCE):
            pass

    async def children(self, directory: str) -> Children:
        """What a directory holds in the archive and maybe not on the disk. When the archive
        cannot say in time, what is known of it."""
        if not self._restores:
            return Children({}, frozenset())
        # A disk that had all of it has no need to wait for the bucket.
        if not self._bringing.listed and not self._seen.whole:
            try:
                source = await self._bringing.source()
                found = _children(await self._level(source, directory, ""), directory, source)
                return Children(
                    {n: f for n, f in found.files.items() if not self._was_here(directory, n)},
                    found.directories,
                )
            except BookstoreError as error:
                self.log.debug("The archive cannot list %r now: %s", directory, error)
        return self._absent.children(directory)

    async def names(self, directory: str, stem: str) -> frozenset[str]:
        """The paths in a directory, with names that begin with `stem`, that the archive holds.
        Raises a `BookstoreError` if that is not known."""
        if not self._settings.s3_bucket:
            return frozenset()
        above = f"{directory}/" if directory else ""
        known = self._absent.children(directory)
        names = {above + name for name in (*known.files, *known.directories)}
        source = await self._bringing.source()
        try:
            level = await self._level(source, directory, stem)
        except BookstoreError:
            if not self._bringing.listed:
                raise
            return frozenset(names)
        found = _children(level, directory, source)
        return frozenset(names | {above + name for name in (*found.files, *found.directories)})

    async def holds(self, path: str) -> bool:
        """Whether the archive holds a file or directory at a path, and the disk does not.
        Raises a `BookstoreError` if that is not known."""
        directory, _, name = path.rpartition("/")
        return path in await self.names(directory, name) and await self._placer.is_free(path)

    async def is_absent_below(self, directory: str) -> bool:
        """Whether a directory has something in the archive that it does not have on the disk.
        Raises a `BookstoreError` if that is not known."""
        for path in await self.names(directory, ""):
            if path not in self._seen and await self._placer.is_free(path):
                return True
        return False

    def _was_here(self, directory: str, name: str) -> bool:
        return (f"{directory}/{name}" if directory else name) in self._seen

    def has_had(self, path: str) -> bool:
        """Whether this disk has had a file, which was removed from it if it is not there."""
        return path in self._seen

    async def hold(self, path: str) -> None:
        """Have nothing written at a path or below it until `release`."""
        await self._bringing.hold(path)

    def release(self, path: str) -> None:
        """End a `hold`."""
        self._bringing.release(path)

    async def _level(self, source: Source, directory: str, stem: str) -> Level:
        away = source.away()
        if away is not None:
            raise away
        task = self._levels.get((directory, stem))
        if task is None:
            task = asyncio.create_task(source.files.level(directory, stem))
            self._levels[directory, stem] = task
            task.add_done_callback(lambda _: self._levels.pop((directory, stem)))
        level: Level = await _within(asyncio.shield(task), source)
        return level

    # -- what happens to files -----------------------------------------------------------------

    def saved(self, path: str) -> None:
        """A file is on the disk."""
        if self._restores:
            self._seen.add([path])
            self._seen.flush()
        self._happens(lambda: self._absent.discard(path))

    def deleted(self, path: str) -> None:
        """A file or directory was deleted."""
        self._bringing.drop(path)
        self._seen.forget(path)
        self._seen.flush()
        self._happens(lambda: self._absent.forget(path))

    def renamed(self, source: str, target: str) -> None:
        """A file or directory was renamed."""
        self._bringing.drop(source)
        self._seen.rename(source, target)
        self._seen.flush()
        self._happens(lambda: self._absent.rename(source, target))

    def _happens(self, change: Callable[[], Any]) -> None:
        if self._since_listing is not None:
            self._since_listing.append(change)
        change()

    def _written(self, path: str, written: Written) -> None:
        self._restored += 1
        if self._restores:
            self._seen.add([path])
            self._seen.flush()
        self._bytes += written.size
        self._refusals = 0
        self._failed.pop(path, None)
        if written.reason:
            self.log.warning(
                "The file %s was brought back from an older version, %s: %s",
                path,
                written.version_id,
                written.reason,
            )
        elif self._state != "restoring":
            self.log.warning(
                "The file %s was not on this disk; it was brought back from version %s.",
                path,
                written.version_id,
            )

    # -- in the background ---------------------------------------------------------------------

    async def _run(
        self, source: Source, checkpoint_all: Callable[[], Awaitable[None]], delay: float
    ) -> None:
        await asyncio.sleep(delay)
        attempts = 0
        while True:
            try:
                if not self._bringing.listed:
                    await checkpoint_all()
                    await self._list(source)
                    self._began = time.monotonic()
                await self._write(source)
                break
            except (BucketError, ConfigurationError) as error:
                source.note(error)
                self._state, self._error = "waiting", str(error)
                attempts += 1
                await asyncio.sleep(0.5 + pause(attempts, 1.0))
        self._conclude()

    async def _list(self, source: Source) -> None:
        self._since_listing = []
        try:
            files = await source.files.all()
            self._absent.forget("")
            await self._compare(_current(files, source))
            for change in self._since_listing:
                change()
        finally:
            self._since_listing = None
        self._bringing.listed = True
        self._error = None

    async def _compare(self, files: dict[str, CurrentFile]) -> None:
        """Find out which files the disk does not have."""
        free: dict[str, bool] = {"": False}
        here: list[str] = []
        for count, (path, file) in enumerate(files.items()):
            directory = path.rpartition("/")[0]
            if directory not in free:
                free[directory] = await self._placer.is_free(directory)
            if not free[directory] and not await self._placer.is_free(path):
                here.append(path)
            elif path not in self._seen:
                self._absent.add(path, file)
            if count % _YIELD == _YIELD - 1:
                await asyncio.sleep(0)
        self._seen.add(here)
        self._seen.note_whole(not len(self._absent))
        self._seen.flush()

    async def _write(self, source: Source) -> None:
        self._state, self._error = "restoring", None
        found = [(path, self._absent.get(path)) for path in self._absent.below("")]
        wanted = [(path, file) for path, file in found if file is not None]
        wanted.sort(key=lambda item: item[1].newest.last_modified, reverse=True)
        if wanted:
            self.log.info(
                "The archive holds %d files that this disk does not; writing them in the "
                "background, newest first.",
                len(wanted),
            )
        unavailable: list[BookstoreError] = []

        async def bring(item: tuple[str, CurrentFile]) -> None:
            path, file = item
            if unavailable or path in self._failed or not self._has_room(path, file):
                return
            size = file.newest.size
            self._spent += size
            try:
                if await self._bringing.bring(path, file) is not Found.FILE:
                    self._spent -= size
            except BucketUnavailable as error:
                self._spent -= size
                self._unavailable[path] += 1
                if self._unavailable[path] < TRIES:
                    unavailable.append(error)
                else:  # it may be this file alone
                    self._fails(path, error)
            except Exception as error:  # noqa: BLE001 - one file's trouble is no other's
                self._spent -= size
                self._fails(path, error)

        async for _ in each(listed(wanted), bring, AT_ONCE):
            pass
        if unavailable:
            raise unavailable[0]

    def _has_room(self, path: str, file: CurrentFile) -> bool:
        """Whether a file may be written yet, and is still absent."""
        if self._absent.get(path) is not file:
            return False
        settings = self._settings
        if time.monotonic() - self._began > settings.restore_max_seconds:
            self._reason = f"restore_max_seconds ({settings.restore_max_seconds:g}) have passed"
        elif self._spent + file.newest.size > settings.restore_max_bytes:
            self._reason = f"they exceed restore_max_bytes ({settings.restore_max_bytes})"
        elif self._refusals >= REFUSALS:
            self._reason = "the disk accepts no more files"
        else:
            return True
        return False

    def _fails(self, path: str, error: Exception) -> None:
        self._refusals = self._refusals + 1 if isinstance(error, NotPlaced) else 0
        self._failed[path] = str(error) if isinstance(error, BookstoreError) else repr(error)
        if len(self._failed) <= TOLD:
            self.log.warning("A file was not brought back: %s (%s)", self._failed[path], path)

    def _conclude(self) -> None:
        self._state = "partial" if len(self._absent) else "restored"
        self._seen.note_whole(not len(self._absent))
        self._seen.flush()
        seconds = time.monotonic() - self._began
        if self._restored:
            self.log.info(
                "%d files (%d bytes) were brought back from the archive in %.1f s.",
                self._restored,
                self._bytes,
                seconds,
            )
        rest = len(self._absent) - sum(path in self._absent for path in self._failed)
        if rest > 0:
            self._error = (
                f"{rest} files are only in the archive and are written when they are opened, "
                f"because {self._reason or 'they were not wanted before'}."
            )
            self.log.info("%s", self._error)


def _current(files: list[CurrentFile], source: Source) -> dict[str, CurrentFile]:
    """The files by the paths that they have now, without those that are no paths."""
    found: dict[str, CurrentFile] = {}
    for file in files:
        path = source.now_at(file.path)
        if path is None:
            continue
        try:
            check_path(path)
        except InvalidPath:
            continue  # another program's key
        found[path] = file
    return found


def _children(level: Level, directory: str, source: Source) -> Children:
    above = f"{directory}/" if directory else ""
    files = _current(list(level.files.values()), source)
    here = {path[len(above) :]: file for path, file in files.items() if path.startswith(above)}
    directories = {name for name in level.directories if source.now_at(above + name) is not None}
    return Children(
        {name: file for name, file in here.items() if "/" not in name}, frozenset(directories)
    )


async def _within(work: Awaitable[Any], source: Source) -> Any:
    try:
        return await asyncio.wait_for(work, LISTING)
    except (TimeoutError, asyncio.TimeoutError):
        raise BucketUnavailable(
            f"The archive did not list the directory within {LISTING:g} s; try again in a moment."
        ) from None
    except (BucketError, ConfigurationError) as error:
        source.note(error)
        raise
