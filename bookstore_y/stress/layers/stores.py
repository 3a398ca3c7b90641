"""The stores: what comes back of a room's updates, plainly, after squashing, and from S3."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import anyio
import zstandard
from pycrdt import Doc, Text, TransactionEvent
from pycrdt.store import BaseYStore, SQLiteYStore, YDocNotFound
from traitlets.config import Config

from ...store import S3YStore
from ..stores import s3_store
from ._embedded import embedded_s3
from ._result import Edits, LayerResult, judged
from ._writer import all_edits, writers_of

Open = Callable[[], BaseYStore]
"""Makes a store; each call one that knows nothing of those before but what they stored."""

_PATH = "room.txt"
_INTERVAL = 50
"""Updates between two checkpoints of S3YStore: several in a run."""


def run_sqlite(clients: int, edits: int, seed: int) -> LayerResult:
    """pycrdt-store's SQLiteYStore: as it is, compressing, and squashing half-way."""
    began = time.monotonic()
    text, updates, done = _room(clients, edits, seed)
    squash = {"squash_after_inactivity_of": 0}
    without = {"checkpoint_interval": None}
    with tempfile.TemporaryDirectory(prefix="bookstore-stress-") as directory:
        folder = Path(directory)
        copies: dict[str, str | Exception] = {
            "room": text,
            "written and loaded": _sqlite(folder / "1.db", updates),
            "squashed": _sqlite(folder / "2.db", updates, later=squash),
            "squashed, no checkpoints": _sqlite(folder / "3.db", updates, without, squash),
            "compressed": _sqlite(folder / "4.db", updates, compress=True),
            "compressed, no checkpoints": _sqlite(folder / "5.db", updates, without, compress=True),
        }
    return judged(
        "sqlite-store",
        clients,
        began,
        done,
        copies,
        optional=copies.keys() - {"room", "written and loaded"},
    )


def run_s3(clients: int, edits: int, seed: int) -> LayerResult:
    """S3YStore on an embedded S3: opened anew half-way, and loaded from the bucket."""
    began = time.monotonic()
    text, updates, done = _room(clients, edits, seed)
    with (
        tempfile.TemporaryDirectory(prefix="bookstore-stress-") as directory,
        embedded_s3(Path(directory)) as endpoint_url,
    ):
        folder = Path(directory)

        def opening(buffer: str) -> Open:
            return lambda: _s3_store(endpoint_url, folder / buffer)

        copies: dict[str, str | Exception] = {"room": text}
        copies["loaded from the bucket"] = anyio.run(
            _through, [opening("1.db"), opening("2.db")], updates, opening("3.db")
        )
        copies["loaded with a buffer on disk"] = anyio.run(_loaded, opening("2.db"))
    return judged("s3-store", clients, began, done, copies)


def _room(clients: int, edits: int, seed: int) -> tuple[str, list[bytes], Edits]:
    """What the clients of a room did: its text at the end, and its updates."""
    chance = Random(seed)
    room = Doc[Any]()
    updates: list[bytes] = []

    def take(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = room.observe(take)
    docs = [Doc[Any]() for _ in range(clients)]
    writers = writers_of(clients, seed)
    for _ in range(edits):
        number = chance.randrange(clients)
        doc = docs[number]
        if chance.random() < 0.5:
            doc.apply_update(room.get_update(doc.get_state()))
        writers[number].edit(doc.get("text", type=Text))
        if chance.random() < 0.7:
            room.apply_update(doc.get_update(room.get_state()))
    for doc in docs:
        room.apply_update(doc.get_update(room.get_state()))
    room.unobserve(subscription)
    return _content(room), [update for update in updates if update], all_edits(writers)


def _sqlite(
    path: Path,
    updates: Sequence[bytes],
    always: dict[str, Any] | None = None,
    later: dict[str, Any] | None = None,
    *,
    compress: bool = False,
) -> str | Exception:
    """What comes back from the database at `path`, when the second half of the updates is
    written by a second store, which has the attributes `later`, too."""

    def opening(attributes: dict[str, Any]) -> Open:
        def make() -> BaseYStore:
            log = logging.getLogger(f"{__name__}.sqlite")
            log.setLevel(logging.CRITICAL)  # what it says there, the result says
            store = SQLiteYStore(_PATH, log=log)
            for name, value in {"db_path": str(path), **attributes}.items():
                setattr(store, name, value)
            if compress:
                store.register_compression_callbacks(zstandard.compress, zstandard.decompress)
            return store

        return make

    first = opening(always or {})
    second = opening({**(always or {}), **(later or {})})
    try:
        return anyio.run(_through, [first, second], updates, first)
    except Exception as error:  # noqa: BLE001 - whatever a store raises is what it did
        return _innermost(error)


async def _through(writing: Sequence[Open], updates: Sequence[bytes], reading: Open) -> str:
    """Write `updates` by one store after the other, a part each, and load by another."""
    share = -(-len(updates) // len(writing))
    for number, opening in enumerate(writing):
        async with opening() as store:
            try:
                await store.apply_updates(Doc[Any]())
            except YDocNotFound:
                if number > 0:
                    raise
            for update in updates[number * share : (number + 1) * share]:
                await store.write(update)
    return await _loaded(reading)


async def _loaded(opening: Open) -> str:
    doc = Doc[Any]()
    async with opening() as store:
        await store.apply_updates(doc)
    return _content(doc)


def _s3_store(endpoint_url: str, buffer: Path) -> S3YStore:
    config = Config(s3_store(endpoint_url))
    config.S3YStore.db_path = str(buffer)
    config.S3YStore.recovery_dir = str(buffer.parent / "recovery")
    config.S3YStore.checkpoint_interval = _INTERVAL
    return S3YStore(_PATH, config=config)


def _innermost(error: Exception) -> Exception:
    """The first exception in a group of groups, which a task group makes of it."""
    while isinstance(inner := getattr(error, "exceptions", (None,))[0], Exception):
        error = inner
    return error


def _content(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))
