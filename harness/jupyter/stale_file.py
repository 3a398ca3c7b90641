"""The stale file: people type without a pause until the server gets its SIGTERM.

Each edit puts the pending save off, so at the stop the file lacks all that was typed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bookstore_y.local.waiting import eventually

from .disk import Disk
from .marks import find_marks
from .notebooks import peek_notebook, sources
from .people import acknowledged, all_connect, all_leave, all_made, type_without_pause
from .process import JupyterProcess, ServerDidNotExit
from .rtc_client import RTCClient

_TYPE_ON = 2.0
"""Seconds for which people type on after the SIGTERM, unless the server is gone before."""


@dataclass(frozen=True)
class Stopped:
    """What was true when the server had stopped."""

    accepted: set[str]
    """The marks that the server had accepted."""
    made: set[str]
    """All marks typed, with those that never reached the server."""
    seconds: float | None
    """From SIGTERM to the end of the process; None: it had to be killed."""


async def type_until_sigterm(
    server: JupyterProcess,
    clients: Sequence[RTCClient],
    marks: int,
    *,
    exit_within: float = 30.0,
) -> Stopped:
    """Let all clients type until `marks` marks are accepted, and on until the server is gone.

    A server that does not exit `exit_within` seconds after its SIGTERM is killed.
    """
    await all_connect(clients, server)
    typists = [asyncio.create_task(type_without_pause(client)) for client in clients]
    try:
        await eventually(
            lambda: len(acknowledged(clients)) >= marks,
            within=60.0 + marks / 10,
            what=f"{marks} accepted marks",
        )
        stopping = asyncio.create_task(_stop(server, exit_within))
        await asyncio.wait([stopping, *typists], timeout=_TYPE_ON)
    finally:
        for typist in typists:
            typist.cancel()
        await asyncio.gather(*typists, return_exceptions=True)
    seconds = await stopping
    await all_leave(clients)
    return Stopped(acknowledged(clients), all_made(clients), seconds)


async def seen_by_a_newcomer(server: JupyterProcess, path: str) -> Counter[str]:
    """The marks that a client without any earlier document gets to see."""
    async with RTCClient("newcomer", path) as newcomer:
        await newcomer.connect(server)
        return newcomer.marks()


def marks_in_file(disk: Disk, path: str) -> Counter[str]:
    """The marks in the notebook file at `path`; none when there is no such file."""
    notebook = peek_notebook(disk.file(path))
    return find_marks(sources(notebook)) if notebook else Counter()


async def _stop(server: JupyterProcess, exit_within: float) -> float | None:
    try:
        return await server.sigterm(exit_within)
    except ServerDidNotExit:
        return None
