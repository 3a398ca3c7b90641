"""What came of a scenario: the bucket, what the processes said, and their log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .logs import count, unhandled
from .read_back import BucketReader, compare
from .scenario import Result
from .workers import Reports

_APART = r"has two histories in .* that cannot be merged"


async def judge(
    result: Result,
    reports: Reports,
    reader: BucketReader,
    log: Path,
    expected: Sequence[str] = (),
) -> None:
    """Write into `result` all that is wrong. The log may hold errors that are `expected`."""
    await compare(reader, reports.ledger, result)
    troubles = unhandled(log, expected)
    result.unhandled += len(troubles)
    result.conflicts += reports.counts["conflicts"]
    result.failures += reports.failures + troubles[:5]
    apart = count(log, _APART)
    if apart:  # there is one history of each document
        result.failures.append(f"{apart} checkpoints took one history for two; see {log}.")
