"""Figures in words, for the page."""

from __future__ import annotations

from .result import STORES, Result

_SECONDS = ((600.0, 60.0, "min"), (1.0, 1.0, "s"), (0.0, 1e-3, "ms"))
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (0.0, "B"))
NOTHING = "—"
"""What stands where nothing was measured."""


def seconds(value: float | None) -> str:
    """`1.2 ms`, `48 s`, `12 min`; a dash for None."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0 s"
    factor, unit = next((factor, unit) for least, factor, unit in _SECONDS if value >= least)
    return f"{three_digits(value / factor)} {unit}"


def size(value: float | None) -> str:
    """`16 MB`; a dash for None. 1 MB is 1,000,000 bytes."""
    if value is None:
        return NOTHING
    least, unit = next(each for each in _BYTES if value >= each[0])
    return f"{three_digits(value / (least or 1.0))} {unit}"


def clock(value: float) -> str:
    """Seconds since the run began as `m:ss`, or `h:mm:ss`."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, what: str) -> str:
    """`1 edit`, `12,000 edits`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def three_digits(value: float) -> str:
    """A number without more digits than were measured."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.2f}"


def store(result: Result) -> str:
    """The store of a run, as a page names it."""
    return STORES.get(result.store, result.store)


def verdict(result: Result) -> str:
    """What a run has shown, in a sentence or two."""
    judged = result.verdict
    if judged.edits == 0:
        return "No edit was made, so this run shows nothing."
    if judged.passed:
        deleted = f", and {judged.deleted:,} that were deleted are gone" if judged.deleted else ""
        kept = judged.edits - judged.deleted
        return (
            "Nothing was lost and nothing doubled. All copies of every document are equal: "
            f"{count(kept, 'edit')} there once each{deleted}."
        )
    wrong = [
        f"{number:,} {'is' if number == 1 else 'are'} {what}"
        for number, what in (
            (judged.lost, "lost"),
            (judged.doubled, "doubled"),
            (judged.undeleted, "back after having been deleted"),
        )
        if number
    ]
    said = []
    if wrong:
        said.append(f"Of {count(judged.edits, 'edit')}, {', '.join(wrong)}.")
    if not judged.converged:
        said.append("The copies are not equal.")
    return " ".join(said)
