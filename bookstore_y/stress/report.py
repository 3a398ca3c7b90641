"""The report: one HTML file that needs nothing else, of one run or of several side by side.

python -m bookstore_y.stress.report RESULTS.json… REPORT.html
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from statistics import median

from .report_plot import Axes, Series, axes, draw
from .report_words import NOTHING, clock, count, seconds, size, store, verdict
from .result import Latency, Result, Sample, read

Rows = Sequence[tuple[str, Sequence[str]]]

_SHOWN = 12
"""Failures of a run that are seen at once; the others unfold."""


@dataclass(frozen=True)
class Measure:
    """What is plotted over time."""

    title: str
    explained: str
    lines: dict[str, Callable[[Sample], float | None]]
    """How a sample gives the value of each line, by its name."""
    unit: Callable[[float], str]
    log: bool = False

    def series(self, result: Result) -> list[Series]:
        """The lines of one run."""
        return [
            Series(name, [(sample.t, value(sample)) for sample in result.samples])
            for name, value in self.lines.items()
        ]


def _of_latency(value: Callable[[Latency], float]) -> Callable[[Sample], float | None]:
    return lambda sample: None if sample.latency is None else value(sample.latency)


MEASURES = (
    Measure(
        "From edit to peer",
        "Time until an edit of one client has arrived in another, on a logarithmic scale. "
        "The 99th percentile is the highest line, the median the lowest.",
        {
            "median": _of_latency(lambda latency: latency.p50),
            "95th percentile": _of_latency(lambda latency: latency.p95),
            "99th percentile": _of_latency(lambda latency: latency.p99),
        },
        seconds,
        log=True,
    ),
    Measure(
        "Checkpoint lag",
        "Age of the oldest edit that no version in the bucket holds yet. A server that starts "
        "again counts from its start.",
        {"checkpoint lag": lambda sample: sample.checkpoint_lag},
        seconds,
    ),
    Measure(
        "Memory of the servers",
        "Resident memory, all server processes together.",
        {"resident memory": lambda sample: sample.rss},
        size,
    ),
    Measure(
        "Event-loop lag",
        "The longest that a server's event loop was late, on a logarithmic scale.",
        {"event-loop lag": lambda sample: sample.loop_lag},
        seconds,
        log=True,
    ),
    Measure(
        "Clients connected",
        "Websockets that are open.",
        {"clients": lambda sample: sample.clients},
        "{:,.0f}".format,
    ),
    Measure(
        "Edits",
        "Edits made in a second, by all clients.",
        {"edits per second": lambda sample: sample.edits_per_second},
        "{:,.3g}".format,
    ),
)


def write_html(results: Sequence[Result], path: Path) -> None:
    """Write the report of `results`. Raises `ValueError` if there are none."""
    path.write_text(to_html(results), encoding="utf-8")


def to_html(results: Sequence[Result]) -> str:
    """The page. Raises `ValueError` for no results."""
    if not results:
        raise ValueError("A report needs at least one result; none was given.")
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    passed = sum(result.verdict.passed and result.verdict.edits > 0 for result in results)
    title = f"Stress: {count(len(results), 'run')}, {passed} passed"
    body = [
        f"<h1>{title}</h1>",
        _columns(_verdict(result) for result in results),
        "<h2>Figures</h2>",
        _figures(results),
        "<h2>What was run</h2>",
        _conditions(results),
        "<h2>Over time</h2>",
        "<p>Red bands: a server was down. Yellow bands: S3 could not be reached. "
        "Dashed lines: the load ended, and all clients had equal copies.</p>",
        *(_measure(measure, results) for measure in MEASURES),
        "<h2>What happened when</h2>",
        _columns(_events(result) for result in results),
        *_failures(results),
        *_notes(results),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>\n{style}</style></head>",
            "<body><main>",
            *body,
            "</main></body></html>",
            "",
        ]
    )


def _verdict(result: Result) -> str:
    good = result.verdict.passed and result.verdict.edits > 0
    sign, word, kind = ("✓", "Passed", "good") if good else ("✗", "Failed", "bad")
    return (
        f'<section class="verdict {kind}"><h2><span aria-hidden="true">{sign}</span> {word}: '
        f"{escape(result.title)}</h2><p>{escape(verdict(result))}</p></section>"
    )


def _figures(results: Sequence[Result]) -> str:
    def latency(value: Callable[[Latency], float]) -> list[str]:
        return [
            seconds(None if result.latency is None else value(result.latency)) for result in results
        ]

    def worst(value: Callable[[Sample], float | None], said: Callable[[float], str]) -> list[str]:
        most = (_greatest(result, value) for result in results)
        return [NOTHING if each is None else said(each) for each in most]

    judged = [result.verdict for result in results]
    return _table(
        "Latency is from an edit in one client to its arrival in another.",
        ["", *(result.title for result in results)],
        [
            ("edits", [f"{each.edits:,}" for each in judged]),
            ("of these, deleted again", [f"{each.deleted:,}" for each in judged]),
            ("lost", [f"{each.lost:,}" for each in judged]),
            ("doubled", [f"{each.doubled:,}" for each in judged]),
            ("deleted and back", [f"{each.undeleted:,}" for each in judged]),
            ("all copies equal", ["yes" if each.converged else "no" for each in judged]),
            (
                "clients equal after the load ended",
                [seconds(each.seconds_to_converge) for each in judged],
            ),
            (
                "arrivals",
                [f"{r.latency.count:,}" if r.latency is not None else NOTHING for r in results],
            ),
            ("latency, median", latency(lambda each: each.p50)),
            ("latency, 95th percentile", latency(lambda each: each.p95)),
            ("latency, 99th percentile", latency(lambda each: each.p99)),
            ("latency, longest", latency(lambda each: each.max)),
            ("checkpoint lag, longest", worst(lambda s: s.checkpoint_lag, seconds)),
            ("updates pending, most", worst(lambda s: s.pending_updates, "{:,.0f}".format)),
            ("server memory, most", worst(lambda s: s.rss, size)),
            ("event-loop lag, longest", worst(lambda s: s.loop_lag, seconds)),
        ],
        numbers=True,
        wrong={"lost": "0", "doubled": "0", "deleted and back": "0", "all copies equal": "yes"},
    )


def _conditions(results: Sequence[Result]) -> str:
    names = sorted({name for result in results for name in result.machine.packages})
    rows: list[tuple[str, Sequence[str]]] = [
        ("scenario", [result.scenario for result in results]),
        ("store", [store(result) for result in results]),
        ("users", [f"{result.users:,}" for result in results]),
        ("documents", [f"{result.documents:,}" for result in results]),
        ("seconds of load", [f"{result.duration:,.0f}" for result in results]),
        ("faults", [", ".join(result.faults) or "none" for result in results]),
        ("began", [result.began for result in results]),
        ("system", [result.machine.system for result in results]),
        ("processors", [str(result.machine.cpus) for result in results]),
        ("memory", [size(result.machine.memory) for result in results]),
        ("Python", [result.machine.python for result in results]),
    ]
    rows += [
        (name, [result.machine.packages.get(name, NOTHING) for result in results]) for name in names
    ]
    return _table("", ["", *(result.title for result in results)], rows)


def _measure(measure: Measure, results: Sequence[Result]) -> str:
    lines = [measure.series(result) for result in results]
    measured = [each for series in lines for each in series if each.values]
    key = _key(list(measure.lines)) if len(measure.lines) > 1 else ""
    head = f"<h3>{measure.title}</h3>\n<p class='soft'>{measure.explained}</p>\n{key}"
    if not measured:
        return f"{head}<p>This was not measured.</p>"
    shared = axes(measured, max(map(_end, results)), log=measure.log)
    plots = (_plot(measure, *each, shared) for each in zip(results, lines, strict=True))
    return f"{head}\n{_columns(plots)}"


def _plot(measure: Measure, result: Result, series: Sequence[Series], shared: Axes) -> str:
    said = _said(measure, series)
    svg = draw(series, shared, result.events, measure.unit, measure.title, said)
    return (
        f"<figure><h3>{escape(result.title)}</h3>{svg}<figcaption>{escape(said)}</figcaption>"
        "</figure>"
    )


def _said(measure: Measure, series: Sequence[Series]) -> str:
    parts = [
        f"{each.name}: {measure.unit(min(each.values))} to {measure.unit(max(each.values))}, "
        f"half of the time at most {measure.unit(median(each.values))}"
        for each in series
        if each.values
    ]
    said = "; ".join(parts) or "not measured in this run"
    return said[0].upper() + said[1:] + "."


def _key(names: Sequence[str]) -> str:
    items = (
        f'<li><svg viewBox="0 0 32 10" aria-hidden="true">'
        f'<path class="line s{number}" d="M1 5H31"/></svg>{escape(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def _events(result: Result) -> str:
    return _table(
        result.title,
        ["at", "what", ""],
        [(clock(event.t), [event.kind, event.detail]) for event in result.events]
        or [(NOTHING, ["nothing was done to the servers", ""])],
    )


def _failures(results: Sequence[Result]) -> Iterator[str]:
    failed = [result for result in results if result.verdict.failures or result.artefacts]
    if not failed:
        return
    yield "<h2>Failures</h2>"
    for result in failed:
        listed = result.verdict.failures
        rows = [
            (
                each.what,
                [
                    each.document,
                    each.client,
                    each.mark or NOTHING,
                    each.where,
                    each.last_version or "none",
                ],
            )
            for each in listed
        ]
        if rows:
            head = ["what", "document", "client", "edit", "seen in", "last version that had it"]
            yield _table(f"{result.title}: {_listed(result)}", head, rows[:_SHOWN])
        if rest := rows[_SHOWN:]:
            yield f"<details><summary>{len(rest)} more</summary>"
            yield _table("", head, rest)
            yield "</details>"
        if result.artefacts:
            yield (
                f"<p>Documents, logs and buffers of {escape(result.title)} are kept in "
                f"<code>{escape(result.artefacts)}</code></p>"
            )


def _listed(result: Result) -> str:
    found = result.verdict
    copies = sum(failure.what == "diverged" for failure in found.failures)
    total = found.lost + found.doubled + found.undeleted + copies
    if total <= len(found.failures):
        return count(len(found.failures), "failure")
    return f"the first {len(found.failures):,} of {total:,} failures"


def _notes(results: Sequence[Result]) -> Iterator[str]:
    said = [(result, note) for result in results for note in result.notes]
    if said:
        yield "<h2>Notes</h2><ul>"
        for result, note in said:
            yield f"<li>{escape(result.title)}: {escape(note)}</li>"
        yield "</ul>"


def _table(
    caption: str,
    head: Sequence[str],
    rows: Rows,
    *,
    numbers: bool = False,
    wrong: dict[str, str] | None = None,
) -> str:
    """`wrong` gives the one right value of a row by its name; others stand out."""
    right = wrong or {}
    kind = ' class="number"' if numbers else ""
    lines = [
        '<div class="wide"><table>',
        f"<caption>{escape(caption)}</caption>" if caption else "",
    ]
    cells = (
        f'<th scope="col"{kind if number else ""}>{escape(name)}</th>' if name else "<td></td>"
        for number, name in enumerate(head)
    )
    lines.append(f"<thead><tr>{''.join(cells)}</tr></thead><tbody>")
    for name, values in rows:
        row = [f'<th scope="row">{escape(name)}</th>']
        for value in values:
            bad = name in right and value != right[name]
            classes = " ".join([*(["number"] if numbers else []), *(["wrong"] if bad else [])])
            row.append(f'<td class="{classes}">{escape(value)}</td>' if classes else _cell(value))
        lines.append(f"<tr>{''.join(row)}</tr>")
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def _cell(value: str) -> str:
    return f"<td>{escape(value)}</td>"


def _columns(parts: Iterator[str]) -> str:
    return '<div class="columns">\n' + "\n".join(parts) + "\n</div>"


def _greatest(result: Result, value: Callable[[Sample], float | None]) -> float | None:
    values = (value(sample) for sample in result.samples)
    return max((each for each in values if each is not None), default=None)


def _end(result: Result) -> float:
    moments: list[float] = [sample.t for sample in result.samples]
    moments += [event.t for event in result.events]
    return max([*moments, result.duration, 1.0])


def main(argv: Sequence[str] | None = None) -> int:
    """Make the report of the results in JSON files; 1 if there is none in them."""
    parser = argparse.ArgumentParser(
        prog="python -m bookstore_y.stress.report",
        description="Make a report of results that `jupyter bookstore stress` has written as JSON, "
        "side by side.",
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS.json")
    parser.add_argument("report", type=Path, metavar="REPORT.html")
    args = parser.parse_args(argv)
    try:
        write_html([result for path in args.results for result in read(path)], args.report)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
