"""Doctor: sees whether the bucket can do what the archive asks of it, one finding at a time.

It prints nothing. It writes one small object under each prefix and removes it again; what it
cannot remove it names.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Any, Literal
from urllib.parse import urlsplit

from ..archive.snapshot_reader import SnapshotReader
from ..archive.version import Version
from ..archive.workspace import Workspace
from ..errors import (
    AccessDenied,
    BookstoreError,
    BucketError,
    BucketNotFound,
    ConfigurationError,
    NotFound,
    ObjectLocked,
    PreconditionFailed,
    SnapshotError,
    VersioningNotEnabled,
)
from ..s3 import setup
from ..s3.bucket import Bucket
from ..s3.preconditions import IfMatch, IfNew, Precondition
from ..s3.refusals import NotImplementedByServer, answer_of
from ..settings import BookstoreSettings

Status = Literal["ok", "warning", "failed", "skipped"]

SKEW_LIMIT = timedelta(minutes=15)
"""By how much S3 lets a client's clock differ (Amazon S3 API Reference, `RequestTimeTooSkewed`)."""

SKEW_WARNING = timedelta(minutes=1)

SLOW = 0.5
"""Seconds that a request of a few bytes takes on a bucket too far away to be pleasant."""

READ, LISTED, READ_BYTES = 25, 1000, 64 * 1024 * 1024
"""Current snapshots that are read, files that they are chosen from, and bytes of them together."""

_BODY = b"bookstore_y doctor: this object may be removed"


@dataclass(frozen=True)
class Finding:
    """What one check found. `remedy` says what to do, and is empty when all is well."""

    check: str
    status: Status
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON types."""
        return asdict(self)


@dataclass
class _Probe:
    """An object of ours, and which of its versions are still in the bucket."""

    key: str
    version_ids: list[str] = field(default_factory=list)
    etag: str = ""


async def examine(
    settings: BookstoreSettings, unknown: Sequence[str] = ()
) -> AsyncIterator[Finding]:
    """Check the settings, then the bucket, as far as each check lets the next one say anything.

    `unknown` are names set on BookstoreSettings that are no trait of it. Raises nothing: what
    goes wrong is a finding.
    """
    usable = True
    for finding in _settings(settings, unknown):
        usable = usable and finding.status != "failed"
        yield finding
    if not usable:
        return
    yield _credentials(settings)
    async with Bucket(_as_it_is(settings)) as bucket:
        examination = _Examination(bucket, settings)
        async for finding in examination.run():
            yield finding


def _as_it_is(settings: BookstoreSettings) -> BookstoreSettings:
    """The same settings, by which looking at a bucket does not make one."""
    names = settings.trait_names(config=True)
    copy = BookstoreSettings(**{name: getattr(settings, name) for name in names})
    copy.create_bucket = copy.allow_unversioned = False
    return copy


# -- what needs no bucket ----------------------------------------------------------------------


def _settings(settings: BookstoreSettings, unknown: Sequence[str]) -> Iterator[Finding]:
    for name in unknown:
        close = difflib.get_close_matches(name, settings.trait_names(config=True), 1)
        yield Finding(
            "settings",
            "warning",
            f"BookstoreSettings.{name} is set, and there is no such setting.",
            f"Did you mean {close[0]}?"
            if close
            else "Correct its name; the configuration page lists all of them.",
        )
    try:
        name = settings.require_bucket()
    except ConfigurationError as error:
        message, _, remedy = str(error).partition("; ")
        yield Finding("settings", "failed", f"{message}.", _sentence(remedy))
        return
    workspace, published = settings.workspace_prefix, settings.published_prefix
    if workspace.startswith(published) or published.startswith(workspace):
        yield Finding(
            "settings",
            "warning",
            f"The workspace prefix {workspace!r} and the published prefix {published!r} overlap, "
            "so what is published is taken for work, or the other way round.",
            "Set c.BookstoreSettings.workspace_prefix and published_prefix to separate prefixes.",
        )
    url = urlsplit(settings.s3_endpoint_url)
    if url.scheme == "http" and not _is_near(url.hostname or ""):
        yield Finding(
            "settings",
            "warning",
            f"The endpoint {settings.endpoint} is plain HTTP: whoever is on the way reads along.",
            "Use its https:// URL.",
        )
    if settings.allow_unversioned:
        yield Finding(
            "settings",
            "warning",
            "c.BookstoreSettings.allow_unversioned is on.",
            "Turn it off, so that a bucket without versions is refused.",
        )
    yield Finding(
        "settings",
        "ok",
        f"Bucket {name!r} at {settings.endpoint}; work under {workspace!r}, published under "
        f"{published!r}.",
    )


def _credentials(settings: BookstoreSettings) -> Finding:
    """Where credentials come from; that they are right, the bucket has to say."""
    if settings.s3_access_key_id:
        return Finding("credentials", "ok", "A key pair from BookstoreSettings or JPYNB_S3_….")
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        found = botocore.session.Session().get_credentials()
    except BotoCoreError as error:
        return Finding(
            "credentials",
            "failed",
            f"The AWS chain cannot be used: {error}.",
            "Correct the AWS profile (AWS_PROFILE, ~/.aws/config, ~/.aws/credentials).",
        )
    if found is None:
        return Finding(
            "credentials",
            "failed",
            "There are no credentials: none in BookstoreSettings, none in the AWS chain.",
            "Set s3_access_key_id and s3_secret_access_key of BookstoreSettings, AWS_PROFILE, or "
            "run where there is a role.",
        )
    return Finding("credentials", "ok", f"From the AWS chain ({found.method}).")


# -- the bucket --------------------------------------------------------------------------------


class _Examination:
    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._bucket = bucket
        self._settings = settings
        self._may_list = True
        name = f".bookstore_y-probe-{uuid.uuid4().hex}"
        self._work = _Probe(settings.workspace_prefix + name)
        self._published = _Probe(settings.published_prefix + name)
        self._times: list[float] = []

    async def run(self) -> AsyncIterator[Finding]:
        reached, clock = await self._reach()
        if clock is not None:
            yield clock
        yield reached
        if reached.status == "failed":
            return
        yield await self._versioning()
        for finding in await self._lifecycle():
            yield finding
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
        if self._may_list:
            for finding in await documents(bucket=self._bucket, settings=self._settings):
                yield finding
        yield self._latency()

    async def _reach(self) -> tuple[Finding, Finding | None]:
        bucket = self._bucket
        skew: timedelta | None = None
        try:
            skew = await setup.clock_skew(bucket)
            found = Finding("bucket", "ok", f"There is a {bucket.where}, and it answers.")
        except BucketNotFound:
            init = f"`jupyter bookstore init --bucket {self._settings.s3_bucket}`"
            remedy = f"Make it with {init}, or correct c.BookstoreSettings.s3_bucket."
            if self._settings.create_bucket:
                remedy = (
                    "The first server makes it, since c.BookstoreSettings.create_bucket is on; "
                    f"{init} makes it now, so that the rest can be checked."
                )
            found = Finding("bucket", "failed", f"There is no {bucket.where}.", remedy)
        except AccessDenied as error:
            skew = _skew_of(error)
            try:  # the answer to a HEAD has no body that could say why
                await bucket.listing.page(self._settings.workspace_prefix, limit=1)
                found = Finding(
                    "bucket",
                    "warning",
                    f"HEAD of the {bucket.where} is refused, though its versions can be listed. "
                    "It works; what is not there takes one more request to find out.",
                    "Allow s3:ListBucket on the bucket to spare that.",
                )
            except BookstoreError as why:
                found = _failed("bucket", why)
        except BookstoreError as error:
            found = _failed("bucket", error)
        return found, None if skew is None else _clock(skew)

    async def _versioning(self) -> Finding:
        try:
            await setup.check(self._bucket)
        except VersioningNotEnabled:
            return Finding(
                "versioning",
                "warning" if self._settings.allow_unversioned else "failed",
                f"Versioning is not enabled on {self._bucket.where}: every checkpoint overwrites "
                "the one before.",
                f"Enable it with `jupyter bookstore init --bucket {self._settings.s3_bucket}`.",
            )
        except AccessDenied:
            return Finding(
                "versioning",
                "failed",
                "The bucket does not let these credentials see whether it keeps versions.",
                "Allow s3:GetBucketVersioning on the bucket.",
            )
        except BookstoreError as error:
            return _failed("versioning", error)
        return Finding("versioning", "ok", "The bucket keeps every version.")

    async def _lifecycle(self) -> list[Finding]:
        try:
            rules = await setup.lifecycle(self._bucket)
        except NotImplementedByServer:
            return [Finding("lifecycle", "ok", "The server has no lifecycle rules.")]
        except AccessDenied:
            return [
                Finding(
                    "lifecycle",
                    "warning",
                    "The bucket does not let these credentials see its lifecycle rules; one of "
                    "them may remove versions.",
                    "Allow s3:GetLifecycleConfiguration on the bucket, or look at the rules.",
                )
            ]
        except BookstoreError as error:
            return [_failed("lifecycle", error)]
        prefixes = (self._settings.workspace_prefix, self._settings.published_prefix)
        found = list(hazards(rules, prefixes))
        how_many = "no rule" if not rules else "no rule that removes what is archived"
        return found or [Finding("lifecycle", "ok", f"The bucket has {how_many}.")]

    # -- one verb after the other

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
        self._may_list = listing.status == "ok"
        yield listing
        yield await self._may(
            "copy", "s3:PutObject and s3:GetObjectVersion", lambda: self._copy(work), work
        )
        yield await self._may(
            "label",
            "s3:PutObjectVersionTagging",
            lambda: bucket.set_tags(work.key, work.version_ids[0], {"label": "doctor"}),
            work,
            optional="Versions cannot be labelled.",
        )
        yield await self._may(
            "read labels",
            "s3:GetObjectVersionTagging",
            lambda: bucket.tags(work.key, work.version_ids[0]),
            work,
            optional="Labels are neither shown nor given, and `prune` removes nothing, as it could "
            "not spare what is labelled.",
        )
        yield await self._may(
            "publish",
            "s3:PutObject under the published prefix",
            lambda: self._put(self._published),
            optional="Nothing can be published.",
        )
        if self._may_list:  # or its delete marker could not be found again
            yield await self._may(
                "delete", "s3:DeleteObject", lambda: bucket.delete(work.key), work
            )
        else:
            yield Finding(
                "right to delete",
                "skipped",
                "Not tried, since its delete marker could not be found again without listing.",
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
            return Finding(check, "skipped", "Not tried, since nothing could be written.")
        began = time.perf_counter()
        try:
            await call()
        except NotFound:
            if self._work.version_ids:
                return Finding(
                    check,
                    "failed",
                    "What was just written is not found.",
                    "Use an S3 server that shows a write to the reads after it.",
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
            return _failed(check, error)
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
                "What comes back is not what was written; check that no proxy changes it."
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
            return Finding("checksums", "ok", "A body that changes on the way is refused.")
        self._work.version_ids.append(written.version_id)
        return Finding(
            "checksums",
            "ok",
            "The server does not check what it is sent. Every version carries a checksum of its "
            "own, so one that was damaged on the way is noticed when it is read.",
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
            return _failed(check, error)
        if said and not honoured:
            return Finding(
                check,
                "failed",
                "c.BookstoreSettings.conditional_writes is on, and the bucket does not honour "
                "If-Match and If-None-Match.",
                "Leave the setting away; the archive then lists versions after each write.",
            )
        if not honoured:
            return Finding(
                check,
                "ok",
                "Not honoured; the archive lists the versions after each write, and merges.",
            )
        return Finding(check, "ok", "If-Match and If-None-Match are honoured.")

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
                if self._may_list:
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
            fix = "Remove these versions when their retention has ended; they do no harm."
        else:
            fix = (
                "Remove these versions; to have `prune` and this check remove them, allow "
                "s3:DeleteObjectVersion."
            )
        return Finding(
            "cleaning up",
            "warning",
            f"What this check wrote could not be removed: {', '.join(map(repr, left))}. {why[0]}",
            fix,
        )

    def _latency(self) -> Finding:
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
            "Use a bucket in the region of this server; opening a document waits for it.",
        )


async def documents(bucket: Bucket, settings: BookstoreSettings) -> list[Finding]:
    """Whether the current snapshots can be read: the newest `READ` among the first `LISTED` files,
    and of no more than `READ_BYTES` in all. A damaged one is found here before somebody opens it.
    """
    found: list[Version] = []
    listed = 0
    try:
        async for file in Workspace(bucket, settings).files():
            found += [version for version in file.versions if version.kind == "snapshot"]
            listed += 1
            if listed == LISTED:
                break
    except BookstoreError as error:
        return [_failed("documents", error)]
    found.sort(key=lambda version: version.last_modified, reverse=True)
    reading = SnapshotReader(bucket, settings)
    damaged: list[Finding] = []
    read = size = 0
    for version in found[:READ]:
        if read and size + version.size > READ_BYTES:
            break
        read, size = read + 1, size + version.size
        try:
            await reading.read(version.key, version.version_id)
        except NotFound:
            pass  # gone since it was listed
        except SnapshotError as error:
            damaged.append(_damage(version, error))
        except BookstoreError as error:
            return [*damaged, _failed("documents", error)]
    if damaged:
        return damaged
    if not read:
        return [Finding("documents", "ok", "There is no document to read yet.")]
    rest = "" if listed < LISTED and read == len(found) else f" among the first {listed} files"
    which = f"The {read} newest current snapshots{rest}" if read > 1 else "The current snapshot"
    return [Finding("documents", "ok", f"{which} can be read. Older versions were not looked at.")]


def _damage(version: Version, error: SnapshotError) -> Finding:
    message = str(error).partition("; ")[0]
    return Finding(
        "documents",
        "failed",
        f"{version.path} does not open, its current snapshot {version.version_id!r} being damaged: "
        f"{message}.",
        f"See its earlier versions with `jupyter bookstore versions {version.path}`, and restore "
        f"one with `jupyter bookstore restore {version.path} VERSION`.",
    )


def hazards(rules: Iterable[dict[str, Any]], prefixes: Sequence[str]) -> Iterator[Finding]:
    """What lifecycle rules do to objects under `prefixes` that a user may not expect."""
    for rule in rules:
        applies = rule.get("Filter", {})
        every = applies.get("And", applies)
        prefix = rule.get("Prefix") or every.get("Prefix", "")
        touched = [own for own in prefixes if own.startswith(prefix) or prefix.startswith(own)]
        if rule.get("Status") != "Enabled" or not touched:
            continue
        name = f"The lifecycle rule {rule.get('ID', '')!r}"
        if every.get("Tags") or every.get("Tag"):
            name += " (on objects with certain tags)"
        expiration = rule.get("Expiration", {})
        if "Days" in expiration or "Date" in expiration:
            when = f"{expiration['Days']} days" if "Days" in expiration else "a date"
            yield Finding(
                "lifecycle",
                "failed",
                f"{name} expires current versions after {when}: documents that nobody edits "
                "disappear.",
                "Remove its Expiration; expire noncurrent versions at most.",
            )
        noncurrent = rule.get("NoncurrentVersionExpiration", {})
        if "NoncurrentDays" in noncurrent:
            keeps = noncurrent.get("NewerNoncurrentVersions")
            spared = f", but for the {keeps} newest" if keeps else ""
            yield Finding(
                "lifecycle",
                "warning",
                f"{name} removes versions {noncurrent['NoncurrentDays']} days after they were "
                f"replaced{spared}.",
                "Nothing, if that is meant: older versions cannot be restored.",
            )
        cold = {"GLACIER", "DEEP_ARCHIVE"}
        moves = [*rule.get("Transitions", []), *rule.get("NoncurrentVersionTransitions", [])]
        if any(move.get("StorageClass") in cold for move in moves):
            yield Finding(
                "lifecycle",
                "warning",
                f"{name} moves versions to a storage class that cannot be read at once.",
                "Choose one with instant retrieval (GLACIER_IR, STANDARD_IA).",
            )


def _clock(skew: timedelta) -> Finding:
    off = abs(skew)
    ahead = "behind" if skew > timedelta() else "ahead of"
    message = f"This machine's clock is {off.total_seconds():.0f} s {ahead} the server's."
    if off < SKEW_WARNING:
        return Finding("clock", "ok", "This machine's clock and the server's agree.")
    return Finding(
        "clock",
        "failed" if off >= SKEW_LIMIT else "warning",
        message,
        "Set the clock (NTP); S3 refuses requests that are 15 minutes off.",
    )


def _words_of(error: BookstoreError) -> str:
    """What S3 said of a refusal: which action, policy or key, as far as it tells; in brackets."""
    code, message = answer_of(error)
    return f" ({code}: {message.rstrip('.')})" if message else ""


def _skew_of(error: BookstoreError) -> timedelta | None:
    """The clock of a server that refused, by the date of its answer."""
    answer: Any = getattr(error.__cause__, "response", {})
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not said:
        return None
    try:
        return parsedate_to_datetime(said) - datetime.now(timezone.utc)
    except ValueError:
        return None


def _failed(check: str, error: BookstoreError) -> Finding:
    """The error's sentence, parted into what happened and what to do."""
    message, _, remedy = str(error).rpartition("; ")
    if not message:
        message, remedy = remedy, ""
    return Finding(check, "failed", _sentence(message), _sentence(remedy))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _is_near(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
