"""Measuring: two things in turns, in one run, and what comes of it as a ratio with its spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure: what was measured, what it was held against, and what is to be reached.

    `ours` and `other` have one value a round, of the same rounds; without `other`, `ours` itself
    is held against what is to be reached.
    """

    name: str
    what: str
    unit: str
    """Of `ours` and `other`: `s`, `1/s`, `B`, or what is counted."""
    ours: list[float]
    other: list[float] = field(default_factory=list)
    of: str = ""
    """What `other` is."""
    at_least: float | None = None
    at_most: float | None = None
    size: int | None = None
    """Bytes of the document, where a figure has a value for each of several sizes."""
    note: str = ""

    @property
    def values(self) -> list[float]:
        """What is held against `at_least` and `at_most`, round by round."""
        if not self.other:
            return self.ours
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)]

    @property
    def met(self) -> bool | None:
        """Whether the median reaches what is to be reached; None where nothing is."""
        median = statistics.median(self.values)
        if self.at_least is not None:
            return median >= self.at_least
        return None if self.at_most is None else median <= self.at_most

    def to_json(self) -> dict[str, Any]:
        """The figure with its medians and quartiles."""
        return {
            **{name: value for name, value in self.__dict__.items() if value not in (None, "")},
            "rounds": len(self.ours),
            "ours_median": statistics.median(self.ours),
            "other_median": statistics.median(self.other) if self.other else None,
            "ratio": statistics.median(self.values) if self.other else None,
            "spread": quartiles(self.values),
            "met": self.met,
        }


@dataclass(frozen=True)
class Curve:
    """Points of one measurement, to be drawn: each a row of numbers and words."""

    name: str
    points: list[dict[str, Any]]


def quartiles(values: list[float]) -> tuple[float, float]:
    """The first and the third; the least and the most of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


async def in_turns(
    rounds: int, *calls: Callable[[], Awaitable[float]], warm_up: bool = True
) -> list[list[float]]:
    """What each call returns in each round.

    They take turns, in reverse in every second round, so that what drifts hits all alike. With
    `warm_up`, a round before the first is not counted: it opens connections and fills caches.
    """
    values: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    for number in range(0 if warm_up else 1, rounds + 1):
        for index in order:
            gc.collect()
            value = await calls[index]()
            if number:
                values[index].append(value)
        order.reverse()
    return values


class Stopwatch:
    """Seconds that a block takes.

    ```py
    with Stopwatch() as watch:
        await store.checkpoint()
    return watch.seconds
    ```
    """

    seconds = 0.0
    started = 0.0
    """On the clock of `time.perf_counter`."""

    def __enter__(self) -> Stopwatch:
        self.started = time.perf_counter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self.started
