"""A network that cuts, stalls, loses and garbles, between the stores and each S3 server.

Some documents are written by one process each, some by both, and all are opened and evicted again
and again, so that there is as much reading as writing.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from ..proxies.faulty import Proxy
from ..servers import S3Server, make_bucket
from . import crowd
from .crowd import FLUSH_SECONDS, Crowd
from .ledger import author_name
from .logs import OUTAGE
from .read_back import BucketReader
from .scenario import Context, Result, Stopwatch
from .verdict import judge
from .workers import Reports, Worker
from .writing import Pace, Setup

_FAULTS = 720
"""On each server."""

_SECONDS = 60.0
"""That they may take."""

_PROCESSES = 2
_OWN_DOCUMENTS = 14
_SHARED_DOCUMENTS = 4

_PACE = Pace(burst=(1, 30), pause=(0.0, 0.5), bursts=(1, 8))

_SETTINGS = {"connect_timeout": 1.0, "read_timeout": 0.7, "max_attempts": 2}

_STORE = {
    "checkpoint_interval": 20,
    "checkpoint_idle_delay": 0.1,
    "checkpoint_max_delay": 0.5,
    "document_ttl": 0.2,
    "history_updates": 50,
}

_EXPECTED = (*OUTAGE, "updates of .* cannot be applied")


async def run(context: Context) -> list[Result]:
    return [await _on(context, context.servers.get(name)) for name in context.server_names]


async def _on(context: Context, server: S3Server) -> Result:
    stopwatch = Stopwatch()
    result = Result("network", server.name)
    directory = context.directory(f"network-{server.name}")
    log = directory / "workers.log"
    chance = context.random(f"network/{server.name}")
    bucket = make_bucket(server)
    reports = Reports()
    shared = tuple(f"shared{n}.txt" for n in range(_SHARED_DOCUMENTS))
    wanted = context.times(_FAULTS)
    # moto keeps an object, an empty one, of which the request broke off; no S3 server does.
    proxy = Proxy(server.endpoint_url, chance, cut_late=server.name != "moto")
    async with proxy, AsyncExitStack() as stack:
        patient = {
            "conditional_writes": server.conditional_writes,
            "s3_endpoint_url": proxy.url,
        }

        def order(number: int, documents: tuple[str, ...], known: tuple[str, ...]) -> Crowd:
            # One keeps its buffer on disk, the others in memory.
            store = {**_STORE, "db_path": str(directory / "buffer.db")} if number == 1 else _STORE
            # A server that has just started may be slow, before there is any fault.
            settings = patient if number == 0 else {**patient, **_SETTINGS}
            setup = Setup(server, bucket, settings, store)
            name = author_name(number)
            return Crowd(setup, documents, frozenset(known), name, _PACE, chance.getrandbits(32))

        async with Worker(crowd.begin, order(0, shared, ()), log, reports) as first:
            if await first.end():
                result.failures.append("The shared documents could not be begun.")
        workers = []
        for number in range(1, 1 + _PROCESSES):
            own = tuple(f"of{number}/doc{n}.txt" for n in range(_OWN_DOCUMENTS))
            of_worker = order(number, own + shared, shared)
            worker = Worker(crowd.write, of_worker, log, reports)
            workers.append(await stack.enter_async_context(worker))
        proxy.faulty = True
        deadline = stopwatch.seconds + _SECONDS * max(1.0, context.scale)
        while proxy.counts.total() < wanted and stopwatch.seconds < deadline:
            await asyncio.sleep(0.05)
            if any(worker.ended for worker in workers):
                result.failures.append("A process ended by itself.")
                break
        proxy.faulty = False
        for worker in workers:
            worker.tell("stop")
        for worker in workers:
            code = await worker.end(2 * FLUSH_SECONDS)
            if code:
                result.failures.append(f"A process ({worker.phase}) ended with {code}.")
    result.faults = proxy.counts.total()
    await judge(result, reports, BucketReader(server, bucket), log, _EXPECTED)
    if result.faults < wanted:
        result.failures.append(f"{result.faults} faults were not the {wanted} wanted.")
    result.notes += [
        f"{proxy.requests} requests; "
        + ", ".join(f"{kind} {count}" for kind, count in proxy.counts.most_common()),
        f"{reports.counts['opened']} times a store was opened, "
        f"{reports.counts['refused']} times it could not be",
    ]
    result.seconds = stopwatch.seconds
    return result
