"""The examples of docs/rest.md run as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.jupyter.notebooks import sample_notebook

from .server import RestServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no `curl` on PATH"),
]

PAGE = Path(__file__).parents[2] / "docs" / "rest.md"
PATH = "work/tides.ipynb"


def test_each_example_succeeds(rest: RestServer, tmp_path: Path) -> None:
    examples = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(examples) >= 6
    version = rest.archived(PATH, sample_notebook())
    rest.save(PATH, sample_notebook())
    curl = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }'
    done = subprocess.run(
        ["bash", "-euc", "\n".join([curl, *examples])],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "URL": rest.process.url,
            "TOKEN": rest.process.token,
            "BUCKET": rest.bucket,
            "VERSION": version.version_id,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert (tmp_path / "tides-then.ipynb").stat().st_size > 0
    assert rest.disk.file("clones/tides.ipynb").exists()
