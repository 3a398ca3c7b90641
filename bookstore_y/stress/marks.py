"""Marks: what clients type, each edit one of its own, so that a document says which edits it has.

A mark is `<c7.41.18f3a2b4c5d>`: the forty-second edit of client `c7`, made at that time, in
milliseconds since the epoch and hexadecimal; a `~` at the end says that the client was not
connected then. It is ASCII and typed as a whole, so it also stands as it is in the update that
carries it, and a receiver sees how old it is without looking for it in the document.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass

MARK = re.compile(r"<([a-z]+\d+)\.(\d+)\.([0-9a-f]+)(~?)>")
_IN_BYTES = re.compile(MARK.pattern.encode())

SEED = "seed0"
"""Who made the marks that a document begins with."""


@dataclass(frozen=True)
class Arrival:
    """A mark that came in an update."""

    client: str
    made: float
    """Seconds since the epoch."""
    offline: bool
    """Whether its author was not connected when it was made."""


def make(client: str, number: int, *, offline: bool = False, at: float | None = None) -> str:
    """The mark of a client's edit, made now or at `at` (seconds since the epoch)."""
    made = time.time() if at is None else at
    return f"<{client}.{number}.{int(made * 1000):x}{'~' if offline else ''}>"


def author(mark: str) -> str:
    """The client that made a mark."""
    return mark[1 : mark.index(".")]


def count(text: str) -> Counter[str]:
    """How often each mark is in a text."""
    return Counter(found[0] for found in MARK.finditer(text))


def arrivals(update: bytes) -> list[Arrival]:
    """The newest mark of each author in a Yjs v1 update, and when it was made.

    The others are not new to who receives it, as what is in a cell that was moved, or they came
    together with the newest, and say no more of the way than that.
    """
    newest: dict[bytes, Arrival] = {}
    for client, _, made, offline in _IN_BYTES.findall(update):
        arrival = Arrival(client.decode(), int(made, 16) / 1000, bool(offline))
        if client not in newest or newest[client].made < arrival.made:
            newest[client] = arrival
    return list(newest.values())
