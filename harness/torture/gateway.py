"""The Ceph gateway's process is killed and started again, while documents are written."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from ..servers import make_bucket
from . import crowd
from .crowd import FLUSH_SECONDS, Crowd
from .ledger import author_name
from .logs import OUTAGE
from .read_back import BucketReader
from .scenario import Context, Result, Stopwatch
from .verdict import judge
from .workers import Reports, Worker
from .writing import Pace, Setup

_KILLS = 5
_UPDATES_BETWEEN = 3000
_WRITE_SECONDS = 30.0

_DOCUMENTS = 12
_SHARED_DOCUMENTS = 2

_PACE = Pace(burst=(5, 60), pause=(0.0, 0.2), bursts=(2, 10))

_SETTINGS = {"connect_timeout": 1.0, "read_timeout": 2.0, "max_attempts": 2}

_STORE = {
    "checkpoint_interval": 40,
    "checkpoint_idle_delay": 0.1,
    "checkpoint_max_delay": 0.5,
    "document_ttl": 0.5,
    "history_updates": 50,
}


async def run(context: Context) -> list[Result]:
    if "ceph" not in context.server_names:
        return []
    server = context.servers.get("ceph")
    stopwatch = Stopwatch()
    result = Result("gateway", "ceph")
    directory = context.directory("gateway")
    log = directory / "workers.log"
    chance = context.random("gateway")
    bucket = make_bucket(server)
    reports = Reports()
    settings = {**_SETTINGS, "conditional_writes": server.conditional_writes}
    shared = tuple(f"shared{n}.txt" for n in range(_SHARED_DOCUMENTS))

    def order(number: int, documents: tuple[str, ...], known: tuple[str, ...]) -> Crowd:
        store = {**_STORE, "db_path": str(directory / "buffer.db")} if number == 1 else _STORE
        setup = Setup(server, bucket, settings, store)
        name = author_name(number)
        return Crowd(setup, documents, frozenset(known), name, _PACE, chance.getrandbits(32))

    async def written(what: str) -> None:
        """Wait until some more was acknowledged."""
        enough = reports.ledger.count + _UPDATES_BETWEEN
        deadline = stopwatch.seconds + _WRITE_SECONDS
        while reports.ledger.count < enough:
            if stopwatch.seconds > deadline:
                raise TimeoutError(f"Too little was written {what} in {_WRITE_SECONDS:g} s.")
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        async with Worker(crowd.begin, order(0, shared, ()), log, reports) as first:
            await first.end()
        workers = []
        for number in (1, 2):
            own = tuple(f"of{number}/doc{n}.txt" for n in range(_DOCUMENTS))
            worker = Worker(crowd.write, order(number, own + shared, shared), log, reports)
            workers.append(await stack.enter_async_context(worker))
        for _ in range(context.times(_KILLS)):
            await written("while the gateway ran")
            await asyncio.to_thread(context.servers.ceph.call, "kill")
            result.kills += 1
            try:
                await written("while the gateway was down")
            finally:
                await asyncio.to_thread(context.servers.ceph.call, "start")
        for worker in workers:
            worker.tell("stop")
        for worker in workers:
            code = await worker.end(2 * FLUSH_SECONDS)
            if code:
                result.failures.append(f"A process ({worker.phase}) ended with {code}.")
    await judge(result, reports, BucketReader(server, bucket), log, OUTAGE)
    result.notes.append(
        f"{reports.counts['opened']} times a store was opened, "
        f"{reports.counts['refused']} times it could not be"
    )
    result.seconds = stopwatch.seconds
    return [result]
