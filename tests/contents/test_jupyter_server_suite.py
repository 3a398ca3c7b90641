"""jupyter_server's own tests of contents managers and checkpoints, with `S3Checkpoints`.

They are in its source distribution, which is downloaded for the version that is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.servers import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

NEEDED = ["pytest-jupyter", "pytest-timeout", "pytest-console-scripts", "flaky"]
"""What those tests need besides what this project's own tests do."""

NOT_MEANT = ["test_checkpoint_subdir"]
"""Where `FileCheckpoints` keeps its files."""

_HERE = Path(__file__).parent


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index does not answer")
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        pytest.skip(f"what is needed cannot be had from the package index: {last}")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution, with a `lib` beside its tests."""
    folder = tmp_path_factory.mktemp("suite")
    wanted = f"jupyter_server=={version('jupyter_server')}"
    _pip("download", wanted, "--no-deps", "--no-binary", ":all:", "--dest", str(folder))
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (unpacked,) = (path.parent for path in folder.glob("*/pyproject.toml"))
    _pip("install", "--no-deps", "--target", str(unpacked / "lib"), *NEEDED)
    return unpacked


def test_all_of_it_passes(suite: Path, moto_server: S3Server) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(suite / "lib"), str(_HERE), str(_HERE.parents[1])]),
        "JPYNB_S3_ENDPOINT_URL": moto_server.endpoint_url,
        "JPYNB_S3_ACCESS_KEY_ID": moto_server.access_key,
        "JPYNB_S3_SECRET_ACCESS_KEY": moto_server.secret_key,
        "JPYNB_S3_REGION_NAME": moto_server.region,
    }
    plugins = ["-p", "with_s3_checkpoints", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    left_out = ["-k", " and ".join(f"not {name}" for name in NOT_MEANT)]
    report = suite / "report.xml"
    quiet = ["-q", f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *left_out, *quiet, "tests/services/contents"],
        cwd=suite,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    outcomes = Counter[str]()
    failed = []
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcomes.update(kinds or {"passed"})
        if kinds & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
    print(dict(outcomes))
    assert failed == []
    assert outcomes["passed"] > 400
