"""S3Reader: what the bucket holds, read with plain boto3, zstandard and pycrdt."""

from __future__ import annotations

from collections import Counter
from typing import Any

import zstandard
from jupyter_ydoc import ydocs
from pycrdt import Doc

from ..servers import S3Server, connect
from .marks import find_marks


class S3Reader:
    """Reads one bucket without any of the project's own code."""

    def __init__(self, s3: S3Server, bucket: str) -> None:
        self._bucket = bucket
        self._client = connect(s3)

    def snapshot(self, key: str, version_id: str, file_type: str = "notebook") -> Any:
        """The content of the document in one version of the snapshot at `key`."""
        answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version_id)
        return _content(answer["Body"].read(), file_type)

    def current(self, key: str, file_type: str = "notebook") -> Any:
        """The content of the document in the current version of the snapshot at `key`."""
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        return _content(answer["Body"].read(), file_type)

    def marks(self, key: str) -> Counter[str]:
        """The marks in the current version of the notebook's snapshot at `key`, each with how
        often it is there."""
        cells = self.current(key)["cells"]
        return find_marks(cell["source"] for cell in cells)


def _content(frame: bytes, file_type: str) -> Any:
    doc: Doc[Any] = Doc()
    document = ydocs[file_type](doc)
    doc.apply_update(zstandard.decompress(frame))
    return document.source
