"""Writer: one client's random edits of a text that others edit too."""

from __future__ import annotations

from random import Random

from pycrdt import Text

from ._result import MARK, Edits, mark

_DELETED = 0.2
"""Share of the edits that delete an earlier one of the same author."""


class Writer:
    """Types marks between the marks that are there, and deletes some of its own."""

    def __init__(self, name: str, chance: Random) -> None:
        self.name = name
        self.chance = chance
        self.edits = Edits()

    def next_mark(self) -> str:
        """A mark that nobody has made before."""
        made = mark(self.name, len(self.edits.made))
        self.edits.made.add(made)
        return made

    def edit(self, text: Text) -> None:
        """One edit of `text`."""
        content = str(text)
        marks = list(MARK.finditer(content))
        mine = [each for each in marks if each[0] in self.edits.made]
        if mine and self.chance.random() < _DELETED:
            chosen = self.chance.choice(mine)
            begin, end = (_bytes(content, at) for at in chosen.span())
            del text[begin:end]
            self.edits.deleted.add(chosen[0])
            return
        places = [0, *(each.end() for each in marks)]
        text.insert(_bytes(content, self.chance.choice(places)), self.next_mark())


def writers_of(clients: int, seed: int) -> list[Writer]:
    """`c0`, `c1`, … with chances of their own."""
    return [Writer(f"c{number}", Random(f"{seed}/{number}")) for number in range(clients)]


def all_edits(of: list[Writer]) -> Edits:
    """What all of them did."""
    together = Edits()
    for author in of:
        together.add(author.edits)
    return together


def _bytes(content: str, index: int) -> int:
    """pycrdt counts in bytes of UTF-8."""
    return len(content[:index].encode())
