"""Late edits: what people typed into cells that a reset to the file has deleted meanwhile.

They were away when it happened, or their keystrokes were on the way. Yjs drops what is inserted
into something that is deleted: it is in the messages of their clients, and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import Any

from pycrdt import YMessageType, YSyncMessageType, read_message

from ..ydoc.summary import Ranges, born_deleted
from ..ydoc.updates import EMPTY_UPDATE

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

    async def settle(self) -> None:
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
