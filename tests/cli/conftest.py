"""Commands against a bucket that the environment names, away from this machine's Jupyter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bookstore_y import Archive, Version
from harness.servers import S3Server, s3_options

from .commands import Commands

Save = Callable[..., Version]


@pytest.fixture
def jupyter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the user's Jupyter configuration; nothing of this machine's is read."""
    home = tmp_path / "jupyter"
    home.mkdir()
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTER_SERVER_URL", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def jupyter_bookstore(jupyter_home: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    """`jupyter bookstore`, without any configuration."""
    return Commands(capsys)


def use(monkeypatch: pytest.MonkeyPatch, server: S3Server, bucket: str) -> None:
    """Configure the commands by the environment."""
    for name, value in s3_options(server, bucket).items():
        monkeypatch.setenv(f"JPYNB_{name.upper()}", value)


@pytest.fixture
def on_moto(moto_server: S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket on moto, which the commands use."""
    use(monkeypatch, moto_server, moto_bucket)
    return moto_bucket


@pytest.fixture
def on_each(s3_server: S3Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket on each chosen server, which the commands use."""
    use(monkeypatch, s3_server, bucket_name)
    return bucket_name


@pytest.fixture
def save() -> Save:
    """Saves a file into the archive that the environment names, and returns the version."""

    def save(path: str, raw: bytes, *authors: str) -> Version:
        async def go() -> Version:
            async with Archive() as archive:
                version = await archive.save_file(path, raw, authors=authors)
                assert version is not None, "it was saved already"
                return version

        return asyncio.run(go())

    return save
