"""What a server's log has of errors that nobody handled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_BEGINNING = re.compile(r"Traceback \(most recent call last\):\s*")
_WIDTH = 160


def tracebacks(log: str) -> Counter[str]:
    """The last line of each traceback, and how often it is there."""
    found: Counter[str] = Counter()
    indent: int | None = None
    for line in log.splitlines():
        stripped = line.lstrip()
        if _BEGINNING.match(stripped):
            indent = len(line) - len(stripped)
        elif indent is not None and stripped and len(line) - len(stripped) <= indent:
            found[stripped[:_WIDTH]] += 1
            indent = None
    return found


def notes(logs: Iterable[Path]) -> list[str]:
    """A sentence on the tracebacks in these logs; none without any."""
    found: Counter[str] = Counter()
    for log in logs:
        if log.exists():
            found += tracebacks(log.read_text(encoding="utf-8", errors="replace"))
    if not found:
        return []
    said = "; ".join(f"{count} times {line}" for line, count in found.most_common(3))
    return [f"{found.total()} tracebacks are in the servers' logs, the most frequent: {said}"]
