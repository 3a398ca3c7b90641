"""Flushing: how a stopping server saves its work, the most valuable first.

It may be killed at any moment: KubeSpawner gives 1 s by default. So the updates that only this
process has go first: to the bucket, one request a document and as many at once as there may be,
and meanwhile to a recovery file, in case the disk outlives the process. What can be made again
comes after them: files that are behind their documents, and the versions of those saves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from logging import Logger
from typing import Any

from ..errors import BookstoreError
from ..replication.checkpointer import Checkpointer
from ..replication.file_uploads import FileUploads
from .late_edits import LateEditsKeeper
from .rooms import Rooms

PATIENCE = 3.0
"""Seconds for which the bucket has the server to itself, before all that is not in it goes to a
recovery file and files are saved."""


class Flush:
    """One server's flush."""

    def __init__(
        self,
        rooms: Rooms,
        late_edits: LateEditsKeeper,
        checkpointer: Checkpointer,
        saves: FileUploads | None,
        log: Logger,
    ) -> None:
        self._rooms = rooms
        self._late_edits = late_edits
        self._checkpointer = checkpointer
        self._saves = saves
        self._log = log
        self._deadline = 0.0

    async def run(
        self, within: float, others: Collection[asyncio.Task[Any]] = ()
    ) -> dict[str, str]:
        """Archive everything that is pending, within so many seconds. Nothing is written any more
        by rooms afterwards. Returns what is not archived, by name, with the reason.

        `others` are the tasks in which other extensions stop. They may save files before they
        end, as the rooms of jupyter-server-documents do, and these saves are archived, too.
        """
        self._deadline = asyncio.get_running_loop().time() + within
        await self._rooms.close()
        first = [
            asyncio.create_task(self._checkpointer.flush(within)),
            asyncio.create_task(self._flush_saves()),
        ]
        await self._kept(self._checkpointer.keep_pending())
        _, late = await asyncio.wait(first, timeout=min(PATIENCE, within))
        if late:
            await self._kept(self._checkpointer.keep())
        await self._rooms.save(max(1.0, min(within / 3, self._left())))
        await asyncio.wait(first)
        await self._late_edits.finish(min(PATIENCE, self._left()))
        if others:
            await asyncio.wait(others, timeout=min(PATIENCE, self._left()))
        # What arrived meanwhile, from a kernel for instance.
        self._rooms.capture()
        for store in self._rooms.stores():
            store.detach()
        unflushed = await asyncio.gather(
            self._checkpointer.flush(max(1.0, self._left())), self._flush_saves()
        )
        return {name: reason for each in unflushed for name, reason in each.items()}

    def _left(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def _flush_saves(self) -> dict[str, str]:
        if self._saves is None:
            return {}
        late = await self._saves.flush(max(1.0, self._left()))
        return {f"the last save of {path}": reason for path, reason in late.items()}

    async def _kept(self, keeping: Awaitable[None]) -> None:
        try:
            await keeping
        except BookstoreError as error:
            self._log.error("No recovery file can be written yet: %s", error)
