"""S3Reader: what the bucket holds, read with plain boto3, zstandard and pycrdt."""

from __future__ import annotations

from typing import Any

import boto3
import zstandard
from jupyter_ydoc import ydocs
from pycrdt import Doc

from .stores import S3Server


class S3Reader:
    """Reads one bucket without any of the project's own code."""

    def __init__(self, s3: S3Server, bucket: str) -> None:
        self._bucket = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
        )

    def keys(self) -> list[str]:
        """The keys of all current objects."""
        answer = self._client.list_objects_v2(Bucket=self._bucket)
        return [item["Key"] for item in answer.get("Contents", [])]

    def snapshot(self, key: str, version_id: str, file_type: str = "notebook") -> Any:
        """The content of the document in one version of the snapshot at `key`."""
        answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version_id)
        doc: Doc[Any] = Doc()
        document = ydocs[file_type](doc)
        doc.apply_update(zstandard.decompress(answer["Body"].read()))
        return document.source
