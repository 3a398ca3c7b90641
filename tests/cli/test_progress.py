"""What a command says at its end of what it did, and at which rate."""

from __future__ import annotations

import time

import pytest

from bookstore_y.cli._progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test, in seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_rates_are_said_of_work_that_takes_its_time(clock: list[float]) -> None:
    with Progress("Pulling", "notebook", None, shown=False) as progress:
        clock[0] += 4.0
        progress.advance(1000, bytes=8_000_000)
        assert progress.summary() == "1,000 notebooks, 8.0 MB in 4.0 s (250/s, 2.0 MB/s)"
        assert progress.summary(rated=False) == "1,000 notebooks, 8.0 MB in 4.0 s"


def test_work_of_a_moment_has_no_rate(clock: list[float]) -> None:
    with Progress("Pulling", "notebook", None, shown=False) as progress:
        clock[0] += 1.9
        progress.advance(bytes=160)
        assert progress.summary() == "1 notebook, 160 B in 1.9 s"
