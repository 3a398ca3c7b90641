"""Scheduler: one timer for each document, and one task at a time for what is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

from .document import DocumentState
from .schedule import Due


class Scheduler:
    """The timers and running tasks of one checkpointer's documents.

    `due` says what is next to be done for a document, `run` does it; `is_registered` says whether
    a document is to be scheduled again afterwards.
    """

    def __init__(
        self,
        due: Callable[[DocumentState], Due],
        run: Callable[[DocumentState], Coroutine[Any, Any, None]],
        is_registered: Callable[[DocumentState], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._due = due
        self._run = run
        self._is_registered = is_registered
        self._spawn = spawn
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._open = False

    def open(self) -> None:
        """From now on, documents may be scheduled."""
        self._open = True

    def stop(self) -> None:
        """Start nothing more. What is running goes on, until it is cancelled."""
        self._open = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def forget_running(self) -> None:
        """All tasks have ended, also those that were cancelled before they began."""
        self._running.clear()

    def is_running(self, entry: DocumentState) -> bool:
        """Whether something is being done for a document."""
        return entry.id in self._running

    def arm(self, entry: DocumentState) -> None:
        """Set the document's one timer to when something is next due."""
        self.disarm(entry)
        if not self._open or self.is_running(entry):
            return
        loop = asyncio.get_running_loop()
        delay = self._due(entry).at - loop.time()
        if delay <= 0:
            self.start(entry)
        elif delay < math.inf:
            self._timers[entry.id] = loop.call_later(delay, self.arm, entry)

    def disarm(self, entry: DocumentState) -> None:
        """Have nothing start for a document by itself."""
        timer = self._timers.pop(entry.id, None)
        if timer is not None:
            timer.cancel()

    def start(self, entry: DocumentState) -> None:
        """Do what there is to do for a document now, unless something is being done."""
        if not self.is_running(entry):
            self.disarm(entry)
            self._running[entry.id] = self._spawn(self._run_and_arm(entry))

    async def _run_and_arm(self, entry: DocumentState) -> None:
        try:
            await self._run(entry)
        finally:
            if self._running.get(entry.id) is asyncio.current_task():
                del self._running[entry.id]
                if self._is_registered(entry):
                    self.arm(entry)
