"""The results of a run as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from .scenario import Result

_COLUMNS = (
    "scenario",
    "server",
    "SIGKILLs",
    "acknowledged updates",
    "faults",
    "conflicting checkpoints",
    "lost",
    "doubled",
    "unhandled exceptions",
    "seconds",
)


def markdown(results: Sequence[Result], seed: int, scale: float) -> str:
    """The table, its totals, what else was measured, and what failed."""
    lines = [
        f"Seed {seed}, scale {scale:g}.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| --- | --- |" + " ---: |" * (len(_COLUMNS) - 2),
    ]
    total = Result("**all**", "")
    for result in results:
        lines.append(_row(result))
        total += result
    lines.append(_row(total))
    for title, of in (("Notes", "notes"), ("Failures", "failures")):
        said = [
            f"- {result.scenario} ({result.server}): {line}"
            for result in results
            for line in first(getattr(result, of))
        ]
        if said:
            lines += ["", f"{title}:", "", *said]
    passed = sum(result.passed for result in results)
    lines += ["", f"{passed} of {len(results)} passed."]
    return "\n".join(lines)


def first(lines: Sequence[str], most: int = 12) -> list[str]:
    """The first of these, and how many more there are."""
    more = [f"… and {len(lines) - most} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def _row(result: Result) -> str:
    numbers = (
        result.kills,
        result.acknowledged,
        result.faults,
        result.conflicts,
        result.lost,
        result.doubled,
        result.unhandled,
    )
    cells = [result.scenario, result.server, *(f"{n:,}" for n in numbers), f"{result.seconds:.0f}"]
    return "| " + " | ".join(cells) + " |"
