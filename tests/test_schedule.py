"""When a document is next checkpointed, evicted or looked at in the bucket."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from bookstore_y.replication.schedule import Due, Policy, Surroundings, Timing, next_due

NOW = 1000.0
NEVER = math.inf

POLICY = Policy(interval=10, max_delay=30.0, idle_delay=3.0, ttl=300.0)

CLOSED = Timing(
    id=0,
    pending=0,
    first_pending=0.0,
    last_activity=NOW,
    pulled_at=NOW,
    is_open=False,
    is_buffered=True,
    has_version=True,
    noted=False,
    attempts=0,
    retry_at=0.0,
)
OPEN = replace(CLOSED, is_open=True)
TYPED = replace(OPEN, pending=1, first_pending=NOW)
"""Its first update has just come."""

CALM = Surroundings()
AWAY = Surroundings(bucket_is_away=True)
REFUSING = Surroundings(disk_refuses=True)


@pytest.mark.parametrize(
    ("timing", "what", "at"),
    [
        pytest.param(TYPED, "checkpoint", NOW + 3, id="after a pause in typing"),
        pytest.param(
            replace(TYPED, first_pending=NOW - 28), "checkpoint", NOW + 2, id="typing goes on"
        ),
        pytest.param(replace(TYPED, pending=10), "checkpoint", 0.0, id="many updates"),
        pytest.param(replace(TYPED, pending=9), "checkpoint", NOW + 3, id="not quite as many"),
        pytest.param(
            replace(TYPED, attempts=1, retry_at=NOW + 9), "checkpoint", NOW + 9, id="it failed"
        ),
        pytest.param(
            replace(TYPED, pending=10, attempts=1, retry_at=NOW + 9),
            "checkpoint",
            NOW + 9,
            id="many updates, and it failed",
        ),
        pytest.param(CLOSED, "evict", NOW + 300, id="closed"),
        pytest.param(replace(CLOSED, last_activity=NOW - 300), "evict", NOW, id="closed for long"),
        pytest.param(replace(CLOSED, noted=True), "evict", NOW + 300, id="closed, with notes"),
        pytest.param(replace(CLOSED, is_buffered=False), "pull", NEVER, id="evicted and closed"),
        pytest.param(OPEN, "pull", NOW + 30, id="open"),
        pytest.param(
            replace(OPEN, last_activity=NOW - 299), "evict", NOW + 1, id="open, idle for long"
        ),
        pytest.param(
            replace(OPEN, last_activity=NOW - 300, pulled_at=NOW - 400),
            "evict",
            NOW,
            id="eviction comes before looking, where both are due",
        ),
        pytest.param(
            replace(OPEN, last_activity=NOW - 300, noted=True),
            "pull",
            NOW + 300,
            id="open and idle, with notes: it stays, and others are looked for less often",
        ),
        pytest.param(
            replace(OPEN, last_activity=NOW - 300, is_buffered=False),
            "pull",
            NOW + 300,
            id="open, idle, and evicted already",
        ),
        pytest.param(
            replace(OPEN, has_version=False), "evict", NOW + 300, id="open, and in no version"
        ),
    ],
)
def test_what_is_due_while_all_is_well(timing: Timing, what: str, at: float) -> None:
    assert next_due(timing, POLICY, CALM, NOW) == Due(at, what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timing", "what", "at"),
    [
        pytest.param(TYPED, "checkpoint", NOW + 3, id="what has not failed is tried"),
        pytest.param(
            replace(TYPED, attempts=1), "checkpoint", NEVER, id="what has failed waits for it"
        ),
        pytest.param(
            replace(TYPED, pending=10, attempts=1, retry_at=NOW), "checkpoint", NEVER, id="much"
        ),
        pytest.param(OPEN, "evict", NOW + 300, id="nothing is looked for"),
    ],
)
def test_what_is_due_while_the_bucket_is_away(timing: Timing, what: str, at: float) -> None:
    assert next_due(timing, POLICY, AWAY, NOW) == Due(at, what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timing", "at"),
    [
        pytest.param(TYPED, 0.0, id="at once"),
        pytest.param(replace(TYPED, attempts=1, retry_at=NOW + 9), NOW + 9, id="it failed"),
    ],
)
def test_the_bucket_is_the_only_safe_place_while_the_disk_refuses(
    timing: Timing, at: float
) -> None:
    assert next_due(timing, POLICY, REFUSING, NOW) == Due(at, "checkpoint")


def test_documents_that_were_opened_together_are_not_all_due_together() -> None:
    typing: dict[str, Any] = {"pending": 1, "first_pending": NOW, "last_activity": NOW + 100}
    dues = sorted(
        next_due(replace(OPEN, id=each, **typing), POLICY, CALM, NOW).at - NOW
        for each in range(100)
    )
    assert 27.0 <= dues[0] < dues[-1] <= 30.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(dues)]
    assert max(gaps) < 0.1
