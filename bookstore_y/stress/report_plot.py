"""Plots over time, as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .report_words import clock
from .result import Event

WIDTH, HEIGHT = 620, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 26
_MOST_POINTS = 400
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_BAR_HEIGHT = 14
_ROWS = 4
_LETTER = 6.4
"""About the width of a letter of the labels."""

_SPANS = {
    "server killed": ("server started", "down", "server down"),
    "server stopped": ("server started", "down", "server down"),
    "outage begun": ("outage ended", "outage", "S3 outage"),
}
"""What ends what an event begins, the class of the band, and its label."""
_ENDINGS = frozenset(end for end, _, _ in _SPANS.values())
_NAMES = {"load ended": "load ends", "converged": "clients equal"}


@dataclass(frozen=True)
class Series:
    """One line: `points` are (seconds since the run began, value); None makes a gap."""

    name: str
    points: Sequence[tuple[float, float | None]]

    @property
    def values(self) -> list[float]:
        """What was measured."""
        return [value for _, value in self.points if value is not None]


@dataclass(frozen=True)
class Span:
    """A time in which something was away. `kind` is its class in the style sheet."""

    begin: float
    end: float
    kind: str
    label: str
    detail: str


@dataclass(frozen=True)
class Axes:
    """What a plot shows: seconds from 0 to `end`, values from `low` to `high`.

    A logarithmic plot has `low` above 0. Plots that are held against each other share their axes.
    """

    end: float
    low: float
    high: float
    log: bool = False

    def x(self, t: float) -> float:
        """Where a time lies."""
        share = min(max(t / self.end, 0.0), 1.0)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Where a value lies."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)

    def ticks(self) -> list[float]:
        """Values that the grid marks."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = _nice_step(self.high / 4)
        return [step * number for number in range(int(self.high / step + 1e-9) + 1)]

    def times(self) -> list[float]:
        """Seconds that the axis marks."""
        step = next((each for each in _TIME_STEPS if self.end / each <= 8), self.end / 8)
        return [step * number for number in range(int(self.end / step + 1e-9) + 1)]


def axes(series: Sequence[Series], end: float, *, log: bool = False) -> Axes:
    """Axes on which all of `series` can be seen; whole steps, or powers of ten if `log`."""
    values = [value for each in series for value in each.values]
    if log:
        positive = [value for value in values if value > 0] or [1.0]
        low = 10.0 ** math.floor(math.log10(min(positive)))
        high = 10.0 ** math.ceil(math.log10(max(positive)))
        return Axes(end, low, high if high > low else 10 * low, log=True)
    most = max(values, default=0.0) or 1.0
    step = _nice_step(most / 4)
    return Axes(end, 0.0, step * math.ceil(most / step - 1e-9))


def spans(events: Sequence[Event], end: float) -> list[Span]:
    """What was away and when; to the `end` if it did not come back."""
    found = []
    for number, event in enumerate(events):
        if event.kind not in _SPANS:
            continue
        ending, kind, label = _SPANS[event.kind]
        until = next((each.t for each in events[number:] if each.kind == ending), end)
        found.append(Span(event.t, until, kind, label, f"{event.kind} {event.detail}".strip()))
    return found


def draw(
    series: Sequence[Series],
    axes: Axes,
    events: Sequence[Event],
    unit: Callable[[float], str],
    title: str,
    description: str,
) -> str:
    """The plot. `unit` says a value of the left axis; `description` is the text alternative."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>",
        *_bands(events, axes),
        *_grid(axes, unit),
    ]
    for number, each in enumerate(series):
        parts.append(f'<path class="line s{number}" d="{_path(each.points, axes)}"/>')
    parts += [*_marks(events, axes), "</svg>"]
    return "\n".join(parts)


def _bands(events: Sequence[Event], axes: Axes) -> Iterator[str]:
    free_from = [0.0, 0.0]
    for span in spans(events, axes.end):
        left, right = axes.x(span.begin), axes.x(span.end)
        width = max(right - left, 2.0)
        height = HEIGHT - _TOP - _BOTTOM
        said = f"{span.detail}, from {clock(span.begin)} to {clock(span.end)}"
        yield (
            f'<rect class="band {span.kind}" x="{left:g}" y="{_TOP}" width="{width:.1f}" '
            f'height="{height}"><title>{escape(said)}</title></rect>'
        )
        row = 0 if left >= free_from[0] else 1
        length = len(span.label) * _LETTER
        at = min(left, WIDTH - _RIGHT - length)
        if at >= free_from[row]:
            free_from[row] = at + length + 8
            y = _TOP - 4 - row * _BAR_HEIGHT
            yield f'<text class="label {span.kind}" x="{at:.1f}" y="{y}">{span.label}</text>'


def _grid(axes: Axes, unit: Callable[[float], str]) -> Iterator[str]:
    for value in axes.ticks():
        y = axes.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        yield (
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">'
            f"{unit(value)}</text>"
        )
    for t in axes.times():
        x = axes.x(t)
        yield (
            f'<text class="tick" x="{x:g}" y="{HEIGHT - 8}" text-anchor="middle">{clock(t)}</text>'
        )


def _marks(events: Sequence[Event], axes: Axes) -> Iterator[str]:
    top, bottom = _TOP, HEIGHT - _BOTTOM
    shown = [event for event in events if event.kind not in _SPANS and event.kind not in _ENDINGS]
    for number, event in enumerate(shown):
        x = axes.x(event.t)
        said = f"{event.kind} at {clock(event.t)} {event.detail}".strip()
        yield (
            f'<line class="mark" x1="{x:g}" x2="{x:g}" y1="{top}" y2="{bottom}">'
            f"<title>{escape(said)}</title></line>"
        )
        name = _NAMES.get(event.kind, event.kind)
        left = x - 5 - len(name) * _LETTER < _LEFT
        at, anchor = (x + 5, "start") if left else (x - 5, "end")
        y = top + 13 + number % _ROWS * _BAR_HEIGHT
        yield (
            f'<text class="label" x="{at:g}" y="{y}" text-anchor="{anchor}">{escape(name)}</text>'
        )


def _path(points: Sequence[tuple[float, float | None]], axes: Axes) -> str:
    commands: list[str] = []
    pen_down = False
    for t, value in thinned(points):
        if value is None:
            pen_down = False
            continue
        x, y = axes.x(t), axes.y(value)
        # A lone point between two gaps is a line of no length, which a round cap makes a dot.
        commands.append(f"L{x:g} {y:g}" if pen_down else f"M{x:g} {y:g}h0")
        pen_down = True
    return "".join(commands)


def thinned(
    points: Sequence[tuple[float, float | None]], most: int = _MOST_POINTS
) -> list[tuple[float, float | None]]:
    """At most about `most` points: of each stretch its lowest and its highest."""
    if len(points) <= most:
        return list(points)
    length = math.ceil(len(points) / (most / 2))
    kept: list[tuple[float, float | None]] = []
    for begin in range(0, len(points), length):
        stretch = points[begin : begin + length]
        present = [(value, t) for t, value in stretch if value is not None]
        if not present:
            kept.append((stretch[0][0], None))
            continue
        ends = sorted({min(present), max(present)}, key=lambda each: each[1])
        kept += [(t, value) for value, t in ends]
    return kept


def _nice_step(least: float) -> float:
    """The first of 1, 2, 5, 10, … that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= least * (1 - 1e-9))
