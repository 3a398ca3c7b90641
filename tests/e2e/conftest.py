"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.jupyter.disk import Disk

from .bucket import Bucket


@pytest.fixture
def new_disk(tmp_path: Path) -> Callable[[], Disk]:
    """Makes an empty disk at each call."""
    numbers = count(1)
    return lambda: Disk(tmp_path / f"disk-{next(numbers)}")


@pytest.fixture(scope="session")
def marks() -> int:
    """How many accepted marks a stale file lacks; `E2E_MARKS` in the environment sets it."""
    return int(os.environ.get("E2E_MARKS", "600"))


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """A bucket that can be taken down and brought up again."""
    bucket = Bucket()
    yield bucket
    bucket.down()
