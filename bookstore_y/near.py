"""Suggestions for a mistyped name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, to follow a name that is not known; empty if none is like it."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}?)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`; None if none is much like it. Case counts least."""
    folded = {each.casefold(): each for each in sorted(known, reverse=True)}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None
