"""Fixtures of the client's tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

PATH = "work/tides.ipynb"


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk with a notebook on it."""
    disk = Disk(tmp_path / "disk")
    disk.place(PATH, sample_notebook())
    return disk


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    """Documents are archived soon, and rooms that everybody has left close soon."""
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    return config


@pytest.fixture
def here(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a program of the user whose servers run on `disk`."""
    for name in list(os.environ):
        if name.startswith(("JUPYTERHUB_", "JPY_", "JUPYTER_SERVER_", "JUPYTER_TOKEN")):
            monkeypatch.delenv(name)
    for name, value in disk.environment().items():
        if name.startswith("JUPYTER_"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def in_kernel(here: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this process look like the kernel of that id, as kernels are started."""

    def become(kernel_id: str) -> None:
        argv: list[Any] = ["launcher", "-f", f"/run/jupyter/kernel-{kernel_id}.json"]
        monkeypatch.setattr(sys, "argv", argv)

    return become
