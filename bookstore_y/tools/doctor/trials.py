"""Testing each permission on a probe object."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ...errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    NotFound,
    ObjectLocked,
    PreconditionFailed,
)
from ...s3.bucket import Bucket
from ...s3.preconditions import IfMatch, IfNew, Precondition
from ...s3.refusals import NotImplementedByServer, answer_of
from ...settings import BookstoreSettings
from .findings import Finding, failed

SLOW = 0.5
"""Seconds that a request of a few bytes takes on a bucket too far away to be pleasant."""

_BODY = b"bookstore_y doctor: this object may be removed"


@dataclass
class _Probe:
    """An object of ours, and which of its versions are still in the bucket."""

    key: str
    version_ids: list[str] = field(default_factory=list)
    etag: str = ""


class Trials:
    """Tries the verbs on one object under each prefix, and removes the objects again."""

    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self.may_list = True
        """Whether the bucket lets its versions be listed, as far as was tried."""
        self._bucket = bucket
        self._settings = settings
        name = f".bookstore_y-probe-{uuid.uuid4().hex}"
        self._work = _Probe(settings.workspace_prefix + name)
        self._published = _Probe(settings.published_prefix + name)
        self._times: list[float] = []

    async def run(self) -> AsyncIterator[Finding]:
        """A finding for each verb, and for what could not be removed."""
        try:
            async for finding in self._rights():
                yield finding
            if self._work.version_ids:
                yield await self._checksums()
                yield await self._conditions()
        finally:
            left = await self._clean_up()
        if left is not None:
            yield left

    async def _rights(self) -> AsyncIterator[Finding]:
        bucket, work = self._bucket, self._work
        yield await self._may("write", "s3:PutObject", lambda: self._put(work))
        yield await self._may("read", "s3:GetObject", lambda: self._get(None))
        yield await self._may(
            "read a version", "s3:GetObjectVersion", lambda: self._get(work.version_ids[0]), work
        )
        listing = await self._may(
            "list versions",
            "s3:ListBucketVersions",
            lambda: bucket.listing.page(work.key, limit=10),
        )
        self.may_list = listing.status == "ok"
        yield listing
        yield await self._may(
            "copy", "s3:PutObject and s3:GetObjectVersion", lambda: self._copy(work), work
        )
        yield await self._may(
            "label",
            "s3:PutObjectVersionTagging",
            lambda: bucket.set_tags(work.key, work.version_ids[0], {"label": "doctor"}),
            work,
            optional="Versions can't be labelled.",
        )
        yield await self._may(
            "read labels",
            "s3:GetObjectVersionTagging",
            lambda: bucket.tags(work.key, work.version_ids[0]),
            work,
            optional="Labels can't be shown or set, and `prune` removes nothing because it "
            "can't tell which versions are labelled.",
        )
        yield await self._may(
            "publish",
            "s3:PutObject under the published prefix",
            lambda: self._put(self._published),
            optional="Nothing can be published.",
        )
        if self.may_list:  # or its delete marker could not be found again
            yield await self._may(
                "delete", "s3:DeleteObject", lambda: bucket.delete(work.key), work
            )
        else:
            yield Finding(
                "right to delete",
                "skipped",
                "Not tested, because its delete marker can't be found again without listing.",
            )

    async def _may(
        self,
        what: str,
        action: str,
        call: Callable[[], Awaitable[Any]],
        needs: _Probe | None = None,
        *,
        optional: str = "",
    ) -> Finding:
        """Whether a call is allowed; `optional` says what is lacking without it."""
        check = f"right to {what}"
        if needs is not None and not needs.version_ids:
            return Finding(check, "skipped", "Not tested, because nothing could be written.")
        began = time.perf_counter()
        try:
            await call()
        except NotFound:
            if self._work.version_ids:
                return Finding(
                    check,
                    "failed",
                    "An object that was just written is not found.",
                    "Use an S3 server with read-after-write consistency.",
                )
        except AccessDenied as error:
            return Finding(
                check,
                "warning" if optional else "failed",
                f"The bucket refuses it{_words_of(error)}. {optional}".rstrip(),
                f"Allow {action}; `jupyter bookstore init --print-policy` prints the whole policy.",
            )
        except NotImplementedByServer as error:
            return Finding(check, "warning" if optional else "failed", str(error), optional)
        except BookstoreError as error:
            return failed(check, error)
        self._times.append(time.perf_counter() - began)
        return Finding(check, "ok", f"Allowed ({action}).")

    async def _put(self, probe: _Probe) -> None:
        written = await self._bucket.put(
            probe.key, _BODY, {"origin": "doctor"}, content_type="text/plain"
        )
        probe.version_ids.append(written.version_id)
        probe.etag = written.etag

    async def _get(self, version_id: str | None) -> None:
        stored = await self._bucket.get(self._work.key, version_id)
        if stored.body != _BODY or stored.metadata.get("origin") != "doctor":
            raise BucketError(
                "The content read differs from the content written; check that no proxy changes it."
            )

    async def _copy(self, probe: _Probe) -> None:
        copied = await self._bucket.copy(
            probe.key, probe.version_ids[0], probe.key, {"origin": "doctor"}
        )
        probe.version_ids.append(copied.version_id)
        probe.etag = copied.etag

    async def _checksums(self) -> Finding:
        bucket, key = self._bucket, self._work.key
        wrong = hashlib.md5(_BODY + b"!", usedforsecurity=False).digest()
        try:
            written = await bucket.put(key, _BODY, {}, digest=base64.b64encode(wrong).decode())
        except BucketError:
            return Finding("checksums", "ok", "The server refuses a body that changes in transit.")
        self._work.version_ids.append(written.version_id)
        return Finding(
            "checksums",
            "ok",
            "The server doesn't check what it receives. Every version has its own checksum, so "
            "damage in transit is detected when the version is read.",
        )

    async def _conditions(self) -> Finding:
        check, said = "conditional writes", self._settings.conditional_writes
        try:
            await self._put(self._work)  # what stands there may be a delete marker
            honoured = await self._refuses(IfNew()) and not await self._refuses(
                IfMatch(self._work.etag)
            )
        except NotImplementedByServer:
            honoured = False
        except BookstoreError as error:
            return failed(check, error)
        if said and not honoured:
            return Finding(
                check,
                "failed",
                "c.BookstoreSettings.conditional_writes is on, but the bucket doesn't honor "
                "If-Match and If-None-Match.",
                "Remove the setting; the archive then lists versions after each write.",
            )
        if not honoured:
            return Finding(
                check,
                "ok",
                "Not honored; the archive lists the versions after each write, and merges.",
            )
        return Finding(check, "ok", "If-Match and If-None-Match are honored.")

    async def _refuses(self, precondition: Precondition) -> bool:
        try:
            written = await self._bucket.put(
                self._work.key, _BODY, {}, content_type="text/plain", precondition=precondition
            )
        except PreconditionFailed:
            return True
        self._work.version_ids.append(written.version_id)
        self._work.etag = written.etag
        return False

    async def _clean_up(self) -> Finding | None:
        """Remove what was written; a finding if that is not possible, or not allowed."""
        left: list[str] = []
        why: list[BookstoreError] = []
        for probe in (self._work, self._published):
            if not probe.version_ids:
                continue
            try:
                if self.may_list:
                    listed = [v.version_id async for v in self._bucket.listing.versions(probe.key)]
                    probe.version_ids[:] = listed
                while probe.version_ids:
                    await self._bucket.delete(probe.key, probe.version_ids[-1])
                    probe.version_ids.pop()
            except BookstoreError as error:
                left.append(probe.key)
                why.append(error)
        if not left:
            return None
        if isinstance(why[0], ObjectLocked):
            fix = "Remove these versions after their retention has ended; they do no harm."
        else:
            fix = (
                "Remove these versions; to have `prune` and this check remove them, allow "
                "s3:DeleteObjectVersion."
            )
        return Finding(
            "cleaning up",
            "warning",
            f"Objects that this check wrote could not be removed: {', '.join(map(repr, left))}. "
            f"{why[0]}",
            fix,
        )

    def latency(self) -> Finding:
        """Whether the requests that were allowed took long."""
        if not self._times:
            return Finding("latency", "skipped", "No request was allowed.")
        typical, worst = median(self._times), max(self._times)
        message = f"A request takes {typical * 1000:.0f} ms (the slowest {worst * 1000:.0f} ms)."
        if typical < SLOW:
            return Finding("latency", "ok", message)
        return Finding(
            "latency",
            "warning",
            message,
            "Use a bucket in this server's region; every document that opens waits for it.",
        )


def _words_of(error: BookstoreError) -> str:
    """What S3 said of a refusal: which action, policy or key, as far as it tells; in brackets."""
    code, message = answer_of(error)
    return f" ({code}: {message.rstrip('.')})" if message else ""
