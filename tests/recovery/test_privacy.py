"""Whose the buffer files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.buffer.recovery import BufferOptions, Recovery

from ..support import Outage, Typist
from .common import NOTES, QUIET, Server, files, type_into


async def test_buffer_files_are_for_their_user_alone(
    server: Server, directory: Path, tmp_path: Path, outage: Outage
) -> None:
    outage.begin()
    path = tmp_path / "kept" / "buffer.db"
    for each in (path, ":memory:"):
        async with server(each) as archive:
            type_into(archive, await archive.open(NOTES, QUIET), Typist().type("private"))
    (file,) = files(directory)
    assert [oct(each.stat().st_mode & 0o777) for each in (file, path)] == ["0o600"] * 2
    assert [oct(each.parent.stat().st_mode & 0o777) for each in (file, path)] == ["0o700"] * 2


async def test_a_path_that_looks_like_a_uri_is_a_path(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    monkeypatch.chdir(tmp_path)
    outage.begin()
    for name in ("file::memory:", "with space, 100% and é.db"):
        async with server(name) as archive:
            type_into(archive, await archive.open(NOTES, QUIET), Typist().type("durable"))
        assert (tmp_path / name).exists()


async def test_files_that_go_meanwhile_are_no_trouble(
    server: Server, directory: Path, settings: BookstoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Path(Recovery(settings, BufferOptions(recovery_dir=str(directory))).new_file())
    monkeypatch.setattr(Recovery, "_found", lambda self: [gone])

    async with server() as archive:
        assert archive.status()["documents"] == 0
    assert files(directory) == []
