"""Fixtures of the conformance tests: a bucket, and archives into it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from bookstore_y.archive.archive import Archive
from bookstore_y.s3.bucket import Bucket
from bookstore_y.settings import BookstoreSettings
from harness.servers import S3Server, s3_options

Configure = Callable[..., BookstoreSettings]
Tick = Callable[[], Awaitable[None]]


@pytest.fixture
def configure(s3_server: S3Server, bucket_name: str) -> Configure:
    """Settings for a fresh versioned bucket; keyword arguments change some."""

    def settings(**changes: Any) -> BookstoreSettings:
        return BookstoreSettings(**{**s3_options(s3_server, bucket_name), **changes})

    return settings


@pytest.fixture
def s3_clock(s3_server: S3Server) -> Tick:
    """Waits until the times that the server gives to versions are later ones."""

    async def tick() -> None:
        if s3_server.name == "ceph":  # to the millisecond
            return
        # Whole seconds, as in AWS: within one, only the server itself knows what came first.
        now = time.time()
        await asyncio.sleep(math.ceil(now) - now + 0.02)

    return tick


@pytest_asyncio.fixture
async def bucket(configure: Configure) -> AsyncIterator[Bucket]:
    """A fresh versioned bucket."""
    async with Bucket(configure()) as bucket:
        yield bucket


@pytest_asyncio.fixture
async def archive(configure: Configure) -> AsyncIterator[Archive]:
    """An archive in a fresh versioned bucket."""
    async with Archive(configure()) as archive:
        yield archive


@pytest_asyncio.fixture
async def second_archive(configure: Configure, archive: Archive) -> AsyncIterator[Archive]:
    """What a second server has: the same bucket, through a client of its own."""
    # Settings that differ in anything get a client of their own.
    async with Archive(configure(max_threads=archive.settings.max_threads + 1)) as second:
        yield second
