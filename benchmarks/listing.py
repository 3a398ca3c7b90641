"""The history of a document of 10,000 versions, against the bare requests that it needs.

Run it with `python benchmarks/listing.py`. The first page is compared with one
`list_object_versions` on the same client; the page with all details, over a network that delays
every request, with one `head_object` over the same network. All is measured in one run, taking
turns. The S3 server (moto, or the one at `--endpoint-url`) and the network are processes of their
own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from pull import delayed, s3_server, settings

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.concurrency import each, listed
from bookstore_y.keys import Document
from bookstore_y.objects import StoredObject

ROUNDS = 9
DOCUMENT = Document("long.ipynb", "notebook")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds a request (0.03)")
    parser.add_argument("--endpoint-url", help="a server other than moto; key pair from the chain")
    args = parser.parse_args()
    with s3_server(args.endpoint_url) as url, delayed(url, args.latency) as far_url:
        near, far = settings(url, not args.endpoint_url), settings(far_url, not args.endpoint_url)
        far.s3_bucket = near.s3_bucket
        asyncio.run(fill(near, args.versions))
        print(f"{args.versions:,} versions; medians of {ROUNDS} rounds, with the spread")
        asyncio.run(near_by(near))
        asyncio.run(far_away(far, args.latency))


async def fill(settings: BookstoreSettings, count: int) -> None:
    """Write the versions."""
    async with Archive(settings) as archive:
        await archive.check()
        key = archive.key(DOCUMENT)

        async def put(number: int) -> None:
            metadata = {"format": "1", "lineage": "l", "authors": f"author-{number % 7}"}
            await archive.bucket.put(key, b"%d" % number, metadata)

        async for _ in each(listed(list(range(count))), put, 16):
            pass


async def near_by(settings: BookstoreSettings) -> None:
    """The first page against the bare request, of as many versions and of as many as S3 gives."""
    async with Archive(settings) as archive:
        key = archive.key(DOCUMENT)

        async def page() -> None:
            found = await archive.history("long.ipynb")
            expect(len(found.versions) == 50)

        async def bare() -> None:
            async with archive.bucket._connected().client() as s3:
                await s3.list_object_versions(Bucket=settings.s3_bucket, Prefix=key, MaxKeys=50)

        async def bare_thousand() -> None:
            async with archive.bucket._connected().client() as s3:
                await s3.list_object_versions(Bucket=settings.s3_bucket, Prefix=key)

        took = await in_turns(page, bare, bare_thousand)
        show("first page of 50", took[0], "one list_object_versions of 50", took[1], 3)
        show("first page of 50", took[0], "one list_object_versions of 1,000", took[2], 3)


async def far_away(settings: BookstoreSettings, latency: float) -> None:
    """The first page with all details, nothing of which is known, against one bare HEAD."""
    async with Archive(settings) as archive:
        key = archive.key(DOCUMENT)

        async def page() -> None:
            archive._details._facts.clear()
            found = await archive.history("long.ipynb", details=True)
            expect(len(found.versions) == 50)
            expect(all(version.authors for version in found.versions))

        async def head() -> None:
            found: StoredObject = await archive.bucket.head(key)
            expect(bool(found.metadata))

        took = await in_turns(page, head)
        far = f", {latency * 1000:.0f} ms away"
        show(f"first page with details{far}", took[0], "one head_object", took[1], 5)


async def in_turns(*calls: Callable[[], Awaitable[None]]) -> list[list[float]]:
    """Seconds that each call takes in each round."""
    took: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS + 1):
        for call, times in zip(calls, took, strict=True):
            started = time.perf_counter()
            await call()
            if number:  # the first opens connections
                times.append(time.perf_counter() - started)
    return took


def expect(true: bool) -> None:
    """Stop if a call did not do what it is measured for."""
    if not true:
        raise SystemExit("The listing was not as it was written.")


def show(what: str, took: list[float], of: str, bare: list[float], reach: float) -> None:
    """Print a ratio of medians."""
    ours, theirs = statistics.median(took), statistics.median(bare)
    print(
        f"{what}: {ours * 1000:.1f} ms ({min(took) * 1000:.1f} to {max(took) * 1000:.1f}); "
        f"{of}: {theirs * 1000:.1f} ms; {ours / theirs:.2f} times (to reach: under {reach})"
    )


if __name__ == "__main__":
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    main()
