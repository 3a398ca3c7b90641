"""Times as people write them: ISO 8601, a date, `2h` ago, `yesterday 14:00`."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, time, timedelta, timezone

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_AGO = re.compile(
    r"(\d{1,6})\s*(s|m|h|d|w|sec|second|min|minute|hour|day|week)s?(?:\s+ago)?", re.IGNORECASE
)

_DAYS = {"today": 0, "yesterday": 1}

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

HELP = "ISO 8601, a date, how long ago (2h, 3 days) or a day and time (yesterday 14:00)"
"""What `moment` understands, for a help text."""


def moment(text: str) -> datetime:
    """The moment that `text` means, with its time zone; local where it names none. For argparse.

    A date alone is its beginning; a weekday is the last one before today. Raises
    `argparse.ArgumentTypeError`.
    """
    now = datetime.now().astimezone()
    said = text.strip().lower()
    if said == "now":
        return now
    try:
        ago = _AGO.fullmatch(said)
        if ago:
            return now - timedelta(**{_UNITS[ago[2][0]]: int(ago[1])})
        day, _, clock = said.partition(" ")
        days = _days_ago(day, now)
        if days is not None:
            date = now.date() - timedelta(days=days)
            at = _clock(clock.removeprefix("at ")) if clock else time()
            return datetime.combine(date, at).astimezone()
        return _iso(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write {HELP}") from None


def local(when: datetime) -> str:
    """A moment for a person: local time, to the second."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(when: datetime) -> str:
    """How long ago that was, in its largest unit: `5 min ago`."""
    seconds = (datetime.now(timezone.utc) - when).total_seconds()
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"


def _days_ago(day: str, now: datetime) -> int | None:
    if day in _DAYS:
        return _DAYS[day]
    if day in _WEEKDAYS:
        return (now.weekday() - _WEEKDAYS.index(day)) % 7 or 7
    return None


def _clock(text: str) -> time:
    hours, _, rest = text.partition(":")
    return time.fromisoformat(f"{hours:0>2}:{rest or '00'}")


def _iso(text: str) -> datetime:
    if text.endswith(("Z", "z")):  # which Python 3.10 does not read
        text = f"{text[:-1]}+00:00"
    return datetime.fromisoformat(text)
