"""Make the tables and plots of docs/performance.md from a result: `python -m benchmarks.report`.

What stands between two comments of the page, `<!-- NAME -->` and `<!-- end -->`, is replaced; all
else in it is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .wording import reach, three_digits, verdict, with_unit

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "_static" / "performance"


def main() -> None:
    """Write the page and the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("result", type=Path, nargs="?", default=RESULT)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--plots", type=Path, default=PLOTS)
    args = parser.parse_args()
    from .plots import draw  # matplotlib takes half a second, which `--help` need not wait for

    result = json.loads(args.result.read_text())
    args.page.write_text(filled(args.page.read_text(), result))
    for path in draw(result, args.plots):
        print(path)


def filled(page: str, result: dict[str, Any]) -> str:
    """The page with its tables made anew. Raises `KeyError` for a table that there is none of."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]](result)}\n{match[3]}"

    return re.sub(r"(<!-- ([a-z]+) -->)\n.*?(<!-- end -->)", table, page, flags=re.DOTALL)


def conditions(result: dict[str, Any]) -> str:
    """What the result was measured with."""
    machine, versions = result["machine"], dict(result["versions"])
    python, sqlite = versions.pop("python"), versions.pop("sqlite")
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    kind = "quick run" if result["quick"] else "run"
    return (
        f"A {kind} of {result['started'][:10]}, which took {result['seconds'] / 60:.0f} minutes, "
        f"on {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}; Python {python}, SQLite {sqlite}, {packages}; S3 server: "
        f"{result['s3']}, in a process of its own.\n"
    )


def figures(result: dict[str, Any]) -> str:
    """The figures that are no part of a table by size."""
    lines = [
        "| figure | bookstore_y | held against | ratio (quartiles) | to reach | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(figure) for figure in result["figures"] if "size" not in figure]
    return "\n".join([*lines, "", *_notes(result["figures"])])


def sizes(result: dict[str, Any]) -> str:
    """Checkpoints and opening by size."""
    lines = [
        "| figure | bookstore_y | floor | ratio (quartiles) | to reach | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(figure, name=False) for figure in result["figures"] if "size" in figure]
    return "\n".join([*lines, ""])


def compression(result: dict[str, Any]) -> str:
    """A line a level: size and time of each trace, and with long-distance matching."""
    points = result["curves"].get("compression", [])
    traces = list(dict.fromkeys(point["trace"] for point in points))
    lines = [
        "| level | " + " | ".join(f"{trace} | long-distance" for trace in traces) + " |",
        "|---|" + "---|---|" * len(traces),
    ]
    by = {(point["trace"], point["level"], point["long"]): point for point in points}
    for level in dict.fromkeys(point["level"] for point in points):
        cells = [
            _size_and_time(by[trace, level, long]) for trace in traces for long in (False, True)
        ]
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "conditions": conditions,
    "figures": figures,
    "sizes": sizes,
    "compression": compression,
}


def _row(figure: dict[str, Any], *, name: bool = True) -> str:
    held, ratio = "", ""
    if figure["ratio"] is not None:
        held = with_unit(figure["other_median"], figure["unit"])
        held = f"{figure['of']}: {held}" if name else held
        low, high = figure["spread"]
        ratio = f"{_times(figure['ratio'])} ({_times(low)} to {_times(high)})"
    ours = with_unit(figure["ours_median"], figure["unit"])
    cells = (figure["what"], ours, held, ratio, reach(figure), verdict(figure))
    return "| " + " | ".join(cells) + " |"


def _times(ratio: float) -> str:
    return three_digits(ratio)


def _notes(figures: list[dict[str, Any]]) -> list[str]:
    return [f"- {each['what']}: {each['note']}." for each in figures if "note" in each]


def _size_and_time(point: dict[str, Any]) -> str:
    share = 100 * point["compressed"] / point["bytes"]
    return f"{share:.1f} %, {with_unit(point['seconds'], 's')}"


if __name__ == "__main__":
    main()
