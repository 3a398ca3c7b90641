"""Fuzzing, a little of it: the targets hold for their seeds, what was once found, and some runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from harness.fuzz.crashers import CRASHERS
from harness.fuzz.targets import TARGETS

RUNS = {"buffer": 300}
"""Runs of a target that takes long; of the others, `MOST`."""
MOST = 3000
SEED = 1


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds():
        target.run(seed)


@pytest.mark.parametrize("what", CRASHERS)
def test_what_was_once_found(what: str) -> None:
    name, data = CRASHERS[what]
    TARGETS[name].run(data)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed; install the extra `fuzz` (pip install -e .[fuzz])",
)
@pytest.mark.parametrize("name", TARGETS)
def test_some_runs(name: str, tmp_path: Path) -> None:
    options = ["--runs", str(RUNS.get(name, MOST)), "--seed", str(SEED), "--found", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "harness.fuzz", name, *options],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=300,
    )
    found = {path.name: path.read_bytes().hex() for path in tmp_path.iterdir()}
    assert done.returncode == 0, f"{found}\n{done.stderr[-3000:]}"
