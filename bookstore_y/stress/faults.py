"""Faults: what is done to the servers and the bucket in the middle of the load, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .relay import Relay
from .result import Event
from .server import Server

Step = tuple[float, Callable[[], None]]


class Faults:
    """The steps of a run's faults, due at shares of its duration.

    The outage takes the fifth in the middle; a kill comes in the middle of that, a stop later.
    Without a `relay` there is no bucket to go away.
    """

    def __init__(
        self, faults: Sequence[str], duration: float, servers: Sequence[Server], relay: Relay | None
    ) -> None:
        self.events: list[Event] = []
        """What was done; `t` in seconds since the epoch."""
        self.notes: list[str] = []
        self._servers = servers
        self._outage: Relay | None = None
        self._steps: list[Step] = []
        if "outage" in faults and relay is not None:
            self._steps += [
                (0.4 * duration, lambda: self._shut(relay)),
                (0.6 * duration, lambda: self._open(relay)),
            ]
        if "kill" in faults:
            self._steps.append((0.5 * duration, self._kill))
        if "stop" in faults:
            self._steps.append(((0.7 if "kill" in faults else 0.5) * duration, self._stop))
        self._steps.sort(key=lambda step: step[0])

    def act(self, elapsed: float) -> None:
        """Do what is due, `elapsed` seconds after the load began."""
        while self._steps and self._steps[0][0] <= elapsed:
            _, step = self._steps.pop(0)
            step()

    def end(self) -> None:
        """Undo what is still to be undone, and do nothing more."""
        self._steps.clear()
        if self._outage is not None:
            self._open(self._outage)

    def _note(self, kind: str, detail: str = "") -> None:
        self.events.append(Event(time.time(), kind, detail))

    def _shut(self, relay: Relay) -> None:
        self._outage = relay
        relay.shut()
        self._note("outage begun", "the bucket refuses connections")

    def _open(self, relay: Relay) -> None:
        self._outage = None
        relay.open()
        self._note("outage ended")

    def _kill(self) -> None:
        server = self._servers[0]
        server.kill()
        self._note("server killed", "SIGKILL")
        self._start(server)

    def _stop(self) -> None:
        server = self._servers[0]
        self._note("server stopped", "SIGTERM")
        wrong = server.stop()
        if wrong is not None:
            self.notes.append(wrong)
        self._start(server)

    def _start(self, server: Server) -> None:
        server.start()
        self._note("server started", "on the same disk")
