"""Retention: which versions of one key a policy keeps. Pure functions.

Of every hour, day and month (in UTC) the newest version stays: what the document was at the end
of it. Hours make up days, and days months, so a finer rule has kept what a coarser one keeps later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..s3.objects import ObjectVersion

FOREVER = timedelta.max

_UNITS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "mo": timedelta(days=31),
    "y": timedelta(days=366),
}
_DURATION = re.compile(r"(\d{1,9})\s*(s|min|h|d|w|mo|y)?")


@dataclass(frozen=True)
class Policy:
    """For how long all versions are kept; then one an hour, one a day, one a month. `deleted` is
    how long after its deletion a file is kept at all."""

    keep_all: timedelta = timedelta(days=7)
    hourly: timedelta = timedelta(days=30)
    daily: timedelta = timedelta(days=366)
    monthly: timedelta = FOREVER
    deleted: timedelta = FOREVER


def duration(text: str) -> timedelta:
    """`7d`, `12h`, `6w`, `3mo` (of 31 days), `1y` (of 366), `90min`, `0`, or `forever`.

    Raises `ValueError`.
    """
    text = text.strip().lower()
    if text == "forever":
        return FOREVER
    match = _DURATION.fullmatch(text)
    if match is None or (match[2] is None and int(match[1]) != 0):
        raise ValueError(
            f"{text!r} is not a duration; write a number followed by s, min, h, d, w, mo or y, "
            "or 'forever'."
        )
    try:
        return int(match[1]) * _UNITS[match[2] or "s"]
    except OverflowError:
        return FOREVER


def superfluous(
    entries: Sequence[ObjectVersion],
    policy: Policy,
    now: datetime,
    protected: Collection[str] = (),
) -> list[ObjectVersion]:
    """Those versions and delete markers of one key that may go, oldest first.

    `entries` are all of the key's, newest first; `protected` are the ids of versions that stay
    in any case. So does the current version, and of a deleted file the last one, until the file
    has been deleted for longer than `policy.deleted`. A delete marker stays for as long as there
    is an older version that it hides: if the newest entry goes last, nothing deleted comes back.
    """
    if not entries:
        return []
    kept = set(protected)
    if not entries[0].is_delete_marker or _is_young(entries[0], policy.deleted, now):
        kept |= _kept_by_age(entries, policy, now)
        kept |= {next((e.version_id for e in entries if not e.is_delete_marker), "")}

    going = []
    below: ObjectVersion | None = None
    """The next older entry that stays."""
    for entry in reversed(entries):
        if entry.is_delete_marker:
            hides = below is not None and (not below.is_delete_marker or entry is entries[0])
            stays = hides or _is_young(entry, policy.keep_all, now)
        else:
            stays = entry.version_id in kept
        if stays:
            below = entry
        else:
            going.append(entry)
    return going


def _kept_by_age(entries: Sequence[ObjectVersion], policy: Policy, now: datetime) -> set[str]:
    kept = set()
    periods: set[tuple[int, ...]] = set()
    for entry in entries:
        if entry.is_delete_marker:
            continue
        if _is_young(entry, policy.keep_all, now):
            kept.add(entry.version_id)
        time = entry.last_modified.astimezone(timezone.utc)
        parts = (time.year, time.month, time.day, time.hour)
        for length, horizon in ((2, policy.monthly), (3, policy.daily), (4, policy.hourly)):
            period = parts[:length]
            if period not in periods and _is_young(entry, horizon, now):
                periods.add(period)
                kept.add(entry.version_id)
    return kept


def _is_young(entry: ObjectVersion, horizon: timedelta, now: datetime) -> bool:
    # Versions of a clock that is ahead are young.
    return horizon == FOREVER or now - entry.last_modified <= horizon
