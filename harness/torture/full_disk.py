"""A disk that fills up under the buffer.

A process of its own writes through stores whose buffer is on a small file system, and says of
each write whether it was acknowledged. What was, is in the bucket in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pycrdt
from traitlets.config import Config

from bookstore_y import S3YStore
from bookstore_y.errors import BookstoreError
from bookstore_y.local.waiting import eventually
from bookstore_y.ydoc.frame import decompress

from ..servers import S3Server, connect, make_bucket, s3_options
from .outage_memory import OUTPUT_BYTES, Author, Door
from .scenario import Context, Result, Stopwatch

DOCUMENTS = 4
DISK = 2 * 1024 * 1024
ROOMY = 64 * 1024 * 1024
"""Bytes that the disk has at first, and once space was freed."""
ROUNDS = 3
RESUME_WITHIN = 60.0
"""Seconds from when there is room until writes are acknowledged again: a retry may be due late."""

_PAGES = DISK // 4096 // 2
_FULL = 64 * 1024
_SECONDS = 90.0
_NUMBER = re.compile(r"\[(\d+)\]")


async def run(context: Context) -> list[Result]:
    """First a disk that gets room again, then crashes with the disk full."""
    results = [await _guarded(context, "full disk: space is freed", _freed)]
    crashes = Result("full disk: SIGKILL", "moto")
    for number in range(context.times(ROUNDS)):
        chance = context.random(f"full disk {number}")
        down = bool(chance.randrange(2)) if number > 1 else number == 0
        crashes += await _guarded(
            context, "full disk: SIGKILL", lambda scene, down=down: _killed(scene, down=down)
        )
    return [*results, crashes]


@dataclass
class Scene:
    """One disk, one bucket, and the process that writes."""

    disk: SmallDisk
    s3: S3Server
    bucket: str
    door: Door
    seed: int
    result: Result
    log: Path
    acknowledged: dict[int, set[int]] = field(default_factory=dict)
    """By document; kept here, outside the process under test."""
    refused: int = 0

    @property
    def events(self) -> int:
        """How many writes are settled, either way."""
        return self.refused + self.count

    @property
    def count(self) -> int:
        """How many writes were acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    async def start(self, mode: str) -> Process:
        """The process: to `write` until it is told to stop, or to `recover` what is left."""
        arguments = {
            "mode": mode,
            "s3": s3_options(self.door.before(self.s3), self.bucket),
            "store": {
                "db_path": str(self.disk.path / "buffer.db"),
                "recovery_dir": str(self.disk.path / "recovery"),
                "checkpoint_interval": 50,
            },
            "pages": self.disk.pages if mode == "write" else 0,
            "seed": self.seed,
        }
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__, json.dumps(arguments)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        return Process(process, asyncio.create_task(self._listen(process)))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            what, document, number = line.split()
            if what == b"acknowledged":
                self.acknowledged.setdefault(int(document), set()).add(int(number))
            else:
                self.refused += 1


@dataclass
class Process:
    """The process that writes, and the task that hears what it says."""

    process: asyncio.subprocess.Process
    listening: asyncio.Task[None]

    async def end(self, *, kill: bool = False) -> int:
        """Tell it to stop, or kill it; its exit code. Raises `TimeoutError`."""
        if kill:
            self.process.kill()
        elif self.process.stdin is not None:
            self.process.stdin.close()
        code = await asyncio.wait_for(self.process.wait(), _SECONDS)
        await self.listening
        return code

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.listening


async def _guarded(context: Context, name: str, play: Any) -> Result:
    """Play one scene on a disk of its own, and compare what is in the bucket in the end."""
    watch = Stopwatch()
    s3 = context.servers.get("moto")
    result = Result(name, s3.name)
    directory = context.directory("full_disk")
    with small_disk(directory, result) as disk:
        async with Door(s3.endpoint_url) as door:
            log = directory / f"process-{uuid.uuid4().hex[:6]}.log"
            scene = Scene(disk, s3, make_bucket(s3), door, context.seed, result, log)
            for act in (play, _recover):
                try:
                    await act(scene)
                except TimeoutError as error:
                    result.failures.append(f"{type(error).__name__}: {error}")
            await asyncio.to_thread(_compare, scene)
    result.seconds = watch.seconds
    return result


async def _freed(scene: Scene) -> None:
    """The disk fills up, stays full for a while, and then has room again; nothing crashes."""
    async with await scene.start("write") as writer:
        await _until_full(scene)
        while_full = scene.count
        scene.disk.free()
        if scene.disk.pages == 0:
            await eventually(
                lambda: scene.count >= while_full + 200,
                within=RESUME_WITHIN,
                what="writes to be acknowledged again, now that there is room",
            )
        code = await writer.end()
        if code:
            scene.result.failures.append(f"the process ended with {code}")


async def _killed(scene: Scene, *, down: bool) -> None:
    """The disk fills up, with S3 there or not, and the process is killed."""
    if down:
        await scene.door.close()
    async with await scene.start("write") as writer:
        await _until_full(scene)
        await writer.end(kill=True)
    scene.result.kills += 1


async def _until_full(scene: Scene) -> None:
    """Wait until the disk is full, and on for 100 writes or until they wait for better times."""
    await eventually(
        lambda: scene.refused or scene.disk.full(scene.count * OUTPUT_BYTES),
        within=_SECONDS,
        what=f"the disk to be full after {scene.events} writes",
    )
    before, last = scene.events, -1
    while scene.events < before + 100 and scene.events != last:
        last = scene.events
        await asyncio.sleep(1.0)  # settled writes within this time, or none any more
    scene.result.notes.append(
        f"full after {before:,} writes; then {scene.events - before:,} more were settled, "
        f"{scene.refused:,} refused"
    )


async def _recover(scene: Scene) -> None:
    """Start again on the same disk, now that there is room, and have all of it archived."""
    scene.disk.free()
    await scene.door.open()
    async with await scene.start("recover") as process:
        code = await process.end()
        if code:
            scene.result.failures.append(f"the process that recovers ended with {code}")


def _compare(scene: Scene) -> None:
    result, client = scene.result, connect(scene.s3)
    for document, acknowledged in scene.acknowledged.items():
        result.acknowledged += len(acknowledged)
        try:
            answer = client.get_object(
                Bucket=scene.bucket, Key=f"workspace/{_path(document)}.y.zst"
            )
            update = decompress(answer["Body"].read(), 2**30)
        except client.exceptions.NoSuchKey:
            update = b"\x00\x00"
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        doc.apply_update(update)
        text = str(doc.get("text", type=pycrdt.Text))
        found = Counter(int(number) for number in _NUMBER.findall(text))
        result.lost += len(acknowledged - found.keys())
        result.doubled += sum(times > 1 for times in found.values())
    client.close()
    for database in scene.disk.path.glob("*.db*"):
        if database.name.endswith(("-wal", "-shm", "-journal")):
            continue
        with contextlib.closing(sqlite3.connect(database)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
        if said != "ok" or database.name != "buffer.db":
            result.failures.append(f"{database.name}: {said}")
    tracebacks = scene.log.read_text().count("Traceback (most recent call last)")
    result.unhandled += tracebacks
    if tracebacks:
        result.notes.append(f"{tracebacks} tracebacks in {scene.log}")


def _path(document: int) -> str:
    return f"full/{document}.txt"


# -- the disk --------------------------------------------------------------------------------------


@dataclass
class SmallDisk:
    """A directory on a file system of `DISK` bytes."""

    path: Path
    pages: int = 0
    """How many pages SQLite may use, where no such file system could be mounted; else 0."""

    def full(self, written: int) -> bool:
        """Whether there is next to no room; `written` is what had to find room."""
        if self.pages:
            return written > self.pages * 4096
        space = os.statvfs(self.path)
        return space.f_bavail * space.f_frsize < _FULL

    def free(self) -> None:
        """Make room, as someone does who deletes what else is on the disk."""
        if self.pages == 0 and not _mount("mount", "-o", f"remount,size={ROOMY}", str(self.path)):
            raise TimeoutError(f"{self.path} could not be given more room")


@contextmanager
def small_disk(directory: Path, result: Result) -> Iterator[SmallDisk]:
    """A disk of that kind, which is unmounted and gone at the end."""
    path = directory / "disk"
    path.mkdir()
    mounted = _mount("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path))
    try:
        if not mounted:
            result.notes.append("no file system could be mounted: SQLite's max_page_count it is")
        yield SmallDisk(path, 0 if mounted else _PAGES)
    finally:
        if mounted and not _mount("umount", str(path)):
            _mount("umount", "--lazy", str(path))
        shutil.rmtree(path, ignore_errors=True)


def _mount(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


# -- the process under test ------------------------------------------------------------------------


async def write_until_told(
    mode: str, s3: dict[str, Any], store: dict[str, Any], pages: int, seed: int
) -> None:
    """Write until standard input ends, or just archive what is left, and leave in good order."""
    config = Config(
        {
            "BookstoreSettings": {**s3, "max_attempts": 1, "conditional_writes": True},
            "S3YStore": store,
        }
    )
    with _limited(pages):
        async with AsyncExitStack() as stack:
            stores = [
                await stack.enter_async_context(S3YStore(_path(document), config=config))
                for document in range(DOCUMENTS)
            ]
            told = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
            if mode == "write":
                writers = [
                    _write_on(number, store, Author(1, seed + number), told)
                    for number, store in enumerate(stores)
                ]
                await asyncio.gather(*writers)
            await told


async def _write_on(
    document: int, store: S3YStore, author: Author, told: asyncio.Task[str]
) -> None:
    number = 0
    while not told.done():
        update = author.update()
        try:
            await store.write(update)
        except BookstoreError:
            print("refused", document, number, flush=True)
            await asyncio.sleep(0.01)
        else:
            print("acknowledged", document, number, flush=True)
            await asyncio.sleep(0.001)
        number += 1


@contextmanager
def _limited(pages: int) -> Iterator[None]:
    """SQLite says that the disk is full past so many pages; 0 is no limit."""
    unlimited = sqlite3.connect

    def connect_limited(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = unlimited(*args, **kwargs)
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with patch.object(sqlite3, "connect", connect_limited):
        yield


def main() -> None:
    """Be the process under test; the one argument is of JSON."""
    parser = argparse.ArgumentParser(description="The process under test of the full disk.")
    parser.add_argument("arguments", type=json.loads)
    asyncio.run(write_until_told(**parser.parse_args().arguments))


if __name__ == "__main__":
    main()
