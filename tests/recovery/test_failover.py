"""What is pending follows its bucket to another endpoint, and to another name."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from bookstore_y import BookstoreSettings
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.replication.checkpointer import Checkpointer
from harness.proxies.slow_bucket import slow_bucket
from harness.servers import S3Server, make_bucket

from ..support import Outage, Reader, Typist
from .common import NOTES, QUIET, files, type_into

Site = Callable[..., Checkpointer]


@pytest.fixture
def site(config: Config, directory: Path) -> Site:
    """A server that has its own endpoint and name for the bucket."""

    def make(bucket: str = "", url: str = "", prefix: str = "workspace/") -> Checkpointer:
        settings: dict[str, Any] = {**config.BookstoreSettings, "workspace_prefix": prefix}
        settings["s3_bucket"] = bucket or settings["s3_bucket"]
        settings["s3_endpoint_url"] = url or settings["s3_endpoint_url"]
        return Checkpointer(
            BookstoreSettings(**settings), BufferOptions(recovery_dir=str(directory))
        )

    return make


def elsewhere(server: S3Server) -> str:
    """Another URL of the same server."""
    return server.endpoint_url.replace("127.0.0.1", "localhost")


async def leave(archive: Checkpointer, typist: Typist, outage: Outage) -> None:
    """Have a document in the bucket, and its last word in a recovery file."""
    async with archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("archived "))
        await archive.checkpoint(entry)
        outage.begin()
        type_into(archive, entry, typist.type("pending"))
    outage.end()


async def test_what_is_pending_is_taken_up_at_another_endpoint(
    site: Site, directory: Path, reader: Reader, outage: Outage, moto_server: S3Server
) -> None:
    await leave(site(), Typist(), outage)
    async with site(url=elsewhere(moto_server)) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert entry.pending
        assert await archive.flush(30) == {}
    assert await reader.text(NOTES) == "archived pending"
    assert files(directory) == []


async def test_other_histories_in_a_bucket_of_that_name_are_left_alone(
    site: Site,
    directory: Path,
    reader: Reader,
    outage: Outage,
    moto_server: S3Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two servers may each have a bucket of one name, and nothing to do with each other."""
    theirs = site(prefix="theirs/")
    await leave(theirs, Typist(), outage)
    (left,) = files(directory)
    here = site(url=elsewhere(moto_server))
    async with here:
        entry = await here.open(NOTES, QUIET)
        type_into(here, entry, Typist().type("ours"))
        await here.checkpoint(entry)
    here.recovery.directory.mkdir(exist_ok=True)
    left = Path(shutil.move(left, here.recovery.directory / left.name))

    async with here as archive:
        assert await archive.flush(30) == {}
    assert files(directory) == [left]
    assert await reader.text(NOTES) == "ours"
    assert str(left) in caplog.text
    assert "left alone" in caplog.text


async def test_a_replica_of_another_name_is_known_by_its_versions(
    site: Site,
    directory: Path,
    reader: Reader,
    outage: Outage,
    moto_server: S3Server,
    moto_bucket: str,
) -> None:
    """S3's replication keeps version ids; another bucket has none of them."""
    await leave(site(), Typist(), outage)
    async with site(make_bucket(moto_server)) as other:
        assert not other.entries
    assert len(files(directory)) == 1

    async with (
        slow_bucket(moto_server, names=("replica", moto_bucket)) as far,
        site("replica", far.server.endpoint_url) as archive,
    ):
        assert await archive.flush(30) == {}
    assert await reader.text(NOTES) == "archived pending"
    assert files(directory) == []


async def test_what_an_earlier_release_left_is_taken_up(
    site: Site, directory: Path, reader: Reader, outage: Outage
) -> None:
    await leave(site(), Typist(), outage)
    (left,) = files(directory)
    archive = site()
    settings = archive.settings
    place = f"{settings.s3_endpoint_url}|{settings.s3_bucket}|{settings.workspace_prefix}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    former = directory / f"{settings.s3_bucket}-{digest}"
    former.mkdir()
    shutil.move(left, former / "recovery-0123456789ab.db")
    async with archive:
        assert await archive.flush(30) == {}
    assert await reader.text(NOTES) == "archived pending"
    assert files(directory) == []
