"""`pull --at` of many notebooks from a bucket that is far away, against one after another.

Both pulls are of the same versions, through the same code: the second with one request at a time.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jupyter_ydoc import YNotebook

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.aio import each, listed
from bookstore_y.archive.file_content import notebook_bytes
from bookstore_y.archive.version import VersionMetadata, WriteResult
from bookstore_y.keys import Document
from bookstore_y.tools.directory import Directory
from bookstore_y.tools.pulling import Pulling

from .bench import Bench
from .listing import LATENCY, far
from .measure import Figure, Stopwatch
from .servers import delayed


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Notebooks a second."""
    count = bench.pick(1000, 20)
    near = await bench.bucket()
    then = await fill(near, count)
    with delayed(bench.s3, LATENCY) as s3:
        together = [await pulled(bench, far(near, s3), then, count) for _ in range(bench.rounds(3))]
        one = far(near, s3)
        one.max_threads = 1
        one_by_one = await pulled(bench, one, then, count)
    what = f"`pull --at` of {count:,} notebooks, {LATENCY * 1000:.0f} ms away"
    other = [one_by_one] * len(together)  # it takes a minute, so once is all there is
    yield Figure("pull", what, "1/s", together, other, "one request at a time", 8)


async def fill(settings: BookstoreSettings, count: int) -> datetime:
    """Write notebooks: half as snapshots of a room, half as saves. Then change them all. Returns
    the moment between."""
    documents = [YNotebook() for _ in range(count)]
    saved: list[WriteResult | None] = [None] * count

    async def write(index: int) -> None:
        path = f"team-{index % 10}/notebook {index}.ipynb"
        document, before = documents[index], saved[index]
        document.set(notebook(index, words))
        if index % 2:
            await archive.save_file(path, notebook_bytes(document.get()))
            return
        facts = VersionMetadata(lineage=f"{index:032}", parent=before.version_id if before else "")
        saved[index] = await archive.save(
            Document(path, "notebook"),
            document.ydoc.get_update(),
            facts,
            parent_etag=before.etag if before else "",
        )

    async with Archive(settings) as archive:
        for words in ("then", "now"):
            async for _ in each(listed(list(range(count))), write, 8):
                pass
            if words == "then":
                await asyncio.sleep(1.1)  # times in S3 are in whole seconds
                then = datetime.now(timezone.utc)
                await asyncio.sleep(1.1)
    return then


def notebook(index: int, words: str) -> dict[str, Any]:
    """A notebook of ten cells with outputs."""
    cells = [
        {
            "id": f"cell-{number}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": number,
            "source": f"# {words}\nplot({index}, {number})",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"{words} " * 100}],
        }
        for number in range(10)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


async def pulled(bench: Bench, settings: BookstoreSettings, then: datetime, count: int) -> float:
    """Notebooks a second that a pull brings, of a workspace as it was."""
    directory = bench.directory()
    with Stopwatch() as watch:
        async with Archive(settings) as archive:
            pulling = Pulling(archive, Directory(directory))
            async for done in pulling.run(archive.files(at=then)):
                assert done.is_well, done.reason
    written = await asyncio.to_thread(_texts, directory)
    assert len(written) == count, f"{len(written)} of {count} notebooks were pulled"
    assert all("# then" in text for text in written), "they were not pulled as they were"
    shutil.rmtree(directory)
    return count / watch.seconds


def _texts(directory: Path) -> list[str]:
    return [path.read_text() for path in directory.rglob("*.ipynb")]
