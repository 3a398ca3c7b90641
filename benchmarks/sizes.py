"""Bytes a version takes in the bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import zstandard
from pycrdt import Doc

from . import traces
from .bench import Bench
from .floors import LEVEL
from .measure import Figure
from .rooms import checkpoint, checkpointer_of, entry_of, room


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Each trace after checkpoints along its way, against zstd of `get_update`."""
    edits = bench.pick(10_000, 2_000)
    for what, trace in (
        (f"a text of {edits:,} edits", traces.text(edits)),
        (f"a notebook of {edits:,} edits by three authors", traces.typed_notebook(edits)),
        ("an executed notebook of 4 MB", traces.executed_notebook(4 << 20)),
    ):
        yield await of_trace(bench, what, trace)


async def of_trace(bench: Bench, what: str, trace: traces.Trace) -> Figure:
    """The last version that comes of a trace."""
    doc: Doc[Any] = Doc()
    async with room("document", doc, await bench.config(checkpoint_interval=10**6)) as store:
        for index, update in enumerate(trace.updates, 1):
            doc.apply_update(update)
            await store.write(update)
            if index % 200 == 0 or index == len(trace.updates):
                await checkpoint(store)
        archive = checkpointer_of(store).archive
        version = (await archive.versions(entry_of(store).document.path))[0]
    frame = zstandard.ZstdCompressor(level=LEVEL).compress(trace.doc.get_update())
    of = "zstd of `get_update`"
    what = f"bytes of a version: {what}"
    return Figure("bytes", what, "B", [version.size], [len(frame)], of, at_most=1.05)
