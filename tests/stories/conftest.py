"""What the stories share: disks that get lost, and servers on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from harness.jupyter.disk import Disk
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

from ..e2e.conftest import bucket, new_disk
from ..e2e.lab_page import QUIET_LAB

__all__ = ["bucket", "new_disk"]

Start = Callable[..., JupyterProcess]


@pytest.fixture
def config(s3_server: S3Server, bucket_name: str) -> Config:
    """A server's configuration as README has it."""
    return {**s3_store(s3_server, bucket_name), **QUIET_LAB}


@pytest.fixture
def start(config: Config) -> Start:
    """Makes a server on a disk, for `async with`; `traits` are set on `S3YStore`. One `at` the
    address of another has its port and token."""

    def make(
        disk: Disk,
        *,
        python: str = sys.executable,
        at: JupyterProcess | None = None,
        **traits: Any,
    ) -> JupyterProcess:
        whole = {**config, "S3YStore": {**config["S3YStore"], **traits}}
        address: dict[str, Any] = {} if at is None else {"port": at.port, "token": at.token}
        return JupyterProcess(disk, whole, application="jupyterlab", python=python, **address)

    return make
