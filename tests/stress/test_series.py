"""Series: ticks of several crews and readings of several servers on one axis of time."""

from __future__ import annotations

from typing import Any

from bookstore_y.stress.sampling import Reading
from bookstore_y.stress.series import latency_of, samples


def tick(at: float, edits: int, latencies: list[float], index: int = 0) -> dict[str, Any]:
    return {"index": index, "at": at, "edits": edits, "connected": 2, "latencies": latencies}


def test_percentiles_are_of_all_arrivals() -> None:
    latency = latency_of(number / 100 for number in range(100))
    assert latency is not None
    assert (latency.count, latency.p50, latency.p95, latency.p99) == (100, 0.5, 0.95, 0.99)
    assert latency.max == 0.99


def test_nothing_has_no_percentiles() -> None:
    assert latency_of([]) is None


def test_a_sample_sums_over_crews_and_servers_and_takes_the_worst_lag() -> None:
    ticks = [
        tick(99.5, 10, []),
        tick(99.6, 10, [], index=1),
        tick(101.0, 14, [0.1]),
        tick(101.5, 16, [0.3], index=1),
    ]
    readings = [
        Reading(101.0, 0, loop_lag=0.1, checkpoint_lag=5.0, pending_updates=3, rss=100),
        Reading(101.1, 1, loop_lag=0.4, checkpoint_lag=2.0, pending_updates=4, rss=50),
    ]
    (sample,) = samples(ticks, readings, began=100.0, step=2.0)
    assert sample.t == 2.0
    assert sample.edits_per_second == 5.0
    assert sample.clients == 4
    assert sample.latency is not None
    assert (sample.latency.count, sample.latency.max) == (2, 0.3)
    assert (sample.loop_lag, sample.checkpoint_lag) == (0.4, 5.0)
    assert (sample.pending_updates, sample.rss) == (7, 150)


def test_what_no_server_said_is_unknown() -> None:
    ticks = [tick(100.5, 1, []), tick(104.5, 1, [])]
    said = Reading(104.6, 0, loop_lag=0.1, checkpoint_lag=None, pending_updates=None, rss=9)
    first, middle, last = samples(ticks, [said], began=100.0, step=2.0)
    assert (first.rss, middle.rss, last.rss) == (None, None, 9)
    assert last.checkpoint_lag is None
    assert middle.clients == 2
