"""Mail: updates between documents that arrive late, and now and then twice."""

from __future__ import annotations

from random import Random
from typing import Any

from pycrdt import Doc, TransactionEvent

_TWICE = 0.1
"""Share of the updates after which an older one comes once more."""


class Mail:
    """Carries what each document does to all others, in one order, as a server does.

    They read it at different times, so that edits are made side by side.
    """

    def __init__(self, docs: list[Doc[Any]], chance: Random) -> None:
        self.sent: list[bytes] = []
        """All updates, in the order in which they were made."""
        self._docs = docs
        self._chance = chance
        self._read = [0] * len(docs)
        self._delivering = False
        for doc in docs:
            doc.observe(self._send)

    def deliver_some(self) -> None:
        """Have one document receive some of what waits for it."""
        number = self._chance.randrange(len(self._docs))
        self._deliver(number, self._chance.randint(self._read[number], len(self.sent)))

    def deliver_all(self) -> None:
        """Have every document receive all that waits for it."""
        for number in range(len(self._docs)):
            self._deliver(number, len(self.sent))

    def _deliver(self, number: int, until: int) -> None:
        self._delivering = True
        try:
            for at in range(self._read[number], until):
                # One's own come back, too, and change nothing.
                self._docs[number].apply_update(self.sent[at])
                if self._chance.random() < _TWICE:
                    self._docs[number].apply_update(self.sent[self._chance.randint(0, at)])
        finally:
            self._delivering = False
        self._read[number] = until

    def _send(self, event: TransactionEvent) -> None:
        if not self._delivering:
            self.sent.append(event.update)
