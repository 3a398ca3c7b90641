"""Crew: the clients of one load process, what they measure, and their copies at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment

from .address import Address
from .client import Client
from .copies import content_of, digest

Send = Callable[[str, dict[str, Any]], None]

ORDER = "stress-order"
TICK = "stress-tick"
SETTLE = "stress-settle"
FINISH = "stress-finish"
COPY = "stress-copy"
DONE = "stress-done"
"""Names of the messages between the master and the crews, as Locust carries them: from the master,
what to do; each second, a crew's figures; from the master, that the load is over, and that all is
seen; from the crews, each client's copy and edits, and that there are no more."""

_INTERVAL = 1.0
_LAG_INTERVAL = 0.05


class Crew:
    """Clients that outlive Locust's users: a user types, and its client goes on receiving.

    Client number n works on document n modulo the number of documents; of each document's clients
    one after the other is at the next server.
    """

    def __init__(
        self,
        environment: Environment,
        send: Send,
        documents: Sequence[str],
        servers: Sequence[Address],
        seed: int,
        place: tuple[int, int],
    ) -> None:
        self.clients: list[Client] = []
        self._environment = environment
        self._send = send
        self._documents = documents
        self._servers = servers
        self._seed = seed
        self._place = place
        """Which crew this is, and of how many; they take different numbers for their clients."""
        self._settling = False
        self._latencies: list[float] = []
        self._late: list[float] = []
        self._lag = 0.0
        self._errors: dict[str, int] = {}
        self._greenlets = [gevent.spawn(self._tick), gevent.spawn(self._watch_lag)]

    def admit(self) -> tuple[int, Client]:
        """A new client, not connected yet, and its number."""
        index, crews = self._place
        number = len(self.clients) * crews + index
        client = self._client(f"c{number}", number)
        self.clients.append(client)
        return number, client

    def rank(self, number: int) -> int:
        """Which of the clients of its document one is, from 0."""
        return number // len(self._documents)

    def role(self, number: int, roles: int) -> int:
        """One of so many roles, so that the clients of a document have different ones, and other
        ones than those of the next document."""
        return (self.rank(number) + number % len(self._documents)) % roles

    def settle(self) -> None:
        """Have all come back, and with them a newcomer to each document."""
        if self._settling:
            return
        self._settling = True
        if self._place[0] == 0:
            for number, _ in enumerate(self._documents):
                for server in range(len(self._servers)):
                    number_there = server * len(self._documents) + number
                    self.clients.append(self._client(f"newcomer{server}", number_there))
        for client in self.clients:
            gevent.spawn(client.come)

    def finish(self) -> None:
        """Send all copies and edits, and leave."""
        for client in self.clients:
            self._send(COPY, self._copy(client))
        self.disband()
        self._send(DONE, {"index": self._place[0]})

    def disband(self) -> None:
        """Have all clients leave for good."""
        for client in self.clients:
            client.end()
        gevent.killall(self._greenlets)

    # -- what clients tell ---------------------------------------------------------------------

    def arrived(self, seconds: float, *, live: bool) -> None:
        """Note an arrival, and have Locust's page show it."""
        (self._latencies if live else self._late).append(seconds)
        if live:
            self._fire("edit", "to peer", seconds, None)

    def requested(self, kind: str, seconds: float, error: Exception | None) -> None:
        """Note a request, and have Locust's page show it."""
        if error is not None:
            said = f"{kind}: {type(error).__name__}"
            self._errors[said] = self._errors.get(said, 0) + 1
        self._fire("rtc", kind, seconds, error)

    # -- within --------------------------------------------------------------------------------

    def _client(self, name: str, number: int) -> Client:
        return Client(
            name,
            self._documents[number % len(self._documents)],
            self._servers[self.rank(number) % len(self._servers)],
            self,
            random.Random(f"{self._seed} {name}"),
        )

    def _fire(self, kind: str, name: str, seconds: float, error: Exception | None) -> None:
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={},
        )

    def _tick(self) -> None:
        while True:
            gevent.sleep(_INTERVAL - time.time() % _INTERVAL)
            latencies, self._latencies = self._latencies, []
            late, self._late = self._late, []
            errors, self._errors = self._errors, {}
            lag, self._lag = self._lag, 0.0
            self._send(
                TICK,
                {
                    "index": self._place[0],
                    "at": time.time(),
                    "clients": len(self.clients),
                    "joined": sum(client.joined for client in self.clients),
                    "connected": sum(client.connected for client in self.clients),
                    "edits": sum(len(client.author.edits) for client in self.clients),
                    "latencies": latencies,
                    "late": late,
                    "lag": lag,
                    "errors": errors,
                    "copies": self._digests() if self._settling else None,
                },
            )

    def _digests(self) -> list[tuple[str, bool, str]]:
        return [
            (client.document, client.connected, digest(content_of(client.notebook.ydoc)))
            for client in self.clients
        ]

    def _copy(self, client: Client) -> dict[str, Any]:
        return {
            "client": client.name,
            "document": client.document,
            "update": client.notebook.ydoc.get_update(),
            "edits": client.author.edits,
            "conflicts": client.conflicts,
            "refusals": client.refusals,
            "error": repr(client.error) if client.error else None,
        }

    def _watch_lag(self) -> None:
        """How late this process itself is, which adds to every latency it measures."""
        while True:
            asked = time.monotonic()
            gevent.sleep(_LAG_INTERVAL)
            self._lag = max(self._lag, time.monotonic() - asked - _LAG_INTERVAL)
