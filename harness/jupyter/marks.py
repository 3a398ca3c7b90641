"""Marks: uniquely named insertions by which every lost or doubled edit can be told.

A mark is `⟦a17⟧`: the seventeenth insertion by the client named `a`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_MARK = re.compile(r"⟦([a-z]+)(\d+)⟧")


def mark_text(author: str, number: int) -> str:
    """The text of one mark. `author` must be of lower-case letters alone."""
    text = f"⟦{author}{number}⟧"
    if not _MARK.fullmatch(text):
        raise ValueError(f"not the name of an author: {author!r}")
    return text


def find_marks(texts: Iterable[str]) -> Counter[str]:
    """How often each whole mark occurs in `texts`."""
    return Counter(match.group() for text in texts for match in _MARK.finditer(text))


def author_of(mark: str) -> str:
    """The name of the client that made `mark`."""
    match = _MARK.fullmatch(mark)
    if match is None:
        raise ValueError(f"not a mark: {mark!r}")
    return match.group(1)


def doubled(marks: Counter[str]) -> dict[str, int]:
    """The marks that occur more than once, with their counts."""
    return {mark: count for mark, count in marks.items() if count > 1}
