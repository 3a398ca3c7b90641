"""SIGKILL at random moments of write, checkpoint, evict and shutdown, with an on-disk buffer.

One buffer file is written by one process after the other. Each opens most of a group of documents,
compares what they say, goes on writing, and is killed: at a moment drawn beforehand from what the
store does, or at any time. Groups that are done with are never opened again, so that their last
updates reach the bucket only because the buffer is taken up where a killed process left it.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..servers import make_bucket
from .ledger import author_name
from .phases import PHASES, Aim, Announcer
from .read_back import BucketReader, complete
from .scenario import Context, Result, Stopwatch
from .verdict import judge
from .worker import Link
from .workers import Reports, Worker
from .writing import Author, Pace, Setup

_KILLS = 320
_DOCUMENTS = 20
_AT_ONCE = 16
_KILLS_PER_GROUP = 10
_FLUSH_SECONDS = 60.0

_STORE = {
    "checkpoint_interval": 600,
    "checkpoint_idle_delay": 0.04,
    "checkpoint_max_delay": 0.5,
    "document_ttl": 0.06,
    "history_updates": 100,
}

_PACES = (
    Pace(burst=(200, 600), pause=(0.0, 0.01), bursts=(2, 8)),
    Pace(burst=(1, 30), pause=(0.0, 0.25), bursts=(1, 6)),
)
"""In a hurry, and with pauses in which documents are evicted."""


@dataclass(frozen=True)
class Order:
    """What one process is to do."""

    setup: Setup
    documents: tuple[str, ...]
    known: frozenset[str]
    author: str
    seed: int
    aim: Aim | None
    seconds: float
    """After which it stops in good order, if it still can."""


async def write(order: Order, link: Link) -> None:
    """Write documents until time is up; then stop in good order."""
    announcer = Announcer(link, order.aim)
    announcer.watch()
    chance = random.Random(order.seed)
    stopping = asyncio.Event()
    authors = [
        Author(
            link,
            document,
            order.author,
            order.setup.config(),
            random.Random(chance.random()),
            chance.choices(_PACES, (4, 1))[0],
            known=document in order.known,
            show=0.2,
            written=lambda: announcer.announce("write"),
        )
        for document in order.documents
    ]
    writing = asyncio.gather(*(author.write_until(stopping) for author in authors))
    await asyncio.wait([writing], timeout=order.seconds)
    stopping.set()
    await writing


async def hold(order: Order, link: Link) -> None:
    """Open one document and write nothing, until the harness says to stop."""
    author = Author(
        link,
        order.documents[0],
        order.author,
        order.setup.config(),
        random.Random(order.seed),
        _PACES[0],
    )
    link.phase("holding")
    async with author.store():
        await link.commands.get()


async def run(context: Context) -> list[Result]:
    stopwatch = Stopwatch()
    result = Result("kills", "moto")
    server = context.servers.get("moto")
    directory = context.directory("kills")
    log = directory / "workers.log"
    setup = Setup(
        server,
        make_bucket(server),
        {"conditional_writes": server.conditional_writes},
        {**_STORE, "db_path": str(directory / "buffer.db")},
    )
    reports = Reports()
    hit: Counter[str] = Counter()
    incarnations = 0
    wanted = context.times(_KILLS)
    for order in _orders(context.random("kills"), setup, reports):
        incarnations += 1
        died_in = await _incarnation(order, log, reports)
        if died_in:
            hit[died_in] += 1
        if hit.total() >= wanted or incarnations > 3 * wanted or len(reports.failures) > 20:
            break
    result.kills = hit.total()

    reader = BucketReader(server, setup.bucket)
    last = Order(setup, ("last",), frozenset(), author_name(incarnations), 0, None, 0.0)
    async with Worker(hold, last, log, reports) as worker:
        await worker.reach("holding", 30.0)
        await complete(reader, reports.ledger, _FLUSH_SECONDS)
        worker.tell("stop")
        code = await worker.end()
        if code:
            result.failures.append(f"The last process ended with {code}.")
    await judge(result, reports, reader, log)
    result.notes += [
        f"{incarnations} processes on one buffer file wrote {len(reports.ledger.documents)} "
        "documents; killed " + ", ".join(f"{phase} {count}" for phase, count in hit.most_common()),
        f"{reports.counts['opened']} times a store was opened; {reports.compared} times what it "
        f"said was compared, {reports.counts['behind']} of these before the bucket had all of it",
    ]
    result.seconds = stopwatch.seconds
    return [result]


def _orders(chance: random.Random, setup: Setup, reports: Reports) -> Iterator[Order]:
    """What one process after the other is to do."""
    aims: list[str] = []
    number = 0
    while True:
        group = number // _KILLS_PER_GROUP
        chosen = chance.sample(range(_DOCUMENTS), _AT_ONCE)
        documents = tuple(f"group{group}/doc{n}.txt" for n in chosen)
        if not aims:
            aims = ["any time"] * 4 + [*PHASES, *PHASES]
            chance.shuffle(aims)
        yield Order(
            setup,
            documents,
            frozenset(document for document in documents if reports.ledger.of(document)),
            author_name(number),
            chance.getrandbits(32),
            _aim(chance, aims.pop()),
            chance.uniform(0.2, 0.45),
        )
        number += 1


def _aim(chance: random.Random, phase: str) -> Aim | None:
    if phase == "any time":
        return None
    nth = {"write": 3000, "stopping": _AT_ONCE, "closing": 1, "evict": 5, "evicted": 5}
    delay = chance.choice((0.0, chance.uniform(0.0, 0.004)))
    return Aim(phase, chance.randint(1, nth.get(phase, 30)), delay)


async def _incarnation(order: Order, log: Path, reports: Reports) -> str:
    """Have one process write until it is killed. Returns in what phase; empty if it was not."""
    async with Worker(write, order, log, reports) as worker:
        if order.aim is None:
            try:
                await worker.end(order.seconds)
            except TimeoutError:
                worker.kill()
        code = await worker.end()
    if code == -signal.SIGKILL:
        return order.aim.phase if order.aim else "at any time"
    if code:
        reports.failures.append(f"A process ({worker.phase}) ended with {code}.")
    return ""
