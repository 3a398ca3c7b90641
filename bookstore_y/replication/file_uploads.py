"""FileUploads: files on their way to the bucket, each save as a version.

Whoever saves a file is not kept waiting. While one version of a file is being written, the newest
save of it waits, and wins; a save that the bucket does not take stays and is tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anyio import move_on_after

from .. import keys
from ..errors import (
    BookstoreError,
    ConfigurationError,
    DocumentTooLarge,
    InvalidPath,
)
from .health import pause
from .path_change import moved, of_file
from .pending_upload import PendingUpload, Save

if TYPE_CHECKING:
    from .checkpointer import Checkpointer

LOOK = 0.5
"""Seconds between looking whether a bucket that was away is back."""


class FileUploads:
    """The saved files of one checkpointer's archive. For use in its event loop."""

    def __init__(self, checkpointer: Checkpointer, min_interval: float = 0.0) -> None:
        """`min_interval` is in seconds, between two versions of one file."""
        self._checkpointer = checkpointer
        self._min_interval = min_interval
        self._files: dict[str, PendingUpload] = {}
        self._flushing = False
        self._refused: dict[str, BookstoreError] = {}
        """Why the newest save of a file can never be a version, by path."""
        self._written: Counter[str] = Counter()

    # -- what those who save call --------------------------------------------------------------

    def submit(self, path: str, save: Save) -> None:
        """Take in what a file was saved with. Never waits, and never fails for S3's sake."""
        try:
            keys.file_key(self._checkpointer.settings.workspace_prefix, path)
        except InvalidPath as error:
            self._refuse(path, error)
            return
        file = self._files.setdefault(path, PendingUpload(path))
        file.waiting = save
        self._start(file)

    async def settle(self, path: str) -> None:
        """Have the newest save of a file as a version. Raises a `BookstoreError`."""
        while (file := self._files.get(path)) is not None and file.pending:
            if file.putting is not None:
                await file.putting.wait()
            else:
                await self._write(file)

    def status(self) -> dict[str, Any]:
        """What is pending, of JSON types."""
        pending = [file for file in self._files.values() if file.pending]
        failing = {file.path: str(file.error) for file in pending if file.error}
        return {
            "pending_saves": len(pending),
            "failing_saves": {path: str(why) for path, why in self._refused.items()} | failing,
            "failing_since": min((f.failing_since for f in pending if f.error), default=None),
        }

    def state_of(self, path: str) -> tuple[bool, BookstoreError | None]:
        """Whether a save of the file is pending, and why it is, if something is wrong."""
        file = self._files.get(path)
        if file is None or not file.pending:
            return False, self._refused.get(path)
        return True, file.error

    def written(self, path: str) -> int:
        """How many saves of the file have become versions since the server started."""
        return self._written[path]

    async def flush(self, timeout: float) -> dict[str, str]:  # noqa: ASYNC109 - it returns what is left
        """Write what is pending, trying again until `timeout` seconds have passed.

        Returns what could not be archived, by path, with the reason.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        self._flushing = True
        try:
            while tasks := self._working():
                for file in self._files.values():
                    file.wake.set()
                left = deadline - loop.time()
                if left <= 0 or (await asyncio.wait(tasks, timeout=left))[1]:
                    break
        finally:
            self._flushing = False
        reason = f"no answer within {timeout:g} s"
        return {
            file.path: str(file.error or reason) for file in self._files.values() if file.pending
        }

    # -- what renames and deletions call -------------------------------------------------------

    def rename(self, source: str, target: str) -> tuple[list[PendingUpload], list[asyncio.Event]]:
        """What is pending below `source` is now below `target`.

        Returns the files whose names are taken by that, and the ends of PUTs to old names.
        """
        displaced: list[PendingUpload] = []
        putting: list[asyncio.Event] = []
        for file in [f for f in self._files.values() if moved(f.path, source, target) is not None]:
            path = moved(file.path, source, target) or target
            if file.putting is not None:
                putting.append(file.putting)
            try:
                keys.file_key(self._checkpointer.settings.workspace_prefix, path)
            except InvalidPath:
                continue  # the bucket keeps the file under its old name
            former = self._files.pop(path, None)
            if former is not None and former.pending:
                former.held = True
                displaced.append(former)
                if former.putting is not None:
                    putting.append(former.putting)
            del self._files[file.path]
            file.path = path
            self._files[path] = file
        return displaced, putting

    def take(self, path: str) -> tuple[list[PendingUpload], list[asyncio.Event]]:
        """What is pending at `path` or below it, for a deletion; and the ends of PUTs."""
        taken = [file for file in self._files.values() if moved(file.path, path, "") is not None]
        for file in taken:
            file.held = True
            del self._files[file.path]
        pending = [file for file in taken if file.pending]
        return pending, [file.putting for file in pending if file.putting is not None]

    def forget_refused(self, path: str) -> None:
        """What is at `path` or below it is gone from there, or a version by now."""
        refused = [each for each in self._refused if moved(each, path, "") is not None]
        for each in refused:
            del self._refused[each]
        if refused:
            self._checkpointer.changed()

    def putting(self, concerned: Callable[[str], bool]) -> list[asyncio.Event]:
        """The ends of PUTs that are under way to paths that are concerned."""
        files = [file for file in self._files.values() if concerned(file.path)]
        return [file.putting for file in files if file.putting is not None]

    async def write_held(self, files: Iterable[PendingUpload]) -> None:
        """Have what was pending as versions, under the names of then. Raises a `BookstoreError`."""
        for file in files:
            if file.waiting is not None:
                await self._put(file)

    # -- writing -------------------------------------------------------------------------------

    def _start(self, file: PendingUpload) -> None:
        if file.task is None or file.task.done():
            file.task = self._checkpointer.spawn(self._work(file))

    def _working(self) -> list[asyncio.Task[None]]:
        tasks = [file.task for file in self._files.values() if file.pending]
        return [task for task in tasks if task is not None and not task.done()]

    async def _work(self, file: PendingUpload) -> None:
        while file.pending and not file.held:
            if file.putting is not None:  # by `settle`
                await file.putting.wait()
                continue
            await self._until_due(file)
            if file.waiting is not None and not file.held:
                try:
                    await self._write(file)
                except BookstoreError:
                    pass  # kept in `file.error`, reported, and tried again at `file.retry_at`
        if not self._min_interval and self._files.get(file.path) is file:
            del self._files[file.path]

    async def _until_due(self, file: PendingUpload) -> None:
        health = self._checkpointer.health
        away = file.error is not None and health.error is not None
        while not file.held:
            due = file.retry_at
            if not self._flushing:
                due = max(due, file.written_at + self._min_interval)
            left = due - _now()
            if left <= 0 or (away and health.error is None):
                return
            file.wake.clear()
            # asyncio.wait_for of Python 3.11 loses a cancellation that comes with the wake.
            with move_on_after(min(left, LOOK) if away else left) as waiting:
                await file.wake.wait()
            if not waiting.cancelled_caught:
                file.retry_at = 0.0  # whoever wakes it is in a hurry

    async def _write(self, file: PendingUpload) -> None:
        try:
            # Before anything is written, the bucket has to be where the files are.
            await self._checkpointer.path_changes.follow(file.path)
            if file.waiting is not None and file.putting is None and not file.held:
                await self._put(file)
        except ConfigurationError as error:
            file.waiting = None
            self._give_up(file.path, error)
        except BookstoreError as error:
            self._failed(file, error)
            raise

    async def _put(self, file: PendingUpload) -> None:
        """Write the newest save under the file's name of now; it stays if that fails."""
        save = file.waiting
        if save is None:
            return
        cp = self._checkpointer
        path, file.waiting = file.path, None
        file.putting = putting = asyncio.Event()
        done = False
        try:
            body = save.body
            if not isinstance(body, bytes):
                body = await asyncio.to_thread(body)
                save = replace(save, body=body)
            self._check_size(path, body)
            await cp.archive.save_file(
                path,
                body,
                authors=save.authors,
                origin=save.origin,
                content_type=save.content_type,
                anew=not file.held and cp.path_changes.replaced(of_file(path)) is not None,
            )
            if not file.held:
                await cp.path_changes.wrote(of_file(path))
            self._written[path] += 1
            self.forget_refused(path)
            done = True
        except (ConfigurationError, DocumentTooLarge, InvalidPath) as error:
            done = True  # no trying again will mend it; the file itself is where it was saved
            self._give_up(path, error)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            done = True
            self._refuse(
                path,
                BookstoreError(f"The content of {path} can't be archived ({error!r:.200})."),
            )
        finally:
            if not done and file.waiting is None:
                file.waiting = save
            file.putting = None
            putting.set()
        file.written_at = _now()
        failed = file.error is not None
        file.error, file.attempts, file.retry_at = None, 0, 0.0
        if failed:
            cp.changed()

    def _check_size(self, path: str, body: bytes) -> None:
        limit = self._checkpointer.settings.max_document_size
        if len(body) > limit:
            raise DocumentTooLarge(
                f"{path} has {len(body)} bytes, more than max_document_size ({limit}); raise "
                "c.BookstoreSettings.max_document_size to archive it."
            )

    def _give_up(self, path: str, error: BookstoreError) -> None:
        if isinstance(error, ConfigurationError):
            self._checkpointer.health.note(error)
        else:
            self._refuse(path, error)

    def _refuse(self, path: str, error: BookstoreError) -> None:
        cp = self._checkpointer
        if str(error) != str(self._refused.get(path, "")):
            cp.log.warning("A saved file is not archived. %s", error)
        self._refused[path] = error
        cp.changed()

    def _failed(self, file: PendingUpload, error: BookstoreError) -> None:
        cp = self._checkpointer
        if type(error) is not type(file.error):
            cp.log.warning("The save of %s is waiting to be archived: %s", file.path, error)
        if file.error is None:
            file.failing_since = time.time()
        file.error = error
        file.retry_at = _now() + pause(0 if self._flushing else file.attempts)
        file.attempts += 1
        cp.health.note(error)
        cp.changed()


def _now() -> float:
    return asyncio.get_running_loop().time()
