"""Late edits of a server's rooms become versions, and people are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from jupyter_server.serverapp import ServerApp

from ..errors import BookstoreError, BucketError
from ..replication import health, late_versions
from ..replication.checkpointer import Checkpointer
from ..replication.document import DocumentState
from ..replication.late_versions import Late
from ..ydoc.summary import Ranges
from .late_edits import LateEdits
from .notices import Notices


class LateKeeping:
    """Watches every room that it is told of, until that is gone."""

    def __init__(self, notices: Notices, serverapp: ServerApp) -> None:
        self._notices = notices
        self._serverapp = serverapp
        self._watched: WeakKeyDictionary[Any, LateEdits] = WeakKeyDictionary()

    def watch(self, room: Any, checkpointer: Checkpointer, entry: DocumentState) -> None:
        """Keep the late edits in a room of jupyter_server_ydoc, whose document is `entry`."""
        if room in self._watched:
            return

        async def keep(updates: Sequence[bytes], dropped: Ranges) -> None:
            late = await self._kept(checkpointer, entry, updates, dropped)
            if late is not None:
                self._tell(entry.document.path, late)

        self._watched[room] = LateEdits(room, keep)

    async def settle(self, within: float) -> None:
        """Keep what there is to keep, within so many seconds. What that does not do for is told."""
        pending = [late for late in list(self._watched.values()) if late.pending]
        tasks = [asyncio.create_task(late.settle()) for late in pending]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=within)
        for task in left:
            task.cancel()
        if left:
            self._serverapp.log.error(
                "Edits that came too late to %d documents, whose files were changed by other "
                "means, are not archived: the bucket did not take them before the server stopped. "
                "The tabs in which they were typed have them until they are reloaded.",
                len(left),
            )

    async def _kept(
        self,
        checkpointer: Checkpointer,
        entry: DocumentState,
        updates: Sequence[bytes],
        dropped: Ranges,
    ) -> Late | None:
        attempt = 0
        while True:
            try:
                return await late_versions.keep(checkpointer, entry, updates, dropped)
            except BookstoreError as error:
                if attempt == 0 or not isinstance(error, BucketError):
                    self._serverapp.log.error(  # noqa: TRY400 - the sentence is what counts
                        "Edits that came too late to %s, whose file was changed by other means, "
                        "are not archived: %s",
                        entry.document.path,
                        error,
                    )
                if not isinstance(error, BucketError):
                    return None
            attempt += 1
            await asyncio.sleep(health.pause(attempt))

    def _tell(self, path: str, late: Late) -> None:
        message = (
            f"The file of {path} was changed by other means, and cells that somebody typed into "
            "are gone. The document does not have what was typed there; version "
            f"{late.version_id} has it."
        )
        self._serverapp.log.warning("%s", message)
        self._notices.add(path, "late edits", late.version_id, message)
