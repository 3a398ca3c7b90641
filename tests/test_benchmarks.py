"""The benchmarks run, small and few. Nothing is asked of the figures: CI's machines are busy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str) -> str:
    """What a module prints that is run from the repository. Fails the test if the module does."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.s3_only("moto")
def test_a_quick_run_measures_every_figure_and_makes_a_page_of_them(tmp_path: Path) -> None:
    result, page = tmp_path / "result.json", tmp_path / "performance.md"
    run("benchmarks", "--quick", "--json", str(result))
    known = json.loads(result.read_text())
    assert known["figures"]
    assert known["curves"]
    assert all(figure["ours"] for figure in known["figures"])

    pytest.importorskip("matplotlib")
    shutil.copy(ROOT / "docs" / "performance.md", page)
    plots = tmp_path / "plots"
    run("benchmarks.report", str(result), "--page", str(page), "--plots", str(plots))
    assert "A quick run of" in page.read_text()
    assert len(list(plots.glob("*.svg"))) == 3
