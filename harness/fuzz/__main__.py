"""Fuzz one target in this process, or all, each in a process of its own."""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .target import Target

NAMES = ("update", "frame", "metadata", "key", "buffer", "request")
_SLOW_SECONDS = 10
_MEGABYTES = 1024


def main() -> int:
    """Returns an exit code: 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m harness.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=NAMES, help="default: all of them")
    parser.add_argument("--seconds", type=int, default=30, help="for each target; default 30")
    parser.add_argument("--runs", type=int, help="a number of inputs in place of --seconds")
    parser.add_argument("--seed", type=int, help="of all that is done by chance")
    parser.add_argument("--found", type=Path, default=Path(), help="where findings are written")
    parser.add_argument("--input", type=Path, help="run the target on this file alone")
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.target is None:
        given = sys.argv[1:]
        commands = [[sys.executable, "-m", "harness.fuzz", name, *given] for name in NAMES]
        return max([subprocess.run(command, check=False).returncode for command in commands])
    if options.input is not None:
        _target(options.target).run(options.input.read_bytes())
        return 0
    if options.corpus is None:
        # libFuzzer ends its process without a word to Python, so another one has to tidy up.
        with tempfile.TemporaryDirectory(prefix="bookstore-fuzz-corpus-") as corpus:
            again = [sys.executable, "-m", "harness.fuzz", *sys.argv[1:], "--corpus", corpus]
            return subprocess.run(again, check=False).returncode
    seed = options.seed if options.seed is not None else random.randrange(1, 2**31)
    print(f"{options.target}: seed {seed}", flush=True)
    bound = f"-runs={options.runs}" if options.runs else f"-max_total_time={options.seconds}"
    arguments = [bound, f"-seed={seed}", f"-artifact_prefix={options.found}/"]
    _fuzz(options.target, arguments, options.corpus)
    return 0


def _target(name: str) -> Target:
    targets: dict[str, Target] = importlib.import_module("harness.fuzz.targets").TARGETS
    return targets[name]


def _fuzz(name: str, arguments: list[str], corpus: Path) -> None:
    """Does not return; libFuzzer ends the process."""
    try:
        import atheris  # type: ignore[import-untyped]
    except ImportError:
        sys.exit("atheris is not installed; install the extra `fuzz` (pip install -e .[fuzz]).")
    with atheris.instrument_imports(include=["bookstore_y", "harness.fuzz"]):
        target = _target(name)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [
        f"-max_len={target.max_len}",
        f"-timeout={_SLOW_SECONDS}",
        f"-rss_limit_mb={_MEGABYTES}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *arguments, *limits, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
