"""Eight processes write one document at once, each with a store and a buffer of its own."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bookstore_y.store import S3YStore

from ..servers import S3Server, make_bucket
from . import crowd
from .crowd import Crowd
from .ledger import Difference, author_name
from .logs import OUTAGE
from .read_back import BucketReader
from .scenario import Context, Result, Stopwatch
from .verdict import judge
from .worker import Link
from .workers import Reports, Worker
from .writing import Pace, Setup, Typist

_CONFLICTS = 220
"""On each server."""

_SECONDS = 90.0
"""That they may take."""

_PROCESSES = 8
_FLUSH_SECONDS = 60.0
_CONVERGE_SECONDS = 30.0

_DOCUMENT = "shared.txt"

_PACE = Pace(burst=(1, 12), pause=(0.05, 0.3), bursts=(1, 1))

_STORE = {"checkpoint_interval": 10_000, "checkpoint_idle_delay": 10.0, "history_updates": 100}

_MAX_DELAY = {"ceph": 1.2}
"""Seconds between the checkpoints of one process, 0.4 elsewhere. On Ceph each is written, met by
others', merged and written again, and the writes of one key wait for each other."""


@dataclass(frozen=True)
class Member:
    """What one process is to do: write, and checkpoint when it is told to."""

    setup: Setup
    author: str
    seed: int


async def take_part(order: Member, link: Link) -> None:
    """Keep the document open and write it until told to pause; then flush, and say what
    it has become here, which in the end must be all that anybody wrote."""
    crowd.watch_conflicts(link)
    chance = random.Random(order.seed)
    paused = asyncio.Event()
    async with S3YStore(_DOCUMENT, config=order.setup.config()) as store:
        typist = Typist(order.author)
        await store.apply_updates(typist.doc)
        typist.ready()

        async def write() -> None:
            while not paused.is_set():
                for _ in range(chance.randint(*_PACE.burst)):
                    mark, update = typist.type()
                    await store.write(update)
                    link.acknowledge(_DOCUMENT, mark)
                await asyncio.sleep(chance.uniform(*_PACE.pause))

        writing = asyncio.create_task(write())
        while (command := await link.commands.get()) != "stop":
            paused.set()
            await writing
            if command.startswith("say"):
                link.live(order.author, str(typist.text))
            else:
                await store.checkpoint()
            link.phase(command)


async def run(context: Context) -> list[Result]:
    return [await _on(context, context.servers.get(name)) for name in context.server_names]


async def _on(context: Context, server: S3Server) -> Result:
    stopwatch = Stopwatch()
    result = Result("conflicts", server.name)
    directory = context.directory(f"conflicts-{server.name}")
    log = directory / "workers.log"
    chance = context.random(f"conflicts/{server.name}")
    bucket = make_bucket(server)
    reader = BucketReader(server, bucket)
    reports = Reports()
    in_memory = {**_STORE, "checkpoint_max_delay": _MAX_DELAY.get(server.name, 0.4)}
    on_disk = {**in_memory, "db_path": str(directory / "buffer.db")}
    setup = Setup(server, bucket, {}, in_memory)
    # All build upon one first state: what is begun twice has two histories.
    first = Crowd(setup, (_DOCUMENT,), frozenset(), author_name(0), _PACE, 0)
    async with Worker(crowd.begin, first, log, reports) as worker:
        await worker.end()
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(1, 1 + _PROCESSES):
            setup = Setup(server, bucket, {}, on_disk if number == 1 else in_memory)
            order = Member(setup, author_name(number), chance.getrandbits(32))
            worker = Worker(take_part, order, log, reports)
            workers.append(await stack.enter_async_context(worker))
        wanted = context.times(_CONFLICTS)
        deadline = stopwatch.seconds + _SECONDS * max(1.0, context.scale)
        while reports.counts["conflicts"] < wanted and stopwatch.seconds < deadline:
            await asyncio.sleep(0.02)
            if any(worker.ended for worker in workers):
                result.failures.append("A process ended by itself.")
                break
        for worker in workers:
            worker.tell("pause")
        for command in ("pause", "flush"):
            for worker in workers:
                worker.tell(command)
                await worker.reach(command, _FLUSH_SECONDS)
        took = Stopwatch()
        for who, difference in (await _converge(workers, reports)).items():
            result.failures.append(f"{_DOCUMENT} as {who} has it open: {difference}")
        result.notes.append(
            f"{reports.counts['merged']} versions of others were merged; what {_PROCESSES} "
            f"processes had open was the same after {took.seconds:.1f} s"
        )
        for worker in workers:
            worker.tell("stop")
        for worker in workers:
            code = await worker.end()
            if code:
                result.failures.append(f"A process ({worker.phase}) ended with {code}.")
    await judge(result, reports, reader, log, OUTAGE)
    if result.conflicts < wanted:
        result.failures.append(f"{result.conflicts} conflicts were not the {wanted} wanted.")
    result.seconds = stopwatch.seconds
    return result


async def _converge(workers: list[Worker], reports: Reports) -> dict[str, Difference]:
    """Wait until each process has all of the document open. Returns what is wrong, by whom."""
    waiting = Stopwatch()
    for number in itertools.count():
        for worker in workers:
            worker.tell(f"say-{number}")
            await worker.reach(f"say-{number}", _FLUSH_SECONDS)
        found = {who: reports.ledger.compare(_DOCUMENT, text) for who, text in reports.live.items()}
        wrong = {who: difference for who, difference in found.items() if not difference.empty}
        if not wrong or waiting.seconds > _CONVERGE_SECONDS:
            return wrong
        await asyncio.sleep(0.1)
    raise AssertionError("unreachable")
