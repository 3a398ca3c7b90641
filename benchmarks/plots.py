"""Plots of a result, as SVG without a background, in colours that a light and a dark page bear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

INK = "#7b7b7b"
OURS, OTHER, THIRD, FOURTH = "#3b82f6", "#e06c2f", "#2a9d6f", "#a463d6"
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.hashsalt": "bookstore_y",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(result: dict[str, Any], directory: Path) -> list[Path]:
    """Every plot that the result has figures for."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = {figure["name"]: figure for figure in result["figures"] if "size" not in figure}
    drawn = []
    if "write-memory" in figures:
        drawn.append(writes(figures, directory / "writes.svg"))
    if any("size" in figure for figure in result["figures"]):
        drawn.append(sizes(result["figures"], directory / "sizes.svg"))
    if "compression" in result["curves"]:
        drawn.append(compression(result["curves"]["compression"], directory / "compression.svg"))
    return drawn


def writes(figures: dict[str, Any], path: Path) -> Path:
    """Writes a second of all stores, in memory and on disk."""
    floor, memory = figures["write-memory-floor"], figures["write-memory"]
    disk = figures["write-disk"]
    bars = [
        ("sqlite3 INSERT in memory", floor["other"], INK),
        ("bookstore_y in memory", memory["ours"], OURS),
        ("SQLiteYStore in memory", memory["other"], OTHER),
        ("QYStore's checkpoints in memory", figures["write-memory-qystore"]["other"], OTHER),
        ("bookstore_y on disk, 50 writers", disk["ours"], OURS),
        ("SQLiteYStore on disk, 50 writers", disk["other"], OTHER),
    ]
    with _plot(path, 7.5, 2.6) as (axes,):
        for at, (_, values, colour) in enumerate(reversed(bars)):
            middle = _median(values)
            axes.barh(at, middle, color=colour, height=0.6)
            axes.hlines(at, min(values), max(values), color=INK, linewidth=1.2)
            axes.annotate(
                f"{middle:,.0f}", (max(values), at), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(bars)), [name for name, _, _ in reversed(bars)])
        axes.set_xscale("log")
        axes.set_xlabel("acknowledged writes a second (logarithmic); lines: least to most")
        axes.grid(axis="y", visible=False)
    return path


def sizes(figures: list[dict[str, Any]], path: Path) -> Path:
    """Checkpoints and opening, by size, beside their floors."""
    with _plot(path, 7.5, 3.2, columns=2) as both:
        for axes, name, title in zip(
            both, ("checkpoint", "open-size"), ("checkpoint", "open"), strict=True
        ):
            points = [each for each in figures if each["name"] == name]
            for of, colour, label, marker in (
                ("other", INK, "floor", "s"),
                ("ours", OURS, "bookstore_y", "o"),
            ):
                middles = [_median(each[of]) * 1000 for each in points]
                off = [
                    [m - min(each[of]) * 1000 for m, each in zip(middles, points, strict=True)],
                    [max(each[of]) * 1000 - m for m, each in zip(middles, points, strict=True)],
                ]
                axes.errorbar(
                    [each["size"] for each in points],
                    middles,
                    off,
                    color=colour,
                    label=label,
                    marker=marker,
                    markersize=4,
                    capsize=2,
                )
            axes.set(xscale="log", yscale="log", title=title, xlabel="size of the document")
            axes.set_xticks(
                [each["size"] for each in points], [_readable(each["size"]) for each in points]
            )
            axes.minorticks_off()
            axes.yaxis.set_major_formatter("{x:g}")
        both[0].set_ylabel("milliseconds")
        both[0].legend()
    return path


def compression(points: list[dict[str, Any]], path: Path) -> Path:
    """Time against size for each trace: a line through the levels, and one with long-distance
    matching; the default is ringed."""
    traces = list(dict.fromkeys(point["trace"] for point in points))
    with _plot(path, 7.5, 3.2, columns=len(traces)) as panels:
        for axes, trace in zip(panels, traces, strict=True):
            for long, colour, label in (
                (True, OTHER, "long-distance matching"),
                (False, OURS, "as it is"),
            ):
                line = [p for p in points if p["trace"] == trace and p["long"] is long]
                axes.plot(
                    [p["seconds"] * 1000 for p in line],
                    [100 * p["compressed"] / p["bytes"] for p in line],
                    color=colour,
                    label=label,
                    marker=".",
                    markersize=4,
                    linewidth=1,
                )
                for p in line:
                    if not long and p["level"] in (1, 3, 6, 9, 12, 19):
                        at = (p["seconds"] * 1000, 100 * p["compressed"] / p["bytes"])
                        axes.annotate(str(p["level"]), at, (3, 4), textcoords="offset points")
                        if p["level"] == 3:
                            axes.plot(*at, "o", markersize=9, fillstyle="none", color=OURS)
            axes.set(xscale="log", title=f"{trace}, {_readable(line[0]['bytes'])}")
            axes.set_xlabel("milliseconds (logarithmic)")
            axes.margins(0.12, 0.15)
        panels[0].set_ylabel("% of the update's size")
        lines, labels = panels[0].get_legend_handles_labels()
        panels[0].figure.legend(lines, labels, loc="outside lower center", ncols=2)
    return path


@contextmanager
def _plot(path: Path, width: float, height: float, columns: int = 1) -> Iterator[list[Axes]]:
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, columns, figsize=(width, height), layout="constrained", squeeze=False
        )
        yield list(panels[0])
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
    # matplotlib ends some lines with spaces.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _readable(size: int) -> str:
    return f"{size / (1 << 20):.0f} MB" if size >= 1 << 20 else f"{size / 1024:.0f} kB"
