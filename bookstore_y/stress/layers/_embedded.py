"""An embedded S3 for the layers that have a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...local.embedded_s3 import EmbeddedS3
from ..stores import BUCKET

_START_WITHIN = 60.0


@contextmanager
def embedded_s3(directory: Path) -> Iterator[str]:
    """The URL of an embedded S3 with a versioned bucket; it ends on leaving.

    Raises `RuntimeError` when it does not start.
    """
    s3 = EmbeddedS3(BUCKET, directory, os.environ)
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
