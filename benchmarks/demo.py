"""What the demo takes while people work in it: `python -m benchmarks.demo --minutes 60`.

Three people are in one notebook, over real websockets, at the pace of people: they type, run cells
with printed and plotted outputs, add and delete cells, and have the history panel open, which asks
for the state and for new versions; now and then one of them looks back, compares, labels and
restores. Once in `--every` seconds, the memory of every process of the demo is read. The first line
says where the demo is, each further one is JSON; the last has the highest of each.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil  # type: ignore[import-untyped]
from pycrdt import Map, Text

from harness.jupyter.rtc_client import RTCClient

PATH = "sample.ipynb"
NAMES = ("ada", "ben", "cleo")
KEYS_A_SECOND = 5.0
PAUSES = (2.0, 25.0)
"""Seconds between two bursts of typing."""
CELLS = (8, 40)
"""Cells that people leave, and at which they add no more."""
STATUS_EVERY = 3.0
"""Seconds between two questions of the panel's while something is pending (ui/src/live.ts)."""


@dataclass(frozen=True)
class Demo:
    """A running demo, as `--json` describes it."""

    url: str
    token: str


class Person:
    """Somebody who works in the notebook."""

    def __init__(self, client: RTCClient, demo: Demo, chance: random.Random) -> None:
        self.client = client
        self.done: dict[str, int] = {}
        """How often each thing was done."""
        self._chance = chance
        self._http = httpx.AsyncClient(
            base_url=demo.url,
            headers={"Authorization": f"token {demo.token}"},
            timeout=120.0,
            trust_env=False,
        )
        self._newest = ""

    async def work(self, until: float) -> None:
        """Work, with the panel open, until that time."""
        panel = asyncio.create_task(self._panel())
        try:
            while time.monotonic() < until:
                await self._type()
                if self._chance.random() < 0.5:
                    self._run_cell()
                if self._chance.random() < 0.1:
                    self._change_cells()
                if self._chance.random() < 0.03:
                    await self._look_back()
                await asyncio.sleep(self._chance.uniform(*PAUSES))
        finally:
            panel.cancel()
            await asyncio.gather(panel, return_exceptions=True)
            await self._http.aclose()

    async def _type(self) -> None:
        texts = self.client.texts()
        text = self._chance.choice(texts)
        at = self._chance.randrange(len(str(text).encode()) + 1) if str(text).isascii() else 0
        for _ in range(self._chance.randint(10, 60)):
            if at > len(str(text)):
                break  # somebody has deleted the cell, or what was there
            text.insert(at, self._chance.choice("etaoin shrdlu\n"))
            at += 1
            self._did("keys")
            await asyncio.sleep(1 / KEYS_A_SECOND)

    def _cells(self) -> Any:
        return self.client.doc["cells"]

    def _run_cell(self) -> None:
        code = [cell for cell in self._cells() if cell["cell_type"] == "code"]
        if not code:
            return
        cell = self._chance.choice(code)
        made = [_printed(self._chance)]
        if self._chance.random() < 0.4:
            made.append(_plotted(self._chance))
        with self.client.doc.transaction():
            cell["outputs"].clear()
            cell["outputs"].extend(made)
            cell["execution_count"] = float((cell.get("execution_count") or 0) + 1)
        self._did("runs")

    def _change_cells(self) -> None:
        count = len(self._cells())
        if count >= CELLS[1] or (count > CELLS[0] and self._chance.random() < 0.4):
            self.client.delete_cell(self._chance.randrange(CELLS[0], count))
            self._did("deleted cells")
        else:
            self.client.append_cell(
                {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": []}
            )
            self._did("new cells")

    async def _look_back(self) -> None:
        versions = (await self._ask("versions", limit=50))["versions"]
        snapshots = [each for each in versions if each["kind"] == "snapshot"]
        if len(snapshots) < 3:
            return
        old = self._chance.choice(snapshots[1:])["version_id"]
        await self._ask("version", version_id=old)
        await self._ask("diff", before=old)
        await self._send(
            "PUT", "label", {"version_id": old, "label": f"as {self.client.name} saw it"}
        )
        if self._chance.random() < 0.3:
            await self._send("POST", "restore", {"version_id": old})
            self._did("restores")
        self._did("looks back")

    async def _panel(self) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                state = (await self._http.get(f"/api/bookstore?path={PATH}")).json()
                newest = (state["document"]["newest"] or {}).get("version_id", "")
                if newest != self._newest:
                    self._newest = newest
                    await self._ask("versions", limit=20)
                    await self._ask("versions", limit=20, details=1)
                    self._did("listings", 2)
                self._did("states")
            await asyncio.sleep(STATUS_EVERY)

    async def _ask(self, call: str, **query: Any) -> Any:
        response = await self._http.get(f"/api/bookstore/{call}/{quote(PATH)}", params=query)
        response.raise_for_status()
        return response.json()

    async def _send(self, method: str, call: str, body: dict[str, Any]) -> None:
        address = f"/api/bookstore/{call}/{quote(PATH)}"
        (await self._http.request(method, address, json=body)).raise_for_status()

    def _did(self, what: str, times: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + times


def _printed(chance: random.Random) -> Map[Any]:
    lines = "".join(f"gauge {chance.random():.4f}\n" for _ in range(chance.randint(1, 60)))
    return Map({"output_type": "stream", "name": "stdout", "text": Text(lines)})


def _plotted(chance: random.Random) -> Map[Any]:
    image = base64.b64encode(chance.randbytes(chance.randint(15_000, 90_000))).decode()
    data = {"image/png": image, "text/plain": "<Figure size 640x480>"}
    return Map({"output_type": "display_data", "data": data, "metadata": {}})


def memory_of(process: psutil.Process) -> dict[str, int]:
    """Proportional bytes of each process of a tree, by what it is; those of one kind together."""
    found: dict[str, int] = {}
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            name = _kind(" ".join(each.cmdline()))
            found[name] = found.get(name, 0) + each.memory_full_info().pss
    return found


def _kind(command: str) -> str:
    for part, name in (
        ("embedded_s3", "S3"),
        ("ipykernel", "kernel"),
        ("jupyterlab", "JupyterLab"),
    ):
        if part in command:
            return name
    return "demo"


async def measure(minutes: float, every: float, seed: int) -> None:
    """Start the demo, have people work in it, and say what it takes."""
    with tempfile.TemporaryDirectory(prefix="bookstore-demo-bench-") as scratch:
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else goes on yet
            [sys.executable, "-m", "bookstore_y.cli", "demo", "--json", "--no-browser"],
            stdout=subprocess.PIPE,
            stderr=(Path(scratch) / "log").open("w"),
            env=os.environ | {"TMPDIR": scratch},
            text=True,
        )
        try:
            assert process.stdout is not None
            said = json.loads(await asyncio.to_thread(_document, process.stdout))
            print(json.dumps({"url": said["base_url"], "pid": process.pid}), flush=True)
            demo = Demo(said["base_url"], said["token"])
            await _work(process.pid, demo, Path(scratch), minutes, every, seed)
        finally:
            process.terminate()
            process.wait(60)


def _document(lines: Any) -> str:
    text = ""
    for line in lines:
        text += line
        if line == "}\n":
            break
    return text


async def _work(
    pid: int, demo: Demo, scratch: Path, minutes: float, every: float, seed: int
) -> None:
    began = time.monotonic()
    until = began + 60 * minutes
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for number, name in enumerate(NAMES):
            client = await stack.enter_async_context(RTCClient(name, PATH))
            await client.connect(demo)
            people.append(Person(client, demo, random.Random(seed + number)))
        async with httpx.AsyncClient(base_url=demo.url, trust_env=False) as http:
            await http.post("/api/kernels", headers={"Authorization": f"token {demo.token}"})
        working = [asyncio.create_task(person.work(until)) for person in people]
        highest: dict[str, int] = {}
        while not all(task.done() for task in working):
            memory = await asyncio.to_thread(memory_of, psutil.Process(pid))
            memory["all"] = sum(memory.values())
            for name, size in memory.items():
                highest[name] = max(highest.get(name, 0), size)
            disk = await asyncio.to_thread(_bytes_under, scratch)
            done: dict[str, int] = {}
            for person in people:
                for what, times in person.done.items():
                    done[what] = done.get(what, 0) + times
            megabytes = {name: round(size / 1e6) for name, size in memory.items()}
            line = {"seconds": round(time.monotonic() - began), "MB": megabytes}
            print(json.dumps({**line, "disk MB": round(disk / 1e6), "done": done}), flush=True)
            await asyncio.wait(working, timeout=every)
        for task in working:
            task.result()
        print(json.dumps({"highest MB": {k: round(v / 1e6) for k, v in highest.items()}}))


def _bytes_under(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two readings")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    asyncio.run(measure(args.minutes, args.every, args.seed))


if __name__ == "__main__":
    main()
