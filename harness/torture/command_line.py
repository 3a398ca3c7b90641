"""The command line: which scenarios run, on which servers, and what is said of them."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import faulthandler
import importlib
import json
import logging
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..servers import NAMES, Servers
from .report import first, markdown
from .scenario import Context, Result, Scenario, Stopwatch

SCENARIOS = (
    "kills",
    "comparison",
    "full_disk",
    "outage_memory",
    "rtc",
    "network",
    "conflicts",
    "denied",
    "gateway",
)
"""Each is a module here, with `async def run(context) -> list[Result]`."""

DEFAULT_SEED = 20250

_SECONDS = 900.0
"""That a run at scale 1 may take; what is still running is then broken off."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios. Returns the exit status: 0 if all passed."""
    options = _parse(arguments)
    limit = _SECONDS * max(1.0, options.scale)
    faulthandler.dump_traceback_later(limit + 60.0, exit=True)  # whatever hangs
    print(f"seed {options.seed}, scale {options.scale:g}", flush=True)
    # moto's server says a line for each request that breaks off.
    logging.getLogger("werkzeug").disabled = True
    scratch = Path(tempfile.mkdtemp(prefix="bookstore-torture-"))
    servers = Servers()
    context = Context(options.seed, options.scale, servers, scratch, options.servers)
    try:
        results = asyncio.run(_run(context, options.only, limit))
    except asyncio.CancelledError:
        print("interrupted", flush=True)
        shutil.rmtree(scratch, ignore_errors=True)
        return 130
    finally:
        servers.stop()
    print("\n" + markdown(results, options.seed, options.scale), flush=True)
    if options.json is not None:
        _write_json(options.json, results, options)
    passed = all(result.passed for result in results)
    if passed and not options.keep:
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        print(f"\nLogs and buffers are in {scratch}.", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return 0 if passed else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m harness.torture",
        description="Hold what is promised of acknowledged updates against faults.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        help="of all random choices (default: %(default)s)",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="do this many times as much (default: 1)"
    )
    parser.add_argument(
        "--only",
        type=_names(SCENARIOS),
        default=SCENARIOS,
        help=f"of {', '.join(SCENARIOS)}; with commas between",
    )
    parser.add_argument(
        "--servers", type=_names(NAMES), default=NAMES, help="S3 servers, with commas between"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument("--keep", action="store_true", help="keep logs and buffers in any case")
    return parser.parse_args(arguments)


class _Names:
    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in self._known:
                raise argparse.ArgumentTypeError(
                    f"{name!r} is none of {', '.join(self._known)}; choose among these."
                )
        return names


def _names(known: tuple[str, ...]) -> _Names:
    return _Names(known)


async def _run(context: Context, names: Sequence[str], limit: float) -> list[Result]:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    clock = Stopwatch()
    results: list[Result] = []
    for name in names:
        print(f"\n{name} …", flush=True)
        left = limit - clock.seconds
        stopwatch = Stopwatch()
        try:
            found = await asyncio.wait_for(_load(name)(context), max(0.0, left))
        except Exception as error:  # noqa: BLE001 - one that crashes does not stop the others
            traceback.print_exc()
            said = f"{type(error).__name__}: {error}"
            if stopwatch.seconds >= left:
                said = f"The run's {limit:g} s were over."
            found = [Result(name, failures=[said], seconds=stopwatch.seconds)]
        for result in found:
            _say(result)
        results += found
    return results


def _load(name: str) -> Scenario:
    # Only when it runs: what one imports is not to weigh on the processes of the others.
    scenario: Scenario = importlib.import_module(f"{__package__}.{name}").run
    return scenario


def _say(result: Result) -> None:
    verdict = "passed" if result.passed else "FAILED"
    print(f"{result.scenario} on {result.server}: {verdict}, {result.seconds:.1f} s", flush=True)
    for line in first([*result.notes, *result.failures]):
        print(f"  {line}", flush=True)


def _write_json(path: Path, results: Sequence[Result], options: argparse.Namespace) -> None:
    path.write_text(
        json.dumps(
            {
                "seed": options.seed,
                "scale": options.scale,
                "python": sys.version.split()[0],
                "results": [
                    {**dataclasses.asdict(result), "passed": result.passed} for result in results
                ],
            },
            indent=2,
        )
        + "\n"
    )
