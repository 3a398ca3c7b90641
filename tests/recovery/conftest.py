"""Servers that come and go, and what they leave on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.buffer import recovery
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.replication import health
from bookstore_y.replication.checkpointer import Checkpointer

from .common import Server


@pytest.fixture(autouse=True)
def _tries_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RETRY_CAP", 0.2)
    monkeypatch.setattr(recovery, "HANDOVER", 0.1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


@pytest.fixture
def server(settings: BookstoreSettings, directory: Path) -> Server:
    """A server's checkpointer; they all share one directory of recovery files."""

    def make(path: str | Path = ":memory:", **options: Any) -> Checkpointer:
        return Checkpointer(settings, BufferOptions(str(path), str(directory), **options))

    return make
