"""Probe objects that show which writes a bucket supports."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Any

from ..errors import AccessDenied, PreconditionFailed
from ..settings import BookstoreSettings
from .bucket import Bucket
from .preconditions import IfMatch, IfNew, Precondition
from .refusals import NotImplementedByServer

log = logging.getLogger("bookstore_y.bucket")

_conditional: dict[tuple[Any, ...], bool] = {}
"""Whether buckets honour conditions, by `BookstoreSettings.identity`."""


async def honours_conditions(bucket: Bucket) -> bool:
    """Whether a PUT with If-Match or If-None-Match is refused exactly when it should be.

    Asks once a process, by writing a small object under the workspace prefix and
    removing it again (S3 has conditional writes since 2024; Ceph 16 ignores If-None-Match
    and fails every If-Match in versioned buckets).
    """
    if bucket.settings.conditional_writes is not None:
        return bool(bucket.settings.conditional_writes)
    async with bucket.requests.connection.probing:
        identity = bucket.settings.identity()
        if identity not in _conditional:
            _conditional[identity] = await _probe(bucket)
            honours = "honors" if _conditional[identity] else "does not honor"
            log.info("The %s %s conditional writes.", bucket.where, honours)
        return _conditional[identity]


def ignores_conditions(settings: BookstoreSettings) -> bool:
    """Whether `honours_conditions` is known by now to be False."""
    if settings.conditional_writes is not None:
        return not settings.conditional_writes
    return not _conditional.get(settings.identity(), True)


async def _probe(bucket: Bucket) -> bool:
    async with probe_key(bucket) as key:
        try:
            first = await bucket.put(key, b"probe", {}, precondition=IfNew())
            if not await _is_refused(bucket, key, IfNew()):
                return False
            return not await _is_refused(bucket, key, IfMatch(first.etag))
        except NotImplementedByServer:
            return False


@contextlib.asynccontextmanager
async def probe_key(bucket: Bucket) -> AsyncIterator[str]:
    """A key of no document's under the workspace prefix, removed again afterwards."""
    key = f"{bucket.settings.workspace_prefix}.bookstore_y-probe-{uuid.uuid4().hex}"
    try:
        yield key
    finally:
        try:
            async for version in bucket.listing.versions(key):
                await bucket.delete(key, version.version_id)
        except AccessDenied as error:  # archiving does without this right
            log.info("The probe object %r could not be removed: %s", key, error)


async def _is_refused(bucket: Bucket, key: str, precondition: Precondition) -> bool:
    try:
        await bucket.put(key, b"probe again", {}, precondition=precondition)
    except PreconditionFailed:
        return True
    return False
