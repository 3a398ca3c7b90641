"""Inside a process under test: the moments at which it can be killed."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
from dataclasses import dataclass
from typing import Any

from bookstore_y.archive.archive import Archive
from bookstore_y.buffer.database import Buffer
from bookstore_y.s3.bucket import Bucket
from bookstore_y.store import S3YStore

from .worker import Link

PHASES = (
    "write",
    "checkpoint",
    "put",
    "put-acknowledged",
    "persisted",
    "evict",
    "evicted",
    "stopping",
    "closing",
)
"""An update was acknowledged; a checkpoint began; its PUT was sent; the PUT was acknowledged and
the buffer does not know yet; the buffer knows; an eviction began, and ended; a store was told to
stop; the buffer was told to close."""


@dataclass(frozen=True)
class Aim:
    """Die `delay` seconds after a phase was reached for the `nth` time."""

    phase: str
    nth: int
    delay: float = 0.0


class Announcer:
    """Tells the harness of each phase, and dies where it was aimed at.

    The process sends SIGKILL to itself there: from outside it would come some moments too late
    for the short phases, and no signal handler, `finally` or `atexit` runs either way.
    """

    def __init__(self, link: Link, aim: Aim | None) -> None:
        self._link = link
        self._aim = aim
        self._times = 0
        self._loop = asyncio.get_running_loop()

    def watch(self) -> None:
        """Announce every phase of the stores of this process from now on."""
        self._wrap(Archive, "save", before="checkpoint")
        self._wrap(Bucket, "put", before="put", after="put-acknowledged")
        self._wrap(Buffer, "mark_persisted", after="persisted")
        self._wrap(Buffer, "evict", before="evict", after="evicted")
        self._wrap(S3YStore, "stop", before="stopping")
        self._wrap(Buffer, "close", before="closing")

    def announce(self, phase: str) -> None:
        if phase != "write":
            self._link.phase(phase)
        if self._aim is None or self._aim.phase != phase:
            return
        self._times += 1
        if self._times == self._aim.nth:
            if phase == "write":
                self._link.phase(phase)
            if self._aim.delay:
                # Some phases are reached in other threads.
                self._loop.call_soon_threadsafe(self._loop.call_later, self._aim.delay, _die)
            else:
                _die()

    def _wrap(self, owner: type, name: str, before: str = "", after: str = "") -> None:
        plain = getattr(owner, name)

        if inspect.iscoroutinefunction(plain):

            @functools.wraps(plain)
            async def announced(*args: Any, **kwargs: Any) -> Any:
                if before:
                    self.announce(before)
                answer = await plain(*args, **kwargs)
                if after:
                    self.announce(after)
                return answer

        else:

            @functools.wraps(plain)
            def announced(*args: Any, **kwargs: Any) -> Any:
                if before:
                    self.announce(before)
                answer = plain(*args, **kwargs)
                if after:
                    self.announce(after)
                return answer

        setattr(owner, name, announced)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
