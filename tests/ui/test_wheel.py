"""What is built of the checkout holds the JupyterLab extension."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .history_page import EXTENSION

ROOT = Path(__file__).parents[2]
SHARED = "data/share/jupyter/labextensions/bookstore-y/"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not EXTENSION.exists(), reason="the extension is not built: `make ui`"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an sdist, and a wheel that was built of it without npm."""
    pytest.importorskip("build")
    target = tmp_path_factory.mktemp("dist")
    for command in (["--sdist", str(ROOT)], ["--wheel", ""]):
        what, source = command
        environment = {"PATH": "/nowhere", "HOME": str(target)}
        if what == "--wheel":
            with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
                archive.extractall(target, filter="data")
            source = str(next(path for path in target.iterdir() if path.is_dir()))
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", what, "-o", str(target), source],
            check=True,
            env=environment,
        )
    return target


def test_the_wheel_has_all_of_the_extension_where_jupyterlab_looks(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if SHARED in name]
        base = names[0].partition(SHARED)[0] + SHARED
        package = json.loads(wheel.read(f"{base}package.json"))
        assert f"{base}{package['jupyterlab']['_build']['load']}" in names
        assert not [name for name in wheel.namelist() if "bookstore_y/labextension" in name]
    there = {file.relative_to(EXTENSION).as_posix() for file in EXTENSION.rglob("*.*")}
    assert {name.removeprefix(base) for name in names} >= there


def test_the_sdist_has_source_and_output(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert "ui/src/index.ts" in names
    assert "bookstore_y/labextension/package.json" in names
    assert not [name for name in names if name.startswith(("ui/node_modules", "ui/lib"))]
