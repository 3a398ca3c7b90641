"""Fixtures: one server for all tests that do not disturb each other, on moto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.jupyter.disk import Disk
from harness.servers import S3Server, make_bucket

from .server import RestServer, running


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """The disk of that server."""
    return Disk(tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="session")
def rest(disk: Disk, moto_server: S3Server) -> Iterator[RestServer]:
    """A server with a bucket of its own, which may clone from `clonable` on its disk."""
    clonable = disk.path / "clonable"
    clonable.mkdir()
    with running(
        disk,
        moto_server,
        make_bucket(moto_server),
        BookstoreSettings={"fs_cloning_basedir": str(clonable)},
    ) as server:
        yield server


@pytest.fixture
def new_disk(tmp_path: Path) -> Callable[[], Disk]:
    """Makes an empty disk at each call."""
    numbers = count(1)
    return lambda: Disk(tmp_path / f"disk-{next(numbers)}")
