"""A real Jupyter server with three people typing without a pause, stopped again and again.

Every scene goes its rounds with one document and the same people, who come back each time with
what they have. They differ in how the server is stopped, and in what is left of its disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from bookstore_y.local.waiting import eventually

from ..jupyter.disk import Disk
from ..jupyter.marks import doubled
from ..jupyter.notebooks import sample_notebook
from ..jupyter.people import (
    acknowledged,
    all_agree,
    all_connect,
    all_leave,
    all_made,
    people,
    type_without_pause,
)
from ..jupyter.process import JupyterProcess, ServerDidNotExit, ServerFailed
from ..jupyter.rtc_client import RTCClient
from ..jupyter.stale_file import seen_by_a_newcomer
from ..jupyter.stores import s3_store
from ..servers import S3Server, connect, free_port, make_bucket
from .outage_memory import Door
from .scenario import Context, Result, Stopwatch

PATH = "work/tides.ipynb"
KEY = f"workspace/{PATH}.notebook.y.zst"
TOKEN = "torture"
EXIT_WITHIN = 10.0
"""Seconds that a server has to end by itself after SIGTERM."""

UPSTREAM = (
    # Several clients that connect at once at the start (pycrdt/websocket/websocket_server.py).
    "RuntimeError: WebsocketServer already running",
    # A client that comes with a session from a disk that was lost gets a 500 in place of a 404,
    # and then takes a new session (jupyter_server_ydoc/loaders.py).
    "RuntimeError: No path found for file ID",
)
"""How tracebacks begin, in their last line, that are not bookstore_y's and do no harm."""

BROKEN = (TimeoutError, AssertionError, ConnectionError, ServerFailed, httpx.HTTPError)
"""What ends a scene: something that has to happen did not, within its bound."""


@dataclass(frozen=True)
class Machine:
    """Where the server runs, and what the next one finds of it."""

    name: str
    kept: bool = True
    original_file: bool = False
    buffer_on_disk: bool = False
    archive_down: bool = False
    """Whether S3 cannot be reached while the server stops."""

    def traits(self, disk: Disk) -> dict[str, Any]:
        """What the store is configured with on `disk`."""
        return {"db_path": str(disk.data / "buffer.db")} if self.buffer_on_disk else {}


MACHINES = [
    Machine("disk kept, buffer on it", buffer_on_disk=True),
    Machine("disk kept, buffer in memory"),
    Machine("disk lost, original file", kept=False, original_file=True),
    Machine("disk lost, no file", kept=False),
]
NO_ARCHIVE = Machine("disk kept, buffer in memory, S3 down", archive_down=True)


async def run(context: Context) -> list[Result]:
    """All scenes, one after the other. A round is a stop and a new start."""
    chance = context.random("rtc")
    results = []
    for machine in MACHINES:
        signals = ["SIGTERM", "SIGKILL"] * context.times(2)
        chance.shuffle(signals)
        results.append(await Scene(context, machine, chance).play(signals))
    results.append(await Scene(context, NO_ARCHIVE, chance).play(["SIGTERM"]))
    return results


class Scene:
    """One document and the people at it, on servers that follow each other."""

    def __init__(self, context: Context, machine: Machine, chance: random.Random) -> None:
        self._machine = machine
        self._chance = chance
        self._s3 = context.servers.get("moto")
        self._directory = context.directory(f"rtc/{machine.name.replace(', ', '-')}")
        self._disks = 0
        self._upstream = 0
        self._port = free_port()
        self.result = Result(f"rtc: {machine.name}", self._s3.name)

    async def play(self, signals: list[str]) -> Result:
        """Go one round with each of `signals`, and say what came of it."""
        watch = Stopwatch()
        try:
            async with Door(self._s3.endpoint_url) as door, people("abc", PATH) as clients:
                await self._rounds(door, clients, signals)
        except BROKEN as error:
            self.result.failures.append(f"{type(error).__name__}: {error}")
        if self._upstream:
            self.result.notes.append(f"{self._upstream} tracebacks of known upstream faults")
        self.result.seconds = watch.seconds
        return self.result

    async def _rounds(self, door: Door, clients: list[RTCClient], signals: list[str]) -> None:
        bucket = make_bucket(self._s3)
        s3 = door.before(self._s3)
        disk = self._new_disk(original_file=True)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(self._server(disk, s3, bucket))
            await all_connect(clients, server)
            for number, signal in enumerate(signals, 1):
                where = f"round {number}, {signal}"
                marks = len(acknowledged(clients)) + self._chance.randrange(150, 500)

                async def ready(marks: int = marks, signal: str = signal) -> bool:
                    if len(acknowledged(clients)) < marks:
                        return False
                    # Memory, and a disk that is lost, promise only what was checkpointed.
                    promised = signal == "SIGTERM" or self._machine.buffer_on_disk
                    return promised or await asyncio.to_thread(_archived, self._s3, bucket)

                await self._type_until_stopped(door, server, clients, signal, ready, where)
                accepted, made = acknowledged(clients), all_made(clients)
                self.result.acknowledged = len(accepted)
                self._look_for_tracebacks(server, where)
                await stack.aclose()  # the server is gone; this is for one that hung

                if not self._machine.kept:
                    disk = self._new_disk(original_file=self._machine.original_file)
                server = await stack.enter_async_context(self._server(disk, s3, bucket))
                visible = await seen_by_a_newcomer(server, PATH)
                self._compare(visible, accepted, signal, where)
                if not await self._return(server, clients, made, where):
                    break  # what follows would say the same again
            await all_leave(clients)
            await server.sigterm(EXIT_WITHIN)
            self._look_for_tracebacks(server, "the end")

    async def _type_until_stopped(
        self,
        door: Door,
        server: JupyterProcess,
        clients: list[RTCClient],
        signal: str,
        ready: Callable[[], Awaitable[bool]],
        where: str,
    ) -> None:
        typists = [asyncio.create_task(type_without_pause(client)) for client in clients]
        try:
            await eventually(ready, within=60.0, what="people to have typed enough")
            if self._machine.archive_down:
                await door.close()
            if signal == "SIGKILL":
                server.sigkill()
                self.result.kills += 1
            else:
                seconds = await server.sigterm(EXIT_WITHIN)
                self.result.notes.append(f"{where}: exit after {seconds:.1f} s")
            # They go on for as long as their connections stand.
            await asyncio.wait_for(asyncio.gather(*typists), 10.0)
        except ServerDidNotExit as error:
            self.result.failures.append(f"{where}: {error}")
        finally:
            for typist in typists:
                typist.cancel()
            await asyncio.gather(*typists, return_exceptions=True)
            await door.open()
        await all_leave(clients)

    def _compare(self, visible: Counter[str], accepted: set[str], signal: str, where: str) -> None:
        """Hold what a newcomer sees before anybody is back against what was accepted."""
        missing = len(accepted - visible.keys())
        self.result.doubled += len(doubled(visible))
        if signal == "SIGTERM":
            self.result.lost += missing
        if missing:
            self.result.notes.append(
                f"{where}: a newcomer misses {missing:,} of {len(accepted):,} before the others "
                "are back"
            )

    async def _return(
        self, server: JupyterProcess, clients: list[RTCClient], made: set[str], where: str
    ) -> bool:
        """Everybody is back with what they have: all of it is there for all, once."""
        await all_connect(clients, server)
        with contextlib.suppress(TimeoutError):
            await asyncio.gather(*(client.wait_for_marks(made, 10.0) for client in clients))
        await all_agree(clients)
        seen = await seen_by_a_newcomer(server, PATH)
        lost, twice = made - seen.keys(), doubled(seen)
        self.result.lost += len(lost)
        self.result.doubled += len(twice)
        conflicts = sum(client.conflicts for client in clients)
        if lost or twice:
            self.result.failures.append(
                f"{where}, after all are back: {len(lost)} lost {sorted(lost)[:5]}, "
                f"{len(twice)} doubled {sorted(twice)[:5]}"
            )
        if conflicts:
            self.result.failures.append(f"{where}: {conflicts} updates were refused as conflicts")
        return not (lost or twice or conflicts)

    def _look_for_tracebacks(self, server: JupyterProcess, where: str) -> None:
        found = tracebacks(server.log_text())
        ours = [last_line for last_line in found if not last_line.startswith(UPSTREAM)]
        self._upstream += len(found) - len(ours)
        self.result.unhandled += len(ours)
        for last_line in sorted(set(ours)):
            self.result.notes.append(f"{where}: {last_line} (in {server.log_path})")

    def _new_disk(self, *, original_file: bool) -> Disk:
        self._disks += 1
        disk = Disk(self._directory / f"disk-{self._disks}")
        if original_file:
            disk.place(PATH, sample_notebook())
        return disk

    def _server(self, disk: Disk, s3: S3Server, bucket: str) -> JupyterProcess:
        config = s3_store(s3, bucket, **self._machine.traits(disk))
        if self._machine.archive_down:
            config["BookstoreSettings"]["shutdown_timeout"] = EXIT_WITHIN / 4
        return JupyterProcess(disk, config, port=self._port, token=TOKEN)


def tracebacks(log: str) -> list[str]:
    """The last line of each traceback in a log; of one that goes through bookstore_y, all of it."""
    found = []
    for part in log.split("Traceback (most recent call last):\n")[1:]:
        lines = part.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
        end = next((n for n, line in enumerate(lines) if line[:indent].strip()), len(lines) - 1)
        text = "\n".join(lines[: end + 1])
        found.append(text if "/bookstore_y/" in text else lines[end].strip())
    return found


def _archived(s3: S3Server, bucket: str) -> bool:
    client = connect(s3)
    try:
        return bool(client.list_object_versions(Bucket=bucket, Prefix=KEY).get("Versions"))
    finally:
        client.close()
