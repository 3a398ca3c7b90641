"""The harness's side of processes under test: starts them in moments, hears them, kills them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import worker
from .ledger import Ledger

_EXIT_SECONDS = 60.0

_forkserver = multiprocessing.get_context("forkserver")
# What is imported once there costs no process a second of imports.
_forkserver.set_forkserver_preload(["harness.torture.preload"])


class Reports:
    """What the processes of one scenario have reported."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.live: dict[str, str] = {}
        """What documents said last that someone has open, by who that is."""
        self.compared = 0
        """Times that what a document said in a process was held against the ledger."""

    def take(self, line: str) -> None:
        kind, _, message = line.partition(" ")
        first, _, rest = message.partition(" ")
        if kind == "a":
            self.ledger.acknowledge(first, rest)
        elif kind == "t":
            self.compared += 1
            difference = self.ledger.compare(first, rest)
            if not difference.empty:
                known = len(self.ledger.of(first))
                self.failures.append(
                    f"{first} where it is open ({len(rest)} characters for {known} marks): "
                    f"{difference}"
                )
        elif kind == "l":
            self.live[first] = rest
        elif kind == "n":
            self.counts[first] += int(rest)
        elif kind == "x":
            self.failures.append(message)


class Worker:
    """One process under test; `async with` starts it, and kills what is left of it."""

    def __init__(self, entry: worker.Entry, order: Any, log: Path, reports: Reports) -> None:
        self.reports = reports
        self.phase = "starting"
        """What it was doing last, as far as it said."""
        self.on_phase: Callable[[str], None] = lambda phase: None
        self._arguments = (entry, order, log)
        self._partial = b""
        self._ended = asyncio.Event()
        self._said = asyncio.Event()

    async def __aenter__(self) -> Worker:
        self._reports, reports = _forkserver.Pipe(duplex=False)
        commands, self._commands = _forkserver.Pipe(duplex=False)
        self._process = _forkserver.Process(
            target=worker.main, args=(*self._arguments, reports, commands), daemon=True
        )
        self._process.start()
        reports.close()
        commands.close()
        os.set_blocking(self._reports.fileno(), False)
        asyncio.get_running_loop().add_reader(self._reports.fileno(), self._read)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._process.kill()
        if not self._ended.is_set():
            asyncio.get_running_loop().remove_reader(self._reports.fileno())
        self._process.join()
        self._reports.close()
        self._commands.close()
        self._process.close()

    def _read(self) -> None:
        data = os.read(self._reports.fileno(), 1 << 18)
        if not data:  # the process has ended, and all that it said was heard
            asyncio.get_running_loop().remove_reader(self._reports.fileno())
            self._ended.set()
            self._said.set()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line.startswith(b"p "):
                self.phase = line[2:].decode()
                self.on_phase(self.phase)
            else:
                self.reports.take(line.decode())
        self._said.set()

    def tell(self, command: str) -> None:
        """Send a command; one that has ended hears nothing."""
        try:
            os.write(self._commands.fileno(), command.encode() + b"\n")
        except BrokenPipeError:
            return

    async def reach(self, phase: str, seconds: float) -> None:
        """Wait until it says that it is in `phase`. Raises `TimeoutError`."""

        async def said() -> None:
            while self.phase != phase:
                if self._ended.is_set():
                    raise TimeoutError(f"a process ended before it was {phase}")
                self._said.clear()
                await self._said.wait()

        await _within(said(), seconds, f"a process was not {phase}, but {self.phase},")

    def kill(self) -> None:
        """SIGKILL it."""
        self._process.kill()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    async def end(self, seconds: float = _EXIT_SECONDS) -> int:
        """Wait for its end, and until all that it said was heard. Returns its exit code, which
        is negative for a signal. Raises `TimeoutError`."""
        await _within(self._ended.wait(), seconds, f"a process ({self.phase}) did not end")
        await asyncio.to_thread(self._process.join)
        code = self._process.exitcode
        assert code is not None
        return code


async def _within(work: Any, seconds: float, what: str) -> None:
    try:
        await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        raise TimeoutError(f"{what} within {seconds:g} s") from None
