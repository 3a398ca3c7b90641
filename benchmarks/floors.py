"""Floors: the least that has to be done, by the same libraries and without anything around it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aioboto3  # type: ignore[import-untyped]
import zstandard
from botocore.config import Config
from pycrdt import Doc

from bookstore_y import BookstoreSettings

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

LEVEL = 3


class Inserts:
    """A prepared `INSERT` of plain sqlite3, in memory, into a table without an index."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.execute("CREATE TABLE updates (path TEXT, data BLOB, metadata BLOB, at REAL)")

    def write(self, update: bytes) -> None:
        row = ("notes.txt", update, b"", time.time())
        self._db.execute("INSERT INTO updates VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        self._db.close()


@contextlib.asynccontextmanager
async def bare_s3(settings: BookstoreSettings) -> AsyncIterator[S3Client]:
    """A client of aioboto3 for the same bucket, without checksums that S3 does not need."""
    session = aioboto3.Session(
        aws_access_key_id=settings.s3_access_key_id or None,
        aws_secret_access_key=settings.s3_secret_access_key or None,
        region_name=settings.s3_region_name or "us-east-1",
    )
    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=settings.max_threads,
        s3={"addressing_style": "path"},
    )
    url = settings.s3_endpoint_url or None
    async with session.client("s3", endpoint_url=url, config=config) as s3:
        yield s3


def frame_of(doc: Doc[Any]) -> bytes:
    """A live document as one zstd frame."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(doc.get_update())


async def put(s3: S3Client, bucket: str, key: str, doc: Doc[Any]) -> None:
    """`get_update`, zstd, and one PUT."""
    await s3.put_object(Bucket=bucket, Key=key, Body=frame_of(doc))


async def get(s3: S3Client, bucket: str, key: str, doc: Doc[Any]) -> None:
    """One GET, zstd, and `apply_update`."""
    answer = await s3.get_object(Bucket=bucket, Key=key)
    frame = await answer["Body"].read()
    doc.apply_update(zstandard.ZstdDecompressor().decompress(frame))
