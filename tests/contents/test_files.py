"""Files that the extension writes by way of the server's contents manager."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from bookstore_y.jupyter.server_files import ServerFiles


async def test_files_that_come_back_at_once_share_the_folders_they_need(tmp_path: Path) -> None:
    server: Any = SimpleNamespace(contents_manager=AsyncLargeFileManager(root_dir=str(tmp_path)))
    files = ServerFiles(server)
    paths = [f"work/2026/tides-{number}.txt" for number in range(8)]
    await asyncio.gather(*(files.write(path, path) for path in paths))
    assert {path: (tmp_path / path).read_text() for path in paths} == {path: path for path in paths}
