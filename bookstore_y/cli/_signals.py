"""Signals: waiting for Ctrl-C, SIGTERM or a closed terminal."""

from __future__ import annotations

import queue
import signal
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Signals:
    """While entered, holds back the signals that ask to stop, and counts them.

    Enter it in the main thread (`signal.signal` works nowhere else). Signals that were ignored
    before, as under `nohup`, stay ignored.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._arrive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; True as soon as one more signal has arrived."""
        try:
            self._arrived.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        self._arrived.put(number)  # SimpleQueue.put may be interrupted by itself, Event.set not
