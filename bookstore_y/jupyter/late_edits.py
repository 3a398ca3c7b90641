"""Late edits: typed into cells that a reset to the file had deleted.

They were away when it happened, or their keystrokes were on the way. Yjs drops what is inserted
into something that is deleted: it is in the messages of their clients, and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from inspect import isawaitable
from logging import Logger
from typing import Any
from weakref import WeakKeyDictionary

from pycrdt import YMessageType, YSyncMessageType, read_message

from ..errors import BookstoreError, BucketError
from ..replication import health, late_versions
from ..replication.checkpointer import Checkpointer
from ..replication.document import DocumentState
from ..replication.late_versions import Late
from ..ydoc.summary import Ranges, born_deleted
from ..ydoc.updates import EMPTY_UPDATE
from .notices import Notices

QUIET = 1.0
"""Seconds without another late edit after which those that came are kept."""

RECENT_SECONDS = 60.0
RECENT_BYTES = 4 * 1024 * 1024
"""How much is remembered of what came before a late edit, which may build on it."""

_UPDATES = (YSyncMessageType.SYNC_STEP2, YSyncMessageType.SYNC_UPDATE)

Keep = Callable[[Sequence[bytes], Ranges], Coroutine[Any, Any, None]]


class LateEdits:
    """Watches what the clients of one room send.

    `keep` is given all that they have sent lately, and what the document dropped of it. For use
    in the room's event loop alone.
    """

    def __init__(self, room: Any, keep: Keep) -> None:
        self._keep = keep
        self._recent: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._dropped: Ranges = {}
        self._incoming = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: set[asyncio.Task[None]] = set()
        self._ydoc = room.ydoc
        self._before = room.on_message
        room.on_message = self._on_message
        self._subscription = room.ydoc.observe(self._on_transaction)

    @property
    def pending(self) -> bool:
        """Whether there are late edits that are not kept yet."""
        return bool(self._dropped or self._keeping)

    async def keep_now(self) -> None:
        """Keep now what there is to keep."""
        self._start()
        if self._keeping:
            await asyncio.wait(self._keeping)

    def _on_message(self, message: bytes) -> Any:
        # The room applies it as soon as this has returned (pycrdt.websocket's yroom.py, `serve`).
        if len(message) > 2 and message[0] == YMessageType.SYNC and message[1] in _UPDATES:
            update = read_message(message[2:])
            if update != EMPTY_UPDATE:
                self._incoming = True
                self._remember(update)
        if self._before is None:
            return False
        skipped = self._before(message)
        return skipped if isawaitable(skipped) else bool(skipped)

    def _remember(self, update: bytes) -> None:
        now = time.monotonic()
        self._recent.append((now, update))
        self._size += len(update)
        while len(self._recent) > 1 and not self._dropped:
            at, oldest = self._recent[0]
            if now - at <= RECENT_SECONDS and self._size <= RECENT_BYTES:
                break
            self._recent.popleft()
            self._size -= len(oldest)

    def _on_transaction(self, event: Any) -> None:
        if not self._incoming:
            return
        self._incoming = False
        if len(event.delete_set) <= 1:
            return
        dropped = born_deleted(event.before_state, event.delete_set)
        for client, ranges in dropped.items():
            self._dropped.setdefault(client, []).extend(ranges)
        if dropped:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(QUIET, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dropped, self._dropped = self._dropped, {}
        if dropped:
            updates = [update for _, update in self._recent]
            task = asyncio.get_running_loop().create_task(self._keep(updates, dropped))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)


class LateEditsKeeper:
    """Makes versions of the late edits in a server's rooms, and tells people of them."""

    def __init__(
        self, notices: Notices, checkpointer: Callable[[], Checkpointer | None], log: Logger
    ) -> None:
        """`checkpointer` gives None until the archive is open."""
        self._notices = notices
        self._checkpointer = checkpointer
        self._log = log
        self._watched: WeakKeyDictionary[Any, LateEdits] = WeakKeyDictionary()

    def watch(self, room: Any, entry: DocumentState) -> None:
        """Keep the late edits in a room of jupyter_server_ydoc, whose document is `entry`."""
        checkpointer = self._checkpointer()
        if checkpointer is None or room in self._watched:
            return

        async def keep(updates: Sequence[bytes], dropped: Ranges) -> None:
            late = await self._kept(checkpointer, entry, updates, dropped)
            if late is not None:
                self._tell(entry.document.path, late)

        self._watched[room] = LateEdits(room, keep)

    async def finish(self, within: float) -> None:
        """Keep what there is to keep, within so many seconds. What that does not do for is told."""
        pending = [late for late in list(self._watched.values()) if late.pending]
        tasks = [asyncio.create_task(late.keep_now()) for late in pending]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=within)
        for task in left:
            task.cancel()
        if left:
            self._log.error(
                "Late edits to %d documents, whose files another program changed, are not "
                "archived: the bucket did not accept them before the server stopped. The tabs "
                "where they were typed keep them until they are reloaded.",
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
                    self._log.error(
                        "Late edits to %s, whose file another program changed, are not "
                        "archived: %s",
                        entry.document.path,
                        error,
                    )
                if not isinstance(error, BucketError):
                    return None
            attempt += 1
            await asyncio.sleep(health.pause(attempt))

    def _tell(self, path: str, late: Late) -> None:
        message = (
            f"Another program changed the file {path}, and cells that somebody typed into are "
            f"gone. The document doesn't have the typed text; version {late.version_id} has it."
        )
        self._log.warning("%s", message)
        self._notices.add(path, "late edits", late.version_id, message)
