"""Series: from what the load and the servers noted to samples on one axis of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from .result import Latency, Sample
from .sampling import Reading


def latency_of(seconds: Iterable[float]) -> Latency | None:
    """Its percentiles; None of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return None

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(len(ordered), at(0.5), at(0.95), at(0.99), ordered[-1])


def samples(
    ticks: Sequence[dict[str, Any]], readings: Sequence[Reading], began: float, step: float
) -> list[Sample]:
    """One sample every `step` seconds since `began`, a time since the epoch."""
    by_tick: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    by_reading: defaultdict[int, list[Reading]] = defaultdict(list)
    for tick in ticks:
        by_tick[int((tick["at"] - began) // step)].append(tick)
    for reading in readings:
        by_reading[int((reading.at - began) // step)].append(reading)
    last: dict[int, dict[str, Any]] = {}
    edits = 0
    made: list[Sample] = []
    for slot in range(min(by_tick, default=0), max(by_tick, default=-1) + 1):
        for tick in by_tick[slot]:
            last[tick["index"]] = tick
        before, edits = edits, sum(tick["edits"] for tick in last.values())
        there = by_reading[slot]
        if slot < 0:
            continue
        made.append(
            Sample(
                t=(slot + 1) * step,
                latency=latency_of(each for tick in by_tick[slot] for each in tick["latencies"]),
                edits_per_second=(edits - before) / step,
                clients=sum(tick["connected"] for tick in last.values()),
                checkpoint_lag=_most(reading.checkpoint_lag for reading in there),
                pending_updates=_sum_of_last(there, "pending_updates"),
                rss=_sum_of_last(there, "rss"),
                loop_lag=_most(reading.loop_lag for reading in there),
            )
        )
    return made


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _sum_of_last(readings: Iterable[Reading], figure: str) -> int | None:
    """Over the servers, of what each said last."""
    last = {reading.server: getattr(reading, figure) for reading in readings}
    known = [value for value in last.values() if value is not None]
    return sum(known) if known else None
