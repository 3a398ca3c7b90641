"""Histories that took months, made in a moment: moto takes the times that it is told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from moto.s3.models import s3_backends

from bookstore_y.archive.labels import TAG, to_tag
from harness.servers import S3Server, connect

ACCOUNT = "123456789012"
"""moto's own."""


def put_saves(
    s3: S3Server,
    bucket: str,
    key: str,
    saves: list[tuple[datetime, dict[str, Any], str, str | None]],
) -> None:
    """Put saved files, the oldest first: when, what, by whom, and with which label."""
    client = connect(s3)
    try:
        for _, content, author, label in saves:
            extra = {"Tagging": f"{TAG}={quote(to_tag(label))}"} if label else {}
            client.put_object(
                Bucket=bucket,
                Key=key,
                Body=json.dumps(content).encode(),
                Metadata={"format": "1", "origin": "save", "authors": quote(author)},
                **extra,  # type: ignore[arg-type]
            )
    finally:
        client.close()
    stored = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.getlist(key)
    for (when, *_), version in zip(saves, stored, strict=True):
        version.last_modified = when.astimezone(timezone.utc).replace(tzinfo=None)


def sittings(now: datetime, *, days: int, each: int) -> list[datetime]:
    """Moments of saves: `each` of them in one sitting a day, up to an hour ago."""
    found: list[datetime] = []
    for day in range(days - 1, -1, -1):
        end = now - timedelta(days=day, hours=1 + day % 3)
        found += [end - timedelta(minutes=4 * before) for before in range(each - 1, -1, -1)]
    return found
