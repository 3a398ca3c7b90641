"""What reaches the bucket when a server is given little time to stop.

`python -m benchmarks.grace`: twenty notebooks are open, a person types into each of them, and
the bucket is 200 ms away. The server gets SIGTERM, and SIGKILL when its grace is over; then plain
boto3 and pycrdt read from the bucket how much of what was accepted is there. `--tree` measures
the package of another working tree.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import s3_store
from harness.proxies.slow_bucket import SlowBucket, slow_bucket
from harness.servers import S3Server, make_bucket

from .servers import s3_server

OUTPUTS = [0] * 12 + [100_000] * 5 + [1_000_000] * 2 + [8_000_000]
"""Bytes of outputs that each notebook has, besides its text."""

MARKS = 10
"""That are typed into each notebook right before the server is to stop."""


@dataclass(frozen=True)
class _OtherTree(Disk):
    """A disk whose servers run the package of another working tree."""

    tree: str = ""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": self.tree}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a row of docs/reliability.md's table for each grace."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grace", description=__doc__)
    parser.add_argument(
        "--grace", type=float, nargs="+", default=[1.0, 5.0, 30.0], metavar="SECONDS"
    )
    parser.add_argument("--away", type=float, default=0.2, metavar="SECONDS", help="a request")
    parser.add_argument("--tree", type=Path, default=Path(), help="whose package is measured")
    options = parser.parse_args(arguments)
    print("| grace | documents | updates | requests | first, last PUT | ended after |")
    print("|--:|--:|--:|--:|--:|--:|")
    with s3_server("moto") as s3:
        at = S3Server(
            "moto", s3["s3_endpoint_url"], s3["s3_access_key_id"], s3["s3_secret_access_key"], True
        )
        for grace in options.grace:
            print(
                asyncio.run(measure(at, grace, options.away, options.tree.absolute())), flush=True
            )


async def measure(s3: S3Server, grace: float, away: float, tree: Path) -> str:
    """One row: a server that is stopped and has this grace."""
    bucket = make_bucket(s3)
    with tempfile.TemporaryDirectory() as directory:
        disk = _OtherTree(Path(directory), str(tree))
        names = [f"notebook-{number:02}.ipynb" for number in range(len(OUTPUTS))]
        for name, size in zip(names, OUTPUTS, strict=True):
            disk.place(name, _notebook(size))
        async with AsyncExitStack() as stack:
            slow = await stack.enter_async_context(slow_bucket(s3, away))
            server = JupyterProcess(disk, s3_store(slow.server, bucket))
            await stack.enter_async_context(server)
            people = [
                await stack.enter_async_context(RTCClient("p", name))
                for number, name in enumerate(names)
            ]
            for person in people:
                await person.connect(server)
            await _pending(server, 0)
            for _ in range(MARKS):
                for person in people:
                    person.mark(0)
                await asyncio.sleep(0.05)
            await _pending(server, MARKS * len(people))
            before = len(slow.requests)
            started = time.monotonic()
            server.send(signal.SIGTERM)
            ended = await _ends(server, grace)
            after = slow.requests[before:]
            server.sigkill()
            await asyncio.sleep(away)  # what was on its way arrives
        made = {name: set(person.made) for name, person in zip(names, people, strict=True)}
    return _row(grace, S3Reader(s3, bucket), made, after, slow, started, ended)


def _row(
    grace: float,
    reader: S3Reader,
    made: dict[str, set[str]],
    requests: list[str],
    slow: SlowBucket,
    started: float,
    ended: float | None,
) -> str:
    there = {
        name: len(marks & reader.marks(f"workspace/{name}.notebook.y.zst").keys())
        for name, marks in made.items()
    }
    whole = sum(count == len(made[name]) for name, count in there.items())
    puts = [
        at - started
        for line, at in zip(slow.requests, slow.at, strict=True)
        if at > started and line.startswith("PUT")
    ]
    times = f"{puts[0]:.2f} s, {puts[-1]:.2f} s" if puts else "none"
    end = "killed" if ended is None else f"{ended:.1f} s"
    total = sum(map(len, made.values()))
    return (
        f"| {grace:g} s | {whole} of {len(made)} | {sum(there.values())} of {total} | "
        f"{len(requests)} | {times} | {end} |"
    )


async def _pending(server: JupyterProcess, count: int) -> None:
    api = BookstoreAPI(server)

    async def so_many() -> bool:
        status = await api.status()
        return bool(status["status"] == "ok" and (status["pending_updates"] >= count > 0)) or (
            count == 0 and status["documents"] == len(OUTPUTS) and not status["pending_updates"]
        )

    await eventually(so_many, within=120, what=f"{count} pending updates")


async def _ends(server: JupyterProcess, grace: float) -> float | None:
    started = time.monotonic()
    while time.monotonic() - started < grace:
        if not server.running:
            return time.monotonic() - started
        await asyncio.sleep(0.01)
    os.kill(server.pid, signal.SIGKILL)
    return None


def _notebook(size: int) -> dict[str, Any]:
    notebook = sample_notebook()
    chance = random.Random(size)
    text = "".join(f"{chance.random():.6f} {chance.random():.6f}\n" for _ in range(size // 18))
    output = {"output_type": "stream", "name": "stdout", "text": text}
    cell = {
        "cell_type": "code",
        "id": "measured",
        "metadata": {},
        "execution_count": 1,
        "source": "measure()",
        "outputs": [output] if size else [],
    }
    return {**notebook, "cells": [*notebook["cells"], cell]}


if __name__ == "__main__":
    main()
