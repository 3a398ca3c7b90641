"""Measure: `python -m benchmarks`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bookstore_y.errors import BookstoreError
from harness.servers import NAMES, ServerError

from .bench import Bench
from .machine import machine, versions
from .measure import Curve, Figure
from .servers import s3_server

GROUPS = {
    "startup": "import, and what a Jupyter server's start takes longer",
    "writing": "write() against SQLite stores and plain INSERTs",
    "checkpoints": "checkpoints against their floor, by size and by age",
    "opening": "opening documents against the floor and other stores",
    "stalls": "how long the event loop stands still",
    "memory": "what evicted documents take",
    "load": "500 documents that are typed in",
    "traffic": "S3 requests",
    "sizes": "bytes a version",
    "compression": "zstd's levels",
    "listing": "the history of a document of many versions",
    "pulling": "having a workspace back as it was",
}


def main() -> None:
    """Measure, tell each figure as it is known, and write all of them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure bookstore_y against other stores and against the floor.",
        epilog="groups: " + "; ".join(f"{name} ({what})" for name, what in GROUPS.items()),
    )
    parser.add_argument("--quick", action="store_true", help="small and few: under a minute")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="GROUP", default=[])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument(
        "--s3", default="moto", metavar="SERVER", help=f"{', '.join(NAMES)}, or a URL"
    )
    args = parser.parse_args()
    if args.json and not os.access(args.json.parent, os.W_OK):
        parser.error(f"{args.json} cannot be written; name a file in a directory that is there")
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    try:
        result = measure(args.only or list(GROUPS), quick=args.quick, s3=args.s3)
    except (BookstoreError, ServerError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(groups: list[str], *, quick: bool, s3: str) -> dict[str, Any]:
    """The result of these groups: figures, curves, and what they were measured with."""
    started = time.time()
    found: list[Figure | Curve] = []
    took = {}
    with (
        tempfile.TemporaryDirectory(prefix="bookstore-bench-") as scratch,
        s3_server(s3) as options,
    ):
        bench = Bench(quick, options, Path(scratch))
        for name in groups:
            since = time.perf_counter()
            group: Callable[[Bench], AsyncIterator[Figure | Curve]]
            group = import_module(f".{name}", __package__).figures
            asyncio.run(_collect(group(bench), found, quick=quick))
            took[name] = round(time.perf_counter() - since, 1)
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started),
        "seconds_by_group": took,
        "quick": quick,
        "s3": s3 if s3 in NAMES else "another server",
        "machine": machine(),
        "versions": versions(),
        "figures": [each.to_json() for each in found if isinstance(each, Figure)],
        "curves": {each.name: each.points for each in found if isinstance(each, Curve)},
    }


async def _collect(
    figures: AsyncIterator[Figure | Curve], found: list[Figure | Curve], *, quick: bool
) -> None:
    async for figure in figures:
        found.append(figure)
        if isinstance(figure, Figure):
            print(told(figure, judged=not quick), flush=True)


def told(figure: Figure, *, judged: bool) -> str:
    """A figure in a line; if it is to be judged, with what is to be reached, which is said of the
    full run's sizes."""
    from .wording import reach, verdict, with_unit

    said = figure.to_json()
    line = f"{figure.what}: {with_unit(said['ours_median'], figure.unit)}"
    if figure.other:
        line += (
            f"; {figure.of}: {with_unit(said['other_median'], figure.unit)}; "
            f"ratio {said['ratio']:.2f} ({said['spread'][0]:.2f} to {said['spread'][1]:.2f})"
        )
    if judged and figure.met is not None:
        line += f"; to reach: {reach(said)}: {verdict(said)}"
    return line + (f" [{figure.note}]" if figure.note else "")


if __name__ == "__main__":
    main()
