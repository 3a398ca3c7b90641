"""When something is due for a document: a pure function of its state, its policy and the time.

All times are seconds of one clock, whatever it starts from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

_SPREAD = 0.1
_GOLDEN = 0.618033988749895
"""Multiples of it, taken modulo 1, are spread evenly, however many there are (Weyl's sequence)."""


@dataclass(frozen=True)
class Policy:
    """When to checkpoint and evict, and how much history to keep. Times in seconds."""

    interval: int = 200
    max_delay: float = 30.0
    idle_delay: float = 3.0
    ttl: float = 300.0
    history_updates: int = 1000
    history_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Timing:
    """What the schedule of a document depends on."""

    id: int
    pending: int
    first_pending: float
    """When the oldest pending update came."""
    last_activity: float
    pulled_at: float
    """When the bucket was last asked, or told, what is current."""
    is_open: bool
    is_buffered: bool
    """Whether there is anything to evict."""
    has_version: bool
    """Whether others may write newer versions of it."""
    noted: bool
    """Whether its room has noted what no version has, see `DocumentRecord.noted`."""
    attempts: int
    """Failures in a row."""
    retry_at: float


@dataclass(frozen=True)
class Surroundings:
    """What the schedule of every document depends on."""

    bucket_is_away: bool = False
    disk_refuses: bool = False
    """Whether updates are safe in the bucket alone."""


class Due(NamedTuple):
    """What is next to be done, and when; never if `at` is infinite."""

    at: float
    what: Literal["checkpoint", "evict", "pull"]


def next_due(timing: Timing, policy: Policy, surroundings: Surroundings, now: float) -> Due:
    """What is next to be done for a document."""
    if timing.pending:
        return Due(_checkpoint_at(timing, policy, surroundings), "checkpoint")
    evict = _evict_at(timing, policy)
    pull = _pull_at(timing, policy, surroundings, now)
    if evict <= now or evict < pull:
        return Due(evict, "evict")
    return Due(pull, "pull")


def _checkpoint_at(timing: Timing, policy: Policy, surroundings: Surroundings) -> float:
    if surroundings.bucket_is_away and timing.attempts:
        return math.inf  # the bucket is watched, and all that waits for it starts then
    if timing.pending >= policy.interval or surroundings.disk_refuses:
        return timing.retry_at
    # Documents that are opened together would all come due together; by their ids they
    # are spread evenly over the last tenth of the delay.
    patience = policy.max_delay * (1 - _SPREAD * (timing.id * _GOLDEN % 1))
    due = min(timing.first_pending + patience, timing.last_activity + policy.idle_delay)
    return max(due, timing.retry_at)


def _evict_at(timing: Timing, policy: Policy) -> float:
    # What its room goes on to write builds on what it has noted, which the bucket has not.
    if not timing.is_buffered or (timing.noted and timing.is_open):
        return math.inf
    return timing.last_activity + policy.ttl


def _pull_at(timing: Timing, policy: Policy, surroundings: Surroundings, now: float) -> float:
    """When to see whether others have written to a document that is open here."""
    if not (timing.is_open and timing.has_version) or surroundings.bucket_is_away:
        return math.inf
    idle = now - timing.last_activity >= policy.ttl
    return timing.pulled_at + (policy.ttl if idle else policy.max_delay)
