"""Fixtures of the tests of saved files and checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.file_uploads import FileUploads
from harness.servers import S3Server, connect

from ..e2e.conftest import bucket, new_disk
from .files import SavedFiles

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

__all__ = ["bucket", "new_disk"]  # fixtures of the end-to-end tests that are used here, too


@pytest.fixture
def s3(moto_server: S3Server) -> Iterator[S3Client]:
    """A plain client, which no fault here touches."""
    client = connect(moto_server)
    yield client
    client.close()


@pytest.fixture
def files(s3: S3Client, moto_bucket: str) -> SavedFiles:
    """What the bucket holds of saved files."""
    return SavedFiles(s3, moto_bucket)


@pytest.fixture
async def archive(settings: BookstoreSettings) -> AsyncIterator[Archive]:
    async with Archive(settings) as archive:
        yield archive


@pytest.fixture
async def checkpointer(settings: BookstoreSettings) -> AsyncIterator[Checkpointer]:
    async with Checkpointer(settings, BufferOptions()) as checkpointer:
        yield checkpointer


@pytest.fixture
def saves(checkpointer: Checkpointer) -> FileUploads:
    """Saves of a checkpointer whose moves they follow, as in a server."""
    saves = FileUploads(checkpointer)
    checkpointer.path_changes.saves = saves
    return saves
