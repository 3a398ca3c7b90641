"""How much of what was typed is visible after a restart, with either YStore, as measured.

Run it from the repository's root:

    python -m harness.compare_stale_file --marks 2000
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .jupyter.disk import Disk
from .jupyter.marks import doubled
from .jupyter.notebooks import sample_notebook
from .jupyter.people import all_agree, all_connect, people
from .jupyter.process import JupyterProcess
from .jupyter.stale_file import Stopped, seen_by_a_newcomer, type_until_sigterm
from .jupyter.stores import Config, s3_store, sqlite_store
from .servers import Servers, make_bucket

_PATH = "work/tides.ipynb"
_EXIT_WITHIN = 10.0


@dataclass(frozen=True)
class Scene:
    """One row of the table."""

    store: str
    restart: str
    stopped: Stopped
    visible: Counter[str]
    """What a newcomer saw after the restart."""
    together: Counter[str]
    """What all saw after those who had typed came back with their old documents."""

    def cells(self) -> list[str]:
        """The row's cells, in the order of `HEADINGS`."""
        accepted = self.stopped.accepted
        seconds = self.stopped.seconds
        return [
            self.store,
            self.restart,
            f"{len(accepted & self.visible.keys()):,} of {len(accepted):,}",
            f"{len(doubled(self.together)):,}",
            f"not within {_EXIT_WITHIN:g} s" if seconds is None else f"after {seconds:.2f} s",
        ]


HEADINGS = [
    "YStore",
    "restart on",
    "accepted marks visible after it",
    "doubled once the old clients are back",
    "exits at SIGTERM",
]


async def play(store: str, config: Config, restart: str, marks: int) -> Scene:
    """Type `marks` marks into a notebook, stop the server, restart it, and look."""
    with _scratch() as scratch:
        disk = Disk(scratch / "disk")
        disk.place(_PATH, sample_notebook())
        async with people("abc", _PATH) as clients, JupyterProcess(disk, config) as server:
            stopped = await type_until_sigterm(server, clients, marks, exit_within=_EXIT_WITHIN)
            if restart != "kept disk":
                disk = Disk(scratch / "fresh")
            if restart == "fresh disk, original file":
                disk.place(_PATH, sample_notebook())
            async with JupyterProcess(disk, config) as second:
                visible = await seen_by_a_newcomer(second, _PATH)
                await all_connect(clients, second)
                await all_agree(clients)
                together = clients[0].marks()
    return Scene(store, restart, stopped, visible, together)


async def measure(marks: int) -> list[Scene]:
    """All rows of the table, one after the other."""
    sqlite = ("SQLiteYStore", sqlite_store())
    scenes = [
        await play(*sqlite, restart, marks)
        for restart in ("kept disk", "fresh disk, original file")
    ]
    servers = Servers()
    try:
        s3 = servers.get("moto")
        for restart in ("kept disk", "fresh disk, original file", "fresh disk, no file"):
            config = s3_store(s3, make_bucket(s3))
            scenes.append(await play("S3YStore", config, restart, marks))
    finally:
        servers.stop()
    return scenes


def table(rows: list[list[str]]) -> str:
    """`rows` as a Markdown table whose columns line up; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bookstore-stale-file-") as directory:
        yield Path(directory)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--marks", type=int, default=2000, help="marks to type before the SIGTERM")
    scenes = asyncio.run(measure(parser.parse_args().marks))
    print(table([HEADINGS, *(scene.cells() for scene in scenes)]))


if __name__ == "__main__":
    main()
