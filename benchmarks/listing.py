"""The history of a document of many versions, against the bare requests that it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.aio import each, listed
from bookstore_y.keys import Document

from .bench import Bench
from .measure import Figure, Stopwatch, in_turns
from .servers import delayed

DOCUMENT = Document("long.ipynb", "notebook")
LATENCY = 0.03
PAGE = 50


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """The first page near by; and with all details, over a network that delays every request."""
    count = bench.pick(1_000, 200)
    near = await bench.bucket()
    await fill(near, count)
    async for figure in near_by(bench, near, count):
        yield figure
    with delayed(bench.s3, LATENCY) as far_s3:
        yield await far_away(bench, far(near, far_s3), count)


def far(near: BookstoreSettings, s3: dict[str, str]) -> BookstoreSettings:
    """The same bucket by another way."""
    return BookstoreSettings(**s3, s3_bucket=near.s3_bucket)


async def fill(settings: BookstoreSettings, count: int) -> None:
    """Write the versions."""
    async with Archive(settings) as archive:
        key = archive.key(DOCUMENT)

        async def put(number: int) -> None:
            metadata = {"format": "1", "lineage": "l", "authors": f"author-{number % 7}"}
            await archive.bucket.put(key, b"%d" % number, metadata)

        async for _ in each(listed(list(range(count))), put, 16):
            pass


async def near_by(bench: Bench, settings: BookstoreSettings, count: int) -> AsyncIterator[Figure]:
    """The first page against the bare request, of as many versions and of as many as S3 gives."""
    async with Archive(settings) as archive:
        key = archive.key(DOCUMENT)

        async def page() -> float:
            with Stopwatch() as watch:
                found = await archive.history(DOCUMENT.path)
            assert len(found.versions) == PAGE
            return watch.seconds

        async def bare(most: int) -> float:
            async with archive.bucket.requests.connection.client() as s3:
                with Stopwatch() as watch:
                    await s3.list_object_versions(
                        Bucket=settings.s3_bucket, Prefix=key, MaxKeys=most
                    )
            return watch.seconds

        values = await in_turns(bench.rounds(9), page, lambda: bare(PAGE), lambda: bare(1000))
    what = f"first page of {count:,} versions"
    of = "one `list_object_versions` of"
    yield Figure("listing", what, "s", values[0], values[1], f"{of} {PAGE}", at_most=3)
    yield Figure("listing-1000", what, "s", values[0], values[2], f"{of} 1,000", at_most=3)


async def far_away(bench: Bench, settings: BookstoreSettings, count: int) -> Figure:
    """The first page with all details, nothing of which is known, against one bare HEAD."""
    async with Archive(settings) as archive:

        async def page() -> float:
            archive._details._facts.clear()
            with Stopwatch() as watch:
                found = await archive.history(DOCUMENT.path, details=True)
            assert len(found.versions) == PAGE
            assert all(version.authors for version in found.versions)
            return watch.seconds

        async def head() -> float:
            with Stopwatch() as watch:
                found = await archive.bucket.head(archive.key(DOCUMENT))
            assert found.metadata
            return watch.seconds

        values = await in_turns(bench.rounds(9), page, head)
    what = f"the same with details, {LATENCY * 1000:.0f} ms away"
    of = "one `head_object`"
    return Figure("listing-details", what, "s", values[0], values[1], of, at_most=5)
