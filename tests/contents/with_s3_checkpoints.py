"""A pytest plugin for jupyter_server's own tests: `S3Checkpoints` takes the place of each of its
classes of checkpoints, and each test has a bucket of its own.

The environment tells it which S3 server to use, by bookstore_y's variables.
"""

from __future__ import annotations

import os
import uuid

import boto3
import pytest
from jupyter_server.services.contents import filecheckpoints, filemanager

from bookstore_y import S3Checkpoints

for _name in (
    "FileCheckpoints",
    "AsyncFileCheckpoints",
    "GenericFileCheckpoints",
    "AsyncGenericFileCheckpoints",
):
    setattr(filecheckpoints, _name, S3Checkpoints)
    if hasattr(filemanager, _name):
        setattr(filemanager, _name, S3Checkpoints)


@pytest.fixture(autouse=True)
def _bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"suite-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["JPYNB_S3_ENDPOINT_URL"],
        aws_access_key_id=os.environ["JPYNB_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["JPYNB_S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    monkeypatch.setenv("JPYNB_S3_BUCKET", name)
