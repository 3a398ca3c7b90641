"""What the bucket says in the end: plain boto3, zstd and pycrdt, and nothing of the store."""

from __future__ import annotations

import asyncio
from typing import Any

import pycrdt

from bookstore_y.errors import SnapshotError
from bookstore_y.ydoc.frame import decompress

from ..servers import S3Server, connect
from .ledger import Difference, Ledger
from .scenario import Result

ROOT = "text"
"""The name of the documents' one shared type."""

_MAX_SIZE = 2**30


class BucketReader:
    """Reads documents back from one bucket."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self._s3 = connect(server)
        self._bucket = bucket

    def text(self, document: str) -> str:
        """What the current version says; nothing if there is none."""
        key = f"workspace/{document}.y.zst"
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return ""
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        text = doc.get(ROOT, type=pycrdt.Text)
        try:
            doc.apply_update(decompress(answer["Body"].read(), _MAX_SIZE))
        except SnapshotError as error:
            return f"({error})"  # which is no marks
        return str(text)

    def differences(self, ledger: Ledger, documents: list[str]) -> dict[str, Difference]:
        """What is wrong with these documents, by their name."""
        found = {document: ledger.compare(document, self.text(document)) for document in documents}
        return {document: wrong for document, wrong in found.items() if not wrong.empty}


async def complete(reader: BucketReader, ledger: Ledger, seconds: float) -> None:
    """Wait until the bucket holds all that was acknowledged, or `seconds` have passed."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    behind = ledger.documents
    while behind and loop.time() < deadline:
        behind = list(await asyncio.to_thread(reader.differences, ledger, behind))
        await asyncio.sleep(0.1)


async def compare(reader: BucketReader, ledger: Ledger, result: Result) -> None:
    """Write into `result` how the bucket differs from the ledger."""
    wrong = await asyncio.to_thread(reader.differences, ledger, ledger.documents)
    result.acknowledged = ledger.count
    for document, difference in wrong.items():
        result.lost += len(difference.lost)
        result.doubled += len(difference.doubled)
        result.failures.append(f"{document} in the bucket: {difference}")
