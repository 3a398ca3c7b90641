"""Ours beside pycrdt-store's SQLiteYStore, in one run: writing to disk, and squashing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sqlite3
import statistics
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pycrdt
from pycrdt.store import BaseYStore, SQLiteYStore
from traitlets.config import Config

from bookstore_y import S3YStore

from ..servers import make_bucket, s3_options
from .scenario import Context, Result, Stopwatch

WRITERS = 50
WRITES = 40
"""By each of the writers, in one round."""
ROUNDS = 3
AT_LEAST = 10
"""How many times as fast as SQLiteYStore ours has to be."""
SQUASHED = 550
"""Updates that are written, squashed and looked for; no multiple of upstream's checkpoints."""

_NEVER = 3600.0
_SILENT = logging.getLogger(f"{__name__}.upstream")
_SILENT.disabled = True
_NUMBER = re.compile(r"\[(\d+)\]")


async def run(context: Context) -> list[Result]:
    """Both comparisons."""
    return [await _writing(context), await _squashing(context)]


# -- writing ---------------------------------------------------------------------------------------


async def _writing(context: Context) -> Result:
    """`write()` on disk by many at once, interleaved: each writer to a document of its own, as a
    server's rooms do, and all to one."""
    watch = Stopwatch()
    result = Result(f"comparison: {WRITERS} writers to disk", "moto")
    directory = context.directory("comparison")
    updates = list(typed(WRITES))
    for documents, to in ((WRITERS, f"{WRITERS} documents"), (1, "1 document")):
        ours: list[float] = []
        theirs: list[float] = []
        gone = 0
        for number in range(context.times(ROUNDS)):
            name = f"{documents}-{number}"
            config = _config(context, db_path=str(directory / f"ours-{name}.db"))
            rate, failed = await _rate(
                [S3YStore(f"{name}/{each}.txt", config=config) for each in range(documents)],
                updates,
            )
            ours.append(rate)
            result.acknowledged += WRITERS * WRITES
            if failed:
                result.failures.append(f"{failed} of our writes to {to} failed")
            database = directory / f"theirs-{name}.db"
            kind = sqlite_store(database)
            peers = [kind(f"{each}.txt", log=_SILENT) for each in range(documents)]
            rate, failed = await _rate(peers, updates)
            theirs.append(rate)
            gone += documents + WRITERS * WRITES - failed - _rows(database)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        result.notes.append(
            f"{to}: {_spread(ours)} writes/s, SQLiteYStore {_spread(theirs)}"
            f", median ratio {ratio:.0f}"
            + (f"; {gone} writes that it acknowledged are not in its file" if gone else "")
        )
        if ratio < AT_LEAST:
            result.failures.append(f"{to}: only {ratio:.1f} times SQLiteYStore")
    result.seconds = watch.seconds
    return result


async def _rate(stores: Sequence[BaseYStore], updates: list[bytes]) -> tuple[float, int]:
    """Acknowledged writes a second by all writers together, and how many writes failed."""
    failed = 0

    async def write(store: BaseYStore) -> None:
        nonlocal failed
        for update in updates:
            try:
                await store.write(update)
            except Exception:  # noqa: BLE001 - whatever either store raises is a failed write
                failed += 1

    async with AsyncExitStack() as stack:
        for store in stores:
            await stack.enter_async_context(store)
            await _write_first(store)
        started = time.perf_counter()
        await asyncio.gather(*(write(stores[n % len(stores)]) for n in range(WRITERS)))
        seconds = time.perf_counter() - started
    return (WRITERS * len(updates) - failed) / seconds, failed


async def _write_first(store: BaseYStore) -> None:
    """Write an update that changes nothing, which waits until the store's database is made."""
    await store.write(b"\x00\x00")


def _rows(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows: int = connection.execute("SELECT count(*) FROM yupdates").fetchone()[0]
        return rows


def _spread(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


# -- squashing -------------------------------------------------------------------------------------


async def _squashing(context: Context) -> Result:
    """Write, squash, reopen, and count what is back. Theirs is reported as measured."""
    watch = Stopwatch()
    result = Result("comparison: write, squash, reopen", "moto")
    directory = context.directory("comparison")
    back = await _ours(context, directory)
    result.acknowledged, result.lost = SQUASHED, SQUASHED - back
    result.notes.append(f"ours: {back} of {SQUASHED} back")
    for checkpoints in (100, None):
        for compressed in (False, True):
            database = directory / f"squash-{checkpoints}-{compressed}.db"
            what = await _theirs(database, checkpoints, compressed)
            result.notes.append(
                f"SQLiteYStore, checkpoint_interval={checkpoints}, "
                f"{'zlib' if compressed else 'no'} compression: {what}"
            )
    result.seconds = watch.seconds
    return result


async def _ours(context: Context, directory: Path) -> int:
    bucket = make_bucket(context.servers.get("moto"))
    for number, words in enumerate((list(typed(SQUASHED)), [])):
        # Each time on a disk of its own: all that is back is what was squashed into the bucket.
        config = _config(context, bucket, db_path=str(directory / f"squash-{number}.db"))
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        async with S3YStore("squash.txt", config=config) as store:
            for update in words:
                await store.write(update)
            await store.checkpoint()
            await store.apply_updates(doc)
    return count(doc)


async def _theirs(database: Path, checkpoints: int | None, compressed: bool) -> str:
    *words, last = typed(SQUASHED)
    await _write(sqlite_store(database, checkpoints), words, compressed)
    # Inactive for longer than 0 s, so this write squashes what is there before.
    await _write(sqlite_store(database, checkpoints, squash_after=0), [last], compressed)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with sqlite_store(database, checkpoints)("squash.txt", log=_SILENT) as store:
        _compress(store, compressed)
        try:
            await store.apply_updates(doc)
        except Exception as error:  # noqa: BLE001 - any of them means that the document does not open
            return f"does not open, {type(error).__name__} ({error})"
    return f"{count(doc)} of {SQUASHED} back"


async def _write(kind: type[SQLiteYStore], updates: list[bytes], compressed: bool) -> None:
    async with kind("squash.txt", log=_SILENT) as store:
        _compress(store, compressed)
        for update in updates:
            await store.write(update)


def _compress(store: BaseYStore, compressed: bool) -> None:
    if compressed and isinstance(store, SQLiteYStore):  # its `async with` is typed as the base's
        store.register_compression_callbacks(zlib.compress, zlib.decompress)


# -- both ------------------------------------------------------------------------------------------


def sqlite_store(
    database: Path, checkpoints: int | None = 100, squash_after: int | None = None
) -> type[SQLiteYStore]:
    """pycrdt-store's store, set up the way its documentation says: in a subclass."""

    class Store(SQLiteYStore):
        db_path = str(database)
        checkpoint_interval = checkpoints
        squash_after_inactivity_of = squash_after

    return Store


def _config(context: Context, bucket: str | None = None, **traits: Any) -> Config:
    server = context.servers.get("moto")
    return Config(
        {
            "BookstoreSettings": s3_options(server, bucket or make_bucket(server)),
            # Writing alone is compared: upstream's has no bucket to write to meanwhile.
            "S3YStore": {
                "checkpoint_interval": 1_000_000,
                "checkpoint_max_delay": _NEVER,
                "checkpoint_idle_delay": _NEVER,
                **traits,
            },
        }
    )


def typed(number: int) -> Iterator[bytes]:
    """The updates of someone who types that many numbered words."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    for each in range(number):
        text += f"[{each}]"
        yield updates.pop()


def count(doc: pycrdt.Doc[Any]) -> int:
    """How many of the words of `typed` a document has."""
    return len(set(_NUMBER.findall(str(doc.get("text", type=pycrdt.Text)))))
