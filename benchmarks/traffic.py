"""S3 requests: of 1,000 updates, of an open document that nobody types in, and of opening one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from pycrdt import Doc

from bookstore_y import S3YStore

from . import traces
from .bench import Bench
from .measure import Figure
from .rooms import checkpointer_of, entry_of, room

UPDATES = 1_000
KINDS = {
    "PutObject": "PUT",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "ListObjectVersions": "LIST",
    "ListObjectsV2": "LIST",
}


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Counted at the client, by the kind of request."""
    settings = await bench.bucket()
    trace = traces.text(UPDATES)
    pause = bench.pick(0.01, 0.001)
    async with S3YStore("host.txt", config=bench.config_of(settings)) as host:
        checkpointer = checkpointer_of(host)
        await checkpointer.archive.check()
        counted: Counter[str] = Counter()

        def count(model: Any, **_: Any) -> None:
            counted[KINDS.get(model.name, model.name)] += 1

        async with checkpointer.archive.bucket.requests.connection.client() as s3:
            s3.meta.events.register("before-call.s3", count)
        doc: Doc[Any] = Doc()
        async with room("notes.txt", doc, host.config) as store:
            opening_new = counted.copy()
            counted.clear()
            for update in trace.updates:
                doc.apply_update(update)
                await store.write(update)
                await asyncio.sleep(pause)
            await checkpointer.flush(60)
            document = entry_of(store).document
        typing = counted.copy()
        await checkpointer.forget(document)
        counted.clear()
        async with room("notes.txt", Doc(), host.config):
            pass
        opening = counted.copy()
    what = f"S3 requests of {UPDATES:,} updates"
    note = f"opening a new document: {said(opening_new)}; one of the bucket: {said(opening)}; "
    note += "one that stays open and unchanged: a HEAD each `checkpoint_max_delay`"
    yield Figure("requests-put", f"{what}: PUT", "PUTs", [typing["PUT"]], at_most=5, note=note)
    yield Figure("requests-get", f"{what}: GET", "GETs", [typing["GET"]], at_most=0)
    yield Figure("requests-list", f"{what}: LIST", "LISTs", [typing["LIST"]], at_most=0)
    others = sum(typing.values()) - typing["PUT"] - typing["GET"] - typing["LIST"]
    yield Figure("requests-other", f"{what}: all others", "requests", [others])


def said(counted: Counter[str]) -> str:
    """1 GET, 1 HEAD."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())) or "none"
