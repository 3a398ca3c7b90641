"""Mail: updates between documents that arrive late, out of order, and more than once."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from pycrdt import Doc, TransactionEvent

_TWICE = 0.1
"""Share of the updates that arrive twice."""


class Mail:
    """Carries what each document does to all others, in disorder."""

    def __init__(self, docs: list[Doc[Any]], chance: Random) -> None:
        self._docs = docs
        self._chance = chance
        self._waiting: list[list[bytes]] = [[] for _ in docs]
        self._delivering = False
        for number, doc in enumerate(docs):
            doc.observe(self._sender(number))

    def deliver_some(self) -> None:
        """Have one document receive some of what waits for it, in any order."""
        number = self._chance.randrange(len(self._docs))
        waiting = self._waiting[number]
        self._chance.shuffle(waiting)
        for _ in range(self._chance.randint(0, len(waiting))):
            self._receive(number, waiting.pop())

    def deliver_all(self) -> None:
        """Have every document receive all that waits for it, in any order."""
        for number, waiting in enumerate(self._waiting):
            self._chance.shuffle(waiting)
            while waiting:
                self._receive(number, waiting.pop())

    def _receive(self, number: int, update: bytes) -> None:
        self._delivering = True
        try:
            self._docs[number].apply_update(update)
            if self._chance.random() < _TWICE:
                self._docs[number].apply_update(update)
        finally:
            self._delivering = False

    def _sender(self, sender: int) -> Callable[[TransactionEvent], None]:
        def send(event: TransactionEvent) -> None:
            if self._delivering:
                return
            update = event.update
            for number, waiting in enumerate(self._waiting):
                if number != sender:
                    waiting.append(update)

        return send
