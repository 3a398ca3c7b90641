"""An S3 server of this process's own, for programs that run outside pytest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class LocalS3:
    """Where the server is, and the only key pair it needs to know."""

    endpoint_url: str
    access_key: str = "local"
    secret_key: str = "local-secret"

    def make_bucket(self) -> str:
        """Make an empty versioned bucket and return its name."""
        name = f"stale-file-{secrets.token_hex(4)}"
        s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name


@contextmanager
def local_s3() -> Iterator[LocalS3]:
    """A moto server on a free port of the loopback interface, gone at the end."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield LocalS3(f"http://127.0.0.1:{port}")
    finally:
        server.stop()
