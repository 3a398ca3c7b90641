"""Whether this machine's clock agrees with the server's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ...errors import BookstoreError
from .findings import Finding

SKEW_LIMIT = timedelta(minutes=15)
"""By how much S3 lets a client's clock differ (Amazon S3 API Reference, `RequestTimeTooSkewed`)."""

SKEW_WARNING = timedelta(minutes=1)


def check_clock(skew: timedelta) -> Finding:
    """Whether the clocks agree, from how far the server's is ahead."""
    off = abs(skew)
    ahead = "behind" if skew > timedelta() else "ahead of"
    message = f"This machine's clock is {off.total_seconds():.0f} s {ahead} the server's."
    if off < SKEW_WARNING:
        return Finding("clock", "ok", "This machine's clock and the server's agree.")
    return Finding(
        "clock",
        "failed" if off >= SKEW_LIMIT else "warning",
        message,
        "Set the clock (NTP); S3 refuses requests that are off by 15 minutes.",
    )


def skew_of(error: BookstoreError) -> timedelta | None:
    """The clock of a server that refused, by the date of its answer."""
    answer: Any = getattr(error.__cause__, "response", {})
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not said:
        return None
    try:
        return parsedate_to_datetime(said) - datetime.now(timezone.utc)
    except ValueError:
        return None
