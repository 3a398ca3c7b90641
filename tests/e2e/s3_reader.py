"""S3Reader: what the bucket holds, read with plain boto3, zstandard and pycrdt."""

from __future__ import annotations

from typing import Any

import zstandard
from jupyter_ydoc import ydocs
from pycrdt import Doc

from ..servers import S3Server, connect


class S3Reader:
    """Reads one bucket without any of the project's own code."""

    def __init__(self, s3: S3Server, bucket: str) -> None:
        self._bucket = bucket
        self._client = connect(s3)

    def snapshot(self, key: str, version_id: str, file_type: str = "notebook") -> Any:
        """The content of the document in one version of the snapshot at `key`."""
        answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version_id)
        doc: Doc[Any] = Doc()
        document = ydocs[file_type](doc)
        doc.apply_update(zstandard.decompress(answer["Body"].read()))
        return document.source
