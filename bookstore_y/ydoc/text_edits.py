"""Minimal edits from one text to another: by lines, then by words in changed lines."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

COMPARISONS = 1_000_000
"""What may be spent on comparing a whole document: it takes some tenths of a second. What is not
compared by then is replaced as it is."""

_EDIT = 300
"""Comparisons that an edit counts for: to make it takes time, too, of us and of every client."""

_MANY = 4000
"""Characters of changed lines that are too many to compare all their words with each other."""

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

_Run = tuple[int, int, int]
"""What two sequences have in common: start in the old one, start in the new one, length."""


@dataclass(frozen=True)
class Edit:
    """Replace the characters `start` to `end` of the old text by `text`."""

    start: int
    end: int
    text: str


@dataclass
class Effort:
    """What may still be spent on comparing."""

    comparisons: int = COMPARISONS

    def spend(self, comparisons: int) -> bool:
        """Whether so many are left; they are spent then."""
        if comparisons > self.comparisons:
            return False
        self.comparisons -= comparisons
        return True


def edits(old: str, new: str, effort: Effort | None = None) -> list[Edit]:
    """The edits that make `old` say `new`: in order, apart, and all in positions of `old`.

    Equal lines stay as they are, and in lines that differ, equal words.
    """
    effort = effort or Effort()
    lines = _differing(0, old.splitlines(True), new.splitlines(True), effort)
    return [_trimmed(words) for hunk in lines for words in _words(hunk, effort)]


def longest_rising(numbers: Sequence[int]) -> list[int]:
    """The longest rising subsequence of distinct numbers."""
    ends: list[int] = []  # by length, the lowest number that such a subsequence may end in
    lengths: list[int] = []
    for number in numbers:
        length = bisect_left(ends, number)
        ends[length : length + 1] = [number]
        lengths.append(length)
    found: list[int] = []
    wanted = len(ends) - 1
    for number, length in zip(reversed(numbers), reversed(lengths), strict=True):
        if length == wanted and (not found or number < found[-1]):
            found.append(number)
            wanted -= 1
    return found[::-1]


@dataclass(frozen=True)
class _Difference:
    """What replaces what, from a position in the old text."""

    start: int
    old: str
    new: str


def _words(hunk: _Difference, effort: Effort) -> Iterator[_Difference]:
    """The words that differ where some lines take the place of others."""
    size = len(hunk.old) + len(hunk.new)
    lines, others = hunk.old.splitlines(True), hunk.new.splitlines(True)
    pairs = len(lines) if size > _MANY and len(lines) == len(others) else 1
    if not effort.spend(size + _EDIT * pairs):
        yield hunk
    elif pairs == 1:
        words, others = _WORDS.findall(hunk.old), _WORDS.findall(hunk.new)
        yield from _differing(hunk.start, words, others, effort)
    else:  # each line has become another, as when a name is changed
        start = hunk.start
        for line, other in zip(lines, others, strict=True):
            yield from _words(_Difference(start, line, other), effort)
            start += len(line)


def _trimmed(difference: _Difference) -> Edit:
    """The edit without the characters that both have at their ends."""
    start, old, new = difference.start, difference.old, difference.new
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    return Edit(start + head, start + len(old) - tail, new[head : len(new) - tail])


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of what both begin with. By halves, since slices are compared much faster."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _differing(start: int, old: list[str], new: list[str], effort: Effort) -> Iterator[_Difference]:
    """Where two texts, in pieces, differ; the old one begins at `start`."""
    starts = [start]
    for piece in old:
        starts.append(starts[-1] + len(piece))
    at = new_at = 0
    for start, new_start, length in [*_runs(old, new, effort), (len(old), len(new), 0)]:
        if at < start or new_at < new_start:
            replaced, by = old[at:start], new[new_at:new_start]
            yield _Difference(starts[at], "".join(replaced), "".join(by))
        at, new_at = start + length, new_start + length


def _runs(old: list[str], new: list[str], effort: Effort) -> Iterator[_Run]:
    """What both have in common, in order: their beginnings and ends, the pieces that are there
    once in either, and what difflib finds between those."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    end, new_end = len(old) - tail, len(new) - tail
    yield 0, 0, head
    at, new_at = head, head
    for start, new_start in [*_unique(old, new, (head, end, head, new_end)), (end, new_end)]:
        yield from _between(old, new, (at, start, new_at, new_start), effort)
        if start < end:
            yield start, new_start, 1
        at, new_at = start + 1, new_start + 1
    yield end, new_end, tail


_Ranges = tuple[int, int, int, int]
"""A range of the old sequence, and one of the new."""


def _unique(old: list[str], new: list[str], ranges: _Ranges) -> list[tuple[int, int]]:
    """Where the pieces are that are in either once, as many of them as are in the same order."""
    low, high, new_low, new_high = ranges
    counts, new_counts = Counter(old[low:high]), Counter(new[new_low:new_high])
    places = {
        new[index]: index for index in range(new_low, new_high) if new_counts[new[index]] == 1
    }
    pairs = {
        places[old[index]]: index
        for index in range(low, high)
        if counts[old[index]] == 1 and old[index] in places
    }
    return [(pairs[place], place) for place in longest_rising(list(pairs))]


def _between(old: list[str], new: list[str], ranges: _Ranges, effort: Effort) -> list[_Run]:
    """What difflib finds, for as long as the effort lasts: its time may grow with the cube of the
    length."""
    low, high, new_low, new_high = ranges
    if low >= high or new_low >= new_high:
        return []
    olds, news = old[low:high], new[new_low:new_high]
    often = Counter(news)
    costs = [0]
    for piece in olds:
        costs.append(costs[-1] + 1 + often[piece])
    matcher = SequenceMatcher(None, olds, news, autojunk=False)
    found: list[_Run] = []
    todo: list[_Ranges] = [(0, len(olds), 0, len(news))]
    for first, last, new_first, new_last in todo:  # which grows meanwhile
        if first == last or new_first == new_last:
            continue
        if not effort.spend(costs[last] - costs[first]):
            break
        match = matcher.find_longest_match(first, last, new_first, new_last)
        start, new_start, length = match
        if length:
            found.append((low + start, new_low + new_start, length))
            todo.append((first, start, new_first, new_start))
            todo.append((start + length, last, new_start + length, new_last))
    return sorted(found)
