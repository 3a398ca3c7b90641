"""Sampling: how the servers are doing, asked once a second while the load runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .address import Address
from .server import get

_INTERVAL = 1.0
_WITHIN = 5.0


@dataclass(frozen=True)
class Reading:
    """What one server said, `at` seconds since the epoch."""

    at: float
    server: int
    loop_lag: float | None
    checkpoint_lag: float | None
    pending_updates: int | None
    rss: int | None


class Sampler:
    """While entered, asks each server in a thread of its own.

    A server without our probe is timed: how long `/api/status` takes stands for how late its loop
    is, and bookstore_y's state, if it has that, says what is pending.
    """

    def __init__(self, servers: Sequence[Address]) -> None:
        self.readings: list[Reading] = []
        self._servers = servers
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Sampler:
        for number, address in enumerate(self._servers):
            thread = threading.Thread(target=self._follow, args=(number, address), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, number: int, address: Address) -> None:
        while not self._ending.wait(_INTERVAL):
            reading = _read(number, address)
            if reading is not None:
                self.readings.append(reading)


def _read(number: int, address: Address) -> Reading | None:
    said: Any = get(address, "/api/bookstore-stress", _WITHIN)
    if said is not None:
        return Reading(time.time(), number, **said)
    began = time.monotonic()
    if get(address, "/api/status", _WITHIN) is None:
        return None
    took = time.monotonic() - began
    state = get(address, "/api/bookstore", _WITHIN) or {}
    return Reading(time.time(), number, took, None, state.get("pending_updates"), None)
