"""Opening a document: from the bucket into an empty `Doc`, with nothing of it in the buffer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Doc
from pycrdt.store import BaseYStore
from traitlets.config import Config

from bookstore_y import S3YStore

from . import floors, peers, traces
from .bench import Bench
from .checkpoints import SIZES, document, readable
from .measure import Figure, Stopwatch, in_turns
from .rooms import checkpointer_of, room

FLOOR = "one bare GET + zstd + `apply_update`"


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """Of many edits, against the floor and the other stores; and by size, against the floor."""
    async for figure in of_edits(bench, bench.pick(10_000, 2_000)):
        yield figure
    for size in bench.pick(SIZES, SIZES[:3]):
        yield await of_size(bench, size)


async def of_edits(bench: Bench, edits: int) -> AsyncIterator[Figure]:
    """A typed notebook, of as many updates as were edits."""
    trace = traces.typed_notebook(edits)
    file = peers.FileYStore(str(bench.directory() / "notebook.y"))
    settings = await bench.bucket()
    config = bench.config_of(settings)
    await fill(config, "notebook.ipynb", trace)
    async with (
        S3YStore("host.txt", config=config) as host,
        floors.bare_s3(settings) as s3,
        file,
        peers.MemoryStore("notebook.ipynb") as sqlite,
    ):
        for update in trace.updates:
            await file.write(update)
            await sqlite.write(update)
        await floors.put(s3, settings.s3_bucket, "floor", trace.doc)
        content = whole(trace.doc)

        async def ours() -> float:
            return await opened(host, "notebook.ipynb", content)

        async def floor() -> float:
            doc: Doc[Any] = Doc()
            with Stopwatch() as watch:
                await floors.get(s3, settings.s3_bucket, "floor", doc)
            assert whole(doc) == content
            return watch.seconds

        async def replay() -> float:
            return await applied(file, content)

        async def checkpointed() -> float:
            return await applied(sqlite, content)

        values = await in_turns(bench.rounds(15), ours, floor, replay, checkpointed)
    what = f"open a notebook of {edits:,} edits"
    yield Figure("open", what, "s", values[0], values[1], FLOOR, at_most=1.2)
    rates = [[1 / seconds for seconds in each] for each in values]
    yield Figure("open-file", what, "1/s", rates[0], rates[2], "FileYStore's replay", 5)
    yield Figure("open-sqlite", what, "1/s", rates[0], rates[3], "SQLiteYStore in memory")


async def of_size(bench: Bench, size: int) -> Figure:
    """Documents of the sizes that checkpoints are measured with."""
    settings = await bench.bucket()
    config = bench.config_of(settings)
    trace = document(size)
    await fill(config, "document", trace)
    async with (
        S3YStore("host.txt", config=config) as host,
        floors.bare_s3(settings) as s3,
    ):
        await floors.put(s3, settings.s3_bucket, "floor", trace.doc)
        state = trace.doc.get_state()

        async def ours() -> float:
            return await opened(host, "document", None)

        async def floor() -> float:
            doc: Doc[Any] = Doc()
            with Stopwatch() as watch:
                await floors.get(s3, settings.s3_bucket, "floor", doc)
            assert len(doc.get_state()) == len(state)
            return watch.seconds

        rounds = bench.rounds(31 if size < 1 << 20 else 9 if size < 16 << 20 else 5)
        values = await in_turns(rounds, ours, floor)
    what = f"open {readable(size)}"
    return Figure("open-size", what, "s", values[0], values[1], FLOOR, at_most=1.2, size=size)


async def fill(config: Config, path: str, trace: traces.Trace) -> None:
    """Put a document into the bucket, through a buffer that is gone when this returns."""
    async with room(path, Doc(), config) as store:
        for update in trace.updates:
            await store.write(update)


async def opened(host: S3YStore, path: str, content: Any) -> float:
    """Seconds to open a document in a process that has others open."""
    doc: Doc[Any] = Doc()
    store = S3YStore(path, config=host.config)
    with Stopwatch() as watch:
        await store.__aenter__()
        await store.apply_updates(doc)
    await store.__aexit__(None, None, None)
    await forget(host, store)
    assert content is None or whole(doc) == content, "it was not opened as it was written"
    return watch.seconds


async def forget(host: S3YStore, store: S3YStore) -> None:
    """Have the buffer hold nothing of a document that was closed."""
    assert store.document is not None
    await checkpointer_of(host).forget(store.document)


async def applied(store: BaseYStore, content: Any) -> float:
    """Seconds that a store takes to bring a document back."""
    doc: Doc[Any] = Doc()
    with Stopwatch() as watch:
        await store.apply_updates(doc)
    assert whole(doc) == content, "it was not opened as it was written"
    return watch.seconds


def whole(doc: Doc[Any]) -> Any:
    """A notebook's content."""
    return YNotebook(doc).get()
