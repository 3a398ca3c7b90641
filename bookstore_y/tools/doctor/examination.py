"""The examination: whether a bucket supports what the archive needs.

It prints nothing. It writes one small object under each prefix and removes it again; what it
cannot remove it names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from ...errors import AccessDenied, BookstoreError, BucketNotFound, VersioningNotEnabled
from ...s3 import setup
from ...s3.bucket import Bucket
from ...s3.refusals import NotImplementedByServer
from ...settings import BookstoreSettings
from .clock import check_clock, skew_of
from .configuration import check_credentials, check_settings
from .documents import check_documents
from .findings import Finding, failed
from .hazards import hazards
from .trials import Trials


async def examine(
    settings: BookstoreSettings, unknown: Sequence[str] = ()
) -> AsyncIterator[Finding]:
    """Check the settings, then the bucket, as far as each check lets the next one say anything.

    `unknown` are names set on BookstoreSettings that are no trait of it. Raises nothing: what
    goes wrong is a finding.
    """
    usable = True
    for finding in check_settings(settings, unknown):
        usable = usable and finding.status != "failed"
        yield finding
    if not usable:
        return
    yield check_credentials(settings)
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


class _Examination:
    def __init__(self, bucket: Bucket, settings: BookstoreSettings) -> None:
        self._bucket = bucket
        self._settings = settings

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
        trials = Trials(self._bucket, self._settings)
        async for finding in trials.run():
            yield finding
        if trials.may_list:
            for finding in await check_documents(bucket=self._bucket, settings=self._settings):
                yield finding
        yield trials.latency()

    async def _reach(self) -> tuple[Finding, Finding | None]:
        bucket = self._bucket
        skew: timedelta | None = None
        try:
            skew = await setup.clock_skew(bucket)
            found = Finding("bucket", "ok", f"The {bucket.where} exists and responds.")
        except BucketNotFound:
            init = f"`jupyter bookstore init --bucket {self._settings.s3_bucket}`"
            remedy = f"Create it with {init}, or correct c.BookstoreSettings.s3_bucket."
            if self._settings.create_bucket:
                remedy = (
                    "The first server creates it, because c.BookstoreSettings.create_bucket is "
                    f"on; {init} creates it now, so the other checks can run."
                )
            found = Finding("bucket", "failed", f"There is no {bucket.where}.", remedy)
        except AccessDenied as error:
            skew = skew_of(error)
            try:  # the answer to a HEAD has no body that could say why
                await bucket.listing.page(self._settings.workspace_prefix, limit=1)
                found = Finding(
                    "bucket",
                    "warning",
                    f"HEAD of the {bucket.where} is refused, but its versions can be listed. "
                    "The archive works; each missing key costs one more request.",
                    "Allow s3:ListBucket on the bucket to avoid that.",
                )
            except BookstoreError as why:
                found = failed("bucket", why)
        except BookstoreError as error:
            found = failed("bucket", error)
        return found, None if skew is None else check_clock(skew)

    async def _versioning(self) -> Finding:
        try:
            await setup.check(self._bucket)
        except VersioningNotEnabled:
            return Finding(
                "versioning",
                "warning" if self._settings.allow_unversioned else "failed",
                f"Versioning is not enabled on {self._bucket.where}: every checkpoint "
                "overwrites the previous one.",
                f"Enable it with `jupyter bookstore init --bucket {self._settings.s3_bucket}`.",
            )
        except AccessDenied:
            return Finding(
                "versioning",
                "failed",
                "These credentials can't see whether the bucket keeps versions.",
                "Allow s3:GetBucketVersioning on the bucket.",
            )
        except BookstoreError as error:
            return failed("versioning", error)
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
                    "These credentials can't see the bucket's lifecycle rules; a rule may "
                    "remove versions.",
                    "Allow s3:GetLifecycleConfiguration on the bucket, or check the rules "
                    "yourself.",
                )
            ]
        except BookstoreError as error:
            return [failed("lifecycle", error)]
        prefixes = (self._settings.workspace_prefix, self._settings.published_prefix)
        found = list(hazards(rules, prefixes))
        how_many = "no rule" if not rules else "no rule that removes archived data"
        return found or [Finding("lifecycle", "ok", f"The bucket has {how_many}.")]
