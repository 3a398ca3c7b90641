"""What a report says, and that a person can read it without anything else."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bookstore_y.stress.report import main, to_html, write_html
from bookstore_y.stress.report_plot import Series, axes, spans, thinned
from bookstore_y.stress.report_words import clock, seconds, size, verdict
from bookstore_y.stress.result import (
    Event,
    Failure,
    Latency,
    Machine,
    Result,
    Sample,
    Verdict,
    write,
)

SAMPLE = Latency(1000, 0.02, 0.09, 0.4, 31.5)


def made_up(store: str = "s3", *, length: int = 300, seed: int = 1) -> Result:
    """A run with a kill and an outage, as it could have been measured."""
    chance = random.Random(seed)
    slow = 1.0 if store == "s3" else 4.0
    samples = []
    for t in range(1, length + 15):
        down = 100 <= t < 106
        outage = 150 <= t < 210
        peak = 12.0 / (t - 104) if 106 <= t < 112 else 1.0
        p50 = slow * peak * chance.uniform(0.006, 0.012)
        over = t > length
        latency = Latency(900, p50, p50 * 3.1, p50 * chance.uniform(5, 11), p50 * 14)
        lag = (t - 148.0) if outage else chance.uniform(1, 5)
        samples.append(
            Sample(
                float(t),
                latency=None if down or over else latency,
                edits_per_second=0.0 if over else chance.uniform(70, 95),
                clients=0 if down else 40,
                checkpoint_lag=None if down or store != "s3" else lag,
                pending_updates=None if store != "s3" else int(lag * 80),
                rss=None if down else int(140e6 + t * 90e3 * slow),
                loop_lag=None if down else slow * chance.uniform(0.001, 0.02) * (1 + 3 * outage),
            )
        )
    events = [
        Event(100.0, "server killed", "SIGKILL, process 4711"),
        Event(106.0, "server started"),
        Event(float(length), "load ended"),
        Event(length + 12.0, "converged"),
    ]
    if store == "s3":
        events[2:2] = [Event(150.0, "outage begun"), Event(210.0, "outage ended")]
    return Result(
        scenario="crowd",
        store=store,
        users=40,
        documents=10,
        duration=float(length),
        faults=["SIGKILL", "60 s S3 outage"] if store == "s3" else ["SIGKILL"],
        began="2026-11-21T18:00:00Z",
        machine=Machine(
            "Linux 6.8.0 x86_64",
            2,
            16_000_000_000,
            "3.11.9",
            {"pycrdt": "0.14.13", "jupyter-collaboration": "5.0.4", "bookstore-y": "0.1.0"},
        ),
        latency=SAMPLE,
        samples=samples,
        events=events,
        verdict=Verdict(True, 24_310, 1_204, 0, 0, 0, [], 12.0),
    )


def broken(store: str = "sqlite") -> Result:
    """A run that lost some."""
    failures = [
        Failure("lost", f"book{n}.ipynb", "c07", f"c07-{n}", "c01, c02, bucket", "v-17")
        for n in range(3)
    ]
    failures.append(Failure("diverged", "book4.ipynb", "c31", "", "bucket"))
    found = Verdict(False, 24_310, 1_204, 212, 3, 1, failures, None)
    return replace(
        made_up(store, seed=2),
        verdict=found,
        artefacts="/tmp/stress-1",
        notes=["The server did not exit within 30 s of SIGTERM & was killed."],
    )


class Page(HTMLParser):
    """The tags of a page, balanced or not, and its texts."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_is_one_whole_page_that_asks_for_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_html([made_up(), broken()], target)
    page = Page(target.read_text(encoding="utf-8"))
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in re.sub(r"http-equiv", "", target.read_text(encoding="utf-8"))


def test_the_verdict_comes_first_and_in_words() -> None:
    page = to_html([made_up(), broken()])
    top = page[page.index("<main>") : page.index("<h2>Figures")]
    assert "2 runs, 1 passed" in top
    assert "Passed: crowd · S3YStore" in top
    assert "23,106 edits there once each" in top
    assert "Failed: crowd · SQLiteYStore" in top
    assert "212 are lost, 3 are doubled, 1 is back" in top


def test_a_run_without_edits_is_no_success() -> None:
    idle = replace(made_up(), verdict=Verdict(True, 0, 0, 0, 0))
    page = to_html([idle])
    assert "1 run, 0 passed" in page
    assert "shows nothing" in page


def test_every_plot_has_a_text_alternative_and_bands_for_what_was_down() -> None:
    page = to_html([made_up()])
    plots = re.findall(r'<svg viewBox="0 0 620 .*?</svg>', page, re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        assert 'role="img"' in plot
        assert re.search(r"<title>.+?</title><desc>.+?</desc>", plot)
        assert "server down" in plot
        assert "S3 outage" in plot


def test_runs_side_by_side_share_their_axes() -> None:
    fast, slow = made_up(), made_up("sqlite")
    page = to_html([fast, slow])
    of_memory = page[page.index("Memory of the servers") :]
    plots = re.findall(r'<svg viewBox="0 0 620 .*?</svg>', of_memory, re.DOTALL)[:2]
    ticks = [re.findall(r'class="tick".*?>(.*?)</text>', plot) for plot in plots]
    assert ticks[0] == ticks[1]


def test_a_failure_names_document_client_edit_and_last_version() -> None:
    page = to_html([broken()])
    row = next(line for line in page.splitlines() if "c07-1" in line)
    for said in ("lost", "book1.ipynb", "c07", "c01, c02, bucket", "v-17"):
        assert said in row
    assert "/tmp/stress-1" in page
    assert "SIGTERM &amp; was killed" in page


def test_many_failures_unfold_and_their_number_is_said() -> None:
    run = broken()
    many = [replace(run.verdict.failures[0], mark=f"c07-{number}") for number in range(200)]
    page = to_html([replace(run, verdict=replace(run.verdict, failures=many))])
    assert "the first 200 of 216 failures" in page
    assert page.index("c07-11<") < page.index("<summary>188 more</summary>") < page.index("c07-12<")


def test_what_was_not_measured_is_said() -> None:
    page = to_html([replace(made_up("sqlite"), latency=None, samples=[])])
    assert "This was not measured." in page


def test_names_are_text_and_never_markup() -> None:
    page = to_html([replace(made_up(), scenario="<script>alert(1)</script>")])
    assert "<script>" not in page


def test_no_results_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one result"):
        to_html([])


def test_a_server_that_never_came_back_is_down_to_the_end() -> None:
    (span,) = spans([Event(5.0, "server killed")], 60.0)
    assert (span.begin, span.end) == (5.0, 60.0)


def test_axes_hold_every_value() -> None:
    series = Series("x", [(0.0, 0.004), (1.0, None), (2.0, 31.5)])
    log = axes([series], 10.0, log=True)
    assert (log.low, log.high) == (0.001, 100.0)
    linear = axes([series], 10.0)
    assert linear.low == 0.0
    assert linear.high >= 31.5
    assert linear.ticks()[-1] <= linear.high


def test_axes_of_nothing_and_of_zero_are_axes() -> None:
    for values in ([], [(0.0, 0.0)], [(0.0, None)]):
        for log in (False, True):
            found = axes([Series("x", values)], 1.0, log=log)
            assert found.high > found.low
            assert found.ticks()


def test_thinning_keeps_the_extremes() -> None:
    points: list[tuple[float, float | None]] = [(float(t), float(t % 7)) for t in range(20_000)]
    points[12_345] = (12_345.0, 99.0)
    kept = thinned(points)
    assert len(kept) <= 500
    assert (12_345.0, 99.0) in kept
    assert [t for t, _ in kept] == sorted(t for t, _ in kept)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (seconds(0.0123), "12.3 ms"),
        (seconds(1.5), "1.50 s"),
        (seconds(61.04), "61.0 s"),
        (seconds(900.0), "15 min"),
        (seconds(0.00012), "0.12 ms"),
        (seconds(None), "—"),
        (size(141_000_000), "141 MB"),
        (size(None), "—"),
        (clock(75.4), "1:15"),
        (clock(3_700.0), "1:01:40"),
    ],
)
def test_figures_in_words(said: str, words: str) -> None:
    assert said == words


def test_a_verdict_of_copies_that_differ_says_so() -> None:
    differing = replace(made_up(), verdict=Verdict(False, 10, 0, 0, 0))
    assert verdict(differing) == "The copies are not equal."


def test_results_of_several_files_come_side_by_side(tmp_path: Path) -> None:
    for number, result in enumerate((made_up(), made_up("sqlite"))):
        write([result], tmp_path / f"{number}.json")
    target = tmp_path / "report.html"
    assert main([str(tmp_path / "0.json"), str(tmp_path / "1.json"), str(target)]) == 0
    assert "2 runs, 2 passed" in target.read_text(encoding="utf-8")


def test_a_file_without_results_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text("[]")
    assert main([str(tmp_path / "x.json"), str(tmp_path / "report.html")]) == 1
    assert "x.json holds no stress results" in capsys.readouterr().err
