"""Documents are written, renamed and deleted in a bucket that denies DeleteObject throughout.

No rename and no deletion can be followed to its end. That is to hold up nobody else: every other
document is archived as ever, and what was renamed or deleted keeps all that was written into it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from bookstore_y import BookstoreSettings
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.store import S3YStore

from ..proxies.denying import Denying
from ..servers import make_bucket
from . import crowd
from .ledger import Ledger
from .read_back import BucketReader
from .scenario import Context, Result, Stopwatch
from .verdict import judge
from .worker import Link
from .workers import Reports, Worker
from .writing import Author, Pace, Setup

_OTHERS = 24
_MOVED = 12
"""Documents that nobody touches, and those of which half are renamed and half are deleted."""

_SECONDS = 10.0
"""For which the others are written at scale 1."""

_FLUSH_SECONDS = 60.0

_PACE = Pace(burst=(1, 12), pause=(0.05, 0.3), bursts=(1, 6))

_STORE = {"checkpoint_max_delay": 0.5, "checkpoint_idle_delay": 0.2, "document_ttl": 2.0}

_REFUSED = ("The bucket has not followed the (rename|deletion) of moved/",)
"""What the log says of the renames and deletions."""


@dataclass(frozen=True)
class Order:
    """What the process is to do: write all documents, and move some of them meanwhile."""

    setup: Setup
    others: tuple[str, ...]
    moved: tuple[str, ...]
    seed: int
    seconds: float


async def write(order: Order, link: Link) -> None:
    """Write, rename and delete until time is up; then see the others into the bucket."""
    crowd.watch_conflicts(link)
    chance = random.Random(order.seed)
    config = order.setup.config()
    options = S3YStore("settings", config=config).buffer_options()
    stopping = asyncio.Event()
    async with Checkpointer.shared(BookstoreSettings(config=config), options) as checkpointer:
        for document in order.moved:
            await _author(order, document, link, chance).write_one()
        others = [_author(order, document, link, chance) for document in order.others]
        writing = asyncio.gather(*(author.write_until(stopping) for author in others))
        for number, document in enumerate(order.moved):
            await asyncio.sleep(order.seconds / len(order.moved))
            if number % 2:
                await checkpointer.path_changes.delete(document)
            else:
                await checkpointer.path_changes.rename(document, _target(document))
        stopping.set()
        await writing
        await asyncio.gather(*(author.finish(_FLUSH_SECONDS) for author in others))
        if checkpointer.status()["status"] == "ok":
            link.wrong("The status says ok, though nothing that was moved is followed.")
        link.count("waiting", len(checkpointer.path_changes.names()))


def _author(order: Order, document: str, link: Link, chance: random.Random) -> Author:
    own = random.Random(chance.random())
    return Author(link, document, "a", order.setup.config(), own, _PACE)


def _target(document: str) -> str:
    return document.replace("moved/", "elsewhere/")


async def run(context: Context) -> list[Result]:
    stopwatch = Stopwatch()
    result = Result("denied", "moto")
    server = context.servers.get("moto")
    directory = context.directory("denied")
    log = directory / "workers.log"
    reports = Reports()
    others = tuple(f"others/{number}.txt" for number in range(context.times(_OTHERS)))
    moved = tuple(f"moved/{number}.txt" for number in range(context.times(_MOVED)))
    with Denying(server) as proxy:
        proxy.denies = _is_deletion
        store: dict[str, Any] = {**_STORE, "db_path": str(directory / "buffer.db")}
        setup = Setup(proxy.server, make_bucket(server), {"max_attempts": 1}, store)
        seed = context.random("denied").getrandbits(32)
        order = Order(setup, others, moved, seed, _SECONDS * max(1.0, context.scale))
        async with Worker(write, order, log, reports) as worker:
            code = await worker.end(order.seconds + 3 * _FLUSH_SECONDS)
            if code:
                result.failures.append(f"The process ({worker.phase}) ended with {code}.")
    reader = BucketReader(server, setup.bucket)
    ledger = reports.ledger
    reports.ledger = _only(ledger, others)
    await judge(result, reports, reader, log, _REFUSED)
    for document in moved:
        said = [
            await asyncio.to_thread(reader.text, name) for name in (document, _target(document))
        ]
        lost = min(len(ledger.compare(document, text).lost) for text in said)
        if lost:
            result.lost += lost
            result.failures.append(f"{document} is whole under neither of its names.")
    result.acknowledged = ledger.count
    result.faults = reports.counts["waiting"]
    if result.faults < len(moved):
        result.failures.append(f"Of {len(moved)} path changes, {result.faults} are said to wait.")
    result.notes.append(
        f"{len(others)} documents were written while {result.faults} renames and deletions of "
        "others were refused"
    )
    result.seconds = stopwatch.seconds
    return [result]


def _is_deletion(method: str, path: str, query: dict[str, list[str]]) -> bool:
    return method == "DELETE" or (method == "POST" and "delete" in query)


def _only(ledger: Ledger, documents: tuple[str, ...]) -> Ledger:
    some = Ledger()
    for document in documents:
        for mark in ledger.of(document):
            some.acknowledge(document, mark)
    return some
