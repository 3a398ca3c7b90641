"""The embedded S3 server: moto with one versioned bucket, in a separate process.

    python -m bookstore_y.local.embedded_s3 BUCKET ANNOUNCEMENT BODIES

It listens on a free loopback port and, once the bucket is there, writes its URL to the file
ANNOUNCEMENT. What its objects hold is in files of the directory BODIES; the rest is in memory, so
that nothing outlives the process.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from .child import Child

ACCESS_KEY_ID = "embedded-s3"
SECRET_ACCESS_KEY = "embedded-s3"  # noqa: S105
"""The key pair of the embedded S3, which accepts any: it is no secret and is printed."""
REGION_NAME = "us-east-1"

_GRACE = 2.0

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Has glibc give the memory of each large body back at once (mallopt(3)). By itself it keeps what
was freed, the more the larger the bodies: a third more for bodies of 3 MB, after 200 of them."""


class EmbeddedS3(Child):
    """The process, and where it listens. `directory` takes its log, its announcement, and what
    its objects hold."""

    def __init__(self, bucket: str, directory: Path, env: Mapping[str, str]) -> None:
        self._announcement = directory / "s3-endpoint"
        bodies = directory / "s3"
        bodies.mkdir(exist_ok=True)
        super().__init__(
            "The embedded S3",
            [__name__, bucket, str(self._announcement), str(bodies)],
            cwd=directory,
            env={**env, **_MEMORY},
            log=directory / "s3.log",
            grace=_GRACE,
        )

    def endpoint_url(self) -> str | None:
        """Its URL, or None while it is starting."""
        try:
            return self._announcement.read_text()
        except FileNotFoundError:
            return None


def serve(bucket: str, announcement: Path, bodies: Path) -> None:
    """Serve until the process is ended."""
    import boto3
    from botocore.config import Config

    from . import quick_moto

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
    server = quick_moto.serve(bodies)
    endpoint_url = f"http://127.0.0.1:{server.server_port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION_NAME,
        config=Config(proxies={}),
    )
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    unfinished = announcement.with_suffix(".part")
    unfinished.write_text(endpoint_url)
    unfinished.replace(announcement)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
