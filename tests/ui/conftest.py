"""Fixtures of the tests of the panel, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.jupyter.disk import Disk
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server

from ..e2e.bucket import Bucket
from ..e2e.lab_page import QUIET_LAB
from .history_page import EXTENSION

NOTIFICATION = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"

Serve = Callable[..., AbstractAsyncContextManager[JupyterProcess]]


@pytest.fixture
def new_disk(tmp_path: Path) -> Callable[[], Disk]:
    """Makes a disk at each call, on which JupyterLab finds the extension of this checkout."""
    numbers = count(1)

    def make() -> Disk:
        disk = Disk(tmp_path / f"disk-{next(numbers)}")
        extensions = Path(disk.environment()["JUPYTER_DATA_DIR"]) / "labextensions"
        extensions.mkdir(parents=True)
        (extensions / "bookstore-y").symlink_to(EXTENSION)
        notification = disk.path / "config/lab/user-settings" / NOTIFICATION
        notification.parent.mkdir(parents=True)
        notification.write_text('{"fetchNews": "false"}')  # it would ask whether to fetch them
        return disk

    return make


@pytest.fixture
def serve(new_disk: Callable[[], Disk]) -> Serve:
    """Starts JupyterLab on a new disk with these files, archiving to a bucket."""

    @asynccontextmanager
    async def started(
        s3: S3Server,
        bucket: str,
        files: dict[str, Any],
        *,
        collaborative: bool = True,
        settings: dict[str, Any] | None = None,
        checkpoints: bool = False,
        **traits: Any,
    ) -> AsyncIterator[JupyterProcess]:
        traits = {"checkpoint_max_delay": 1.0, **traits}
        config: Config = {**s3_store(s3, bucket, **traits), **QUIET_LAB}
        config["BookstoreSettings"] |= settings or {}
        config["LabApp"] = {**config["LabApp"], "expose_app_in_browser": True}
        config["YDocExtension"]["disable_rtc"] = not collaborative
        config["ServerApp"]["identity_provider_class"] = "tests.ui.identity.Named"
        if checkpoints:
            config["ContentsManager"] = {"checkpoints_class": "bookstore_y.S3Checkpoints"}
        if not collaborative:
            server = config["ServerApp"]
            server["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
        disk = new_disk()
        for path, content in files.items():
            if isinstance(content, str):
                disk.file(path).write_text(content, encoding="utf-8")
            else:
                disk.place(path, content)
        async with JupyterProcess(disk, config, application="jupyterlab") as process:
            yield process

    return started


@pytest.fixture
def bucket() -> Any:
    """A bucket that can be taken down and brought up again."""
    bucket = Bucket()
    yield bucket
    bucket.down()
