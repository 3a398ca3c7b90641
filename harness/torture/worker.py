"""Inside a process under test: what it reports to the harness, and what it is told."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .logs import log_to


class Link:
    """The two pipes between a process under test and the harness; a line each message.

    A report is in the pipe when its method returns, and stays there when the process dies.
    """

    def __init__(self, reports: Connection, commands: Connection) -> None:
        self._reports = reports
        self._commands = commands
        self._partial = b""
        self._sending = threading.Lock()
        self.commands: asyncio.Queue[str] = asyncio.Queue()

    def listen(self) -> None:
        """Take commands from now on; without the harness, there is nothing left to do."""
        os.set_blocking(self._commands.fileno(), False)
        asyncio.get_running_loop().add_reader(self._commands.fileno(), self._read)

    def _read(self) -> None:
        data = os.read(self._commands.fileno(), 4096)
        if not data:
            os._exit(3)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self.commands.put_nowait(line.decode())

    def acknowledge(self, document: str, mark: str) -> None:
        """`write` has returned for the update with this mark."""
        self._send(f"a {document} {mark}")

    def phase(self, name: str) -> None:
        """Say what is being done now."""
        self._send(f"p {name}")

    def says(self, document: str, text: str) -> None:
        """What a document says here and now, which must be all that was acknowledged before."""
        self._send(f"t {document} {text}")

    def live(self, who: str, text: str) -> None:
        """What a document that someone has open says now."""
        self._send(f"l {who} {text}")

    def count(self, what: str, number: int = 1) -> None:
        """Add to one of the harness's counters."""
        self._send(f"n {what} {number}")

    def wrong(self, what: str) -> None:
        """Something that must not be."""
        self._send("x " + " ".join(what.split()))

    def _send(self, message: str) -> None:
        data = memoryview(message.encode() + b"\n")
        with self._sending:
            while data:
                data = data[os.write(self._reports.fileno(), data) :]


Entry = Callable[[Any, Link], Awaitable[None]]


def main(entry: Entry, order: Any, log: Path, reports: Connection, commands: Connection) -> None:
    """Run `entry(order, link)` as what this process is for."""
    log_to(log)

    async def run() -> None:
        link = Link(reports, commands)
        link.listen()
        await entry(order, link)

    asyncio.run(run())
