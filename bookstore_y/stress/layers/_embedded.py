"""An embedded S3 for the layers that have a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...cli._embedded_s3 import ACCESS_KEY_ID, REGION_NAME, SECRET_ACCESS_KEY, EmbeddedS3

_BUCKET = "layers"
_START_WITHIN = 60.0


def bucket_settings(endpoint_url: str) -> dict[str, str]:
    """Traits of `BookstoreSettings` for the bucket at `endpoint_url`."""
    return {
        "s3_endpoint_url": endpoint_url,
        "s3_bucket": _BUCKET,
        "s3_region_name": REGION_NAME,
        "s3_access_key_id": ACCESS_KEY_ID,
        "s3_secret_access_key": SECRET_ACCESS_KEY,
    }


@contextmanager
def embedded_s3(directory: Path) -> Iterator[str]:
    """The URL of an embedded S3 with a versioned bucket; it ends on leaving.

    Raises `RuntimeError` when it does not start.
    """
    s3 = EmbeddedS3(_BUCKET, directory, os.environ)
    try:
        deadline = time.monotonic() + _START_WITHIN
        while (url := s3.endpoint_url()) is None:
            if not s3.running or time.monotonic() > deadline:
                raise RuntimeError(
                    f"The embedded S3 did not start ({s3.how_it_ended}); the end of its log:\n"
                    f"{s3.end_of_log()}"
                )
            time.sleep(0.05)
        yield url
    finally:
        s3.kill()
