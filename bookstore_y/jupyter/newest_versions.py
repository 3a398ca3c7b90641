"""A short-lived cache of documents' newest versions, for pages that ask."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from ..archive.archive import Archive
from ..archive.version import Version
from ..errors import DocumentNotFound

AGE = 10.0
"""Seconds after which others may have written a version."""

WHILE_PENDING = 60.0
"""The same of a document of which this server is about to write one."""

REMEMBERED = 1000
"""Documents of which the newest version is kept in memory."""


@dataclass(frozen=True)
class _Asked:
    task: asyncio.Task[Version | None]
    written: Hashable
    at: float

    def is_good(self, written: Hashable, age: float) -> bool:
        failed = self.task.done() and (self.task.cancelled() or self.task.exception() is not None)
        return self.written == written and not failed and time.monotonic() - self.at < age


class NewestVersions:
    """Newest versions by path: a hundred pages of one document ask the bucket once."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    async def of(
        self, archive: Archive, path: str, written: Hashable, age: float = AGE
    ) -> Version | None:
        """The newest version, without its details; None if there is none. `written` is anything
        that is another once this server has written a version; `age` is in seconds, for which an
        answer is good. Raises a `BookstoreError`."""
        asked = self._asked.get(path)
        if asked is None or not asked.is_good(written, age):
            task = asyncio.create_task(_newest(archive, path))
            asked = self._asked[path] = _Asked(task, written, time.monotonic())
        self._asked.move_to_end(path)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return await asyncio.shield(asked.task)


async def _newest(archive: Archive, path: str) -> Version | None:
    try:
        page = await archive.history(path, limit=1)
    except DocumentNotFound:
        return None
    return next(iter(page.versions), None)
