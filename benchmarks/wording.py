"""Figures in words, for the terminal and for the page."""

from __future__ import annotations

from typing import Any

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def with_unit(value: float, unit: str) -> str:
    """1.2 ms, 48,000/s, 16.0 MB."""
    if unit == "s":
        factor, name = next((each for each in _TIMES if value >= each[0]), _TIMES[-1])
        return f"{three_digits(value / factor)} {name}"
    if unit == "1/s":
        return f"{three_digits(value)}/s"
    if unit == "B":
        for factor, name in ((1e6, "MB"), (1e3, "kB")):
            if abs(value) >= factor:
                return f"{three_digits(value / factor)} {name}"
        return f"{value:,.0f} B"
    if unit == "%":
        return f"{value:.0f} %"
    return f"{three_digits(value)} {unit}"


def three_digits(value: float) -> str:
    """A number without more digits than were measured."""
    if value == 0 or value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def reach(figure: dict[str, Any]) -> str:
    """What is to be reached by a figure as it is in the result."""
    words = "at least" if "at_least" in figure else "at most"
    bound = figure.get("at_least", figure.get("at_most"))
    if bound is None:
        return ""
    if figure["ratio"] is None:
        return f"{words} {with_unit(bound, figure['unit'])}"
    return f"{words} {bound:g} x"


def verdict(figure: dict[str, Any]) -> str:
    """Whether it is reached."""
    return {True: "met", False: "missed", None: ""}[figure["met"]]
