"""Marks, and the list of those that were acknowledged, held against what can be read back.

A mark is `ab17;`: the eighteenth insertion by the author `ab` into one document. Every update
under test inserts one mark whole, so what a document says tells which updates it has, and how
often. The ledger lives in the harness's process, never in one under test.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

_MARK = re.compile(r"([a-z]+\d+);")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def author_name(number: int) -> str:
    """A short name of letters alone, another one for each number."""
    name = ""
    while True:
        number, letter = divmod(number, len(_LETTERS))
        name = _LETTERS[letter] + name
        if number == 0:
            return name
        number -= 1


@dataclass
class Difference:
    """What is wrong with a text, as the ledger knows it."""

    lost: list[str] = field(default_factory=list)
    """Marks that were acknowledged and are not there."""
    doubled: list[str] = field(default_factory=list)
    """Marks that are there more than once, acknowledged or not."""
    strange: str = ""
    """What is there besides whole marks."""

    @property
    def empty(self) -> bool:
        return not (self.lost or self.doubled or self.strange)

    def __str__(self) -> str:
        parts = [
            f"{len(marks)} {what}, the first of them {', '.join(marks[:3])}"
            for what, marks in (("lost", self.lost), ("doubled", self.doubled))
            if marks
        ]
        if self.strange:
            parts.append(f"{len(self.strange)} characters that are no marks: {self.strange[:40]!r}")
        return "; ".join(parts) or "nothing wrong"


class Ledger:
    """Which marks of which documents were acknowledged."""

    def __init__(self) -> None:
        self._marks: defaultdict[str, set[str]] = defaultdict(set)

    def acknowledge(self, document: str, mark: str) -> None:
        self._marks[document].add(mark)

    @property
    def documents(self) -> list[str]:
        """Every document of which something was acknowledged, in the order they came."""
        return list(self._marks)

    @property
    def count(self) -> int:
        """How many updates were acknowledged."""
        return sum(len(marks) for marks in self._marks.values())

    def of(self, document: str) -> set[str]:
        """The acknowledged marks of one document."""
        return self._marks.get(document, set())

    def compare(self, document: str, text: str) -> Difference:
        """Hold what a document says against what was acknowledged of it."""
        found = Counter(_MARK.findall(text))
        lost = sorted(self.of(document) - found.keys())
        doubled = sorted(mark for mark, count in found.items() if count > 1)
        return Difference(lost, doubled, _MARK.sub("", text))
