"""What the processes under test wrote to their log: is there anything that nobody handled?"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")

_TROUBLE = re.compile(
    r"Traceback \(most recent call last\)|was never retrieved|was never awaited|panicked at"
    r"|Fatal Python error|Unclosed|Exception ignored"
)

OUTAGE = (
    "Archiving is paused; edits stay in the buffer",
    r" is not archived: ",
    " stays in the buffer: ",
)
"""The checkpointer's own words about a bucket that cannot be used."""


def log_to(path: Path) -> None:
    """Have this process, its standard error included, append to the log at `path`."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stderr, force=True)
    logging.getLogger("aiobotocore").setLevel(logging.WARNING)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    warnings.simplefilter("default", ResourceWarning)


def unhandled(path: Path, expected: Sequence[str] = ()) -> list[str]:
    """The records of a log that tell of an error, beginnings only, without those `expected`."""
    allowed = [re.compile(pattern) for pattern in expected]
    found = []
    for record in _records(path):
        level = _RECORD.match(record)
        bad = level is not None and level[1] in ("ERROR", "CRITICAL")
        if bad and any(pattern.search(record) for pattern in allowed):
            bad = False
        if bad or _TROUBLE.search(record):
            found.append(record.strip()[:2000])
    return found


def count(path: Path, pattern: str) -> int:
    """How many records of a log match."""
    return sum(re.search(pattern, record) is not None for record in _records(path))


def _records(path: Path) -> Iterator[str]:
    """The log in pieces that begin with a record's first line."""
    if not path.exists():
        return
    record: list[str] = []
    with path.open(errors="replace") as lines:
        for line in lines:
            if record and _RECORD.match(line):
                yield "".join(record)
                record = []
            record.append(line)
    if record:
        yield "".join(record)
