"""Inside a process under test: many authors at once, while the bucket or the network fails."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import WriteResult

from .worker import Link
from .writing import Author, Pace, Setup

FLUSH_SECONDS = 60.0
"""In which everything has to be in the bucket once nothing fails any more."""


@dataclass(frozen=True)
class Crowd:
    """What one process is to do: write documents until it is told to stop, then flush."""

    setup: Setup
    documents: tuple[str, ...]
    known: frozenset[str]
    author: str
    pace: Pace
    seed: int


async def write(order: Crowd, link: Link) -> None:
    """Write documents, whatever happens, until told to stop; then see all into the bucket."""
    watch_conflicts(link)
    chance = random.Random(order.seed)
    stopping = asyncio.Event()
    config = order.setup.config()
    authors = [
        Author(
            link,
            document,
            order.author,
            config,
            random.Random(chance.random()),
            order.pace,
            known=document in order.known,
            show=0.0 if document in order.known else 0.1,
            tolerant=True,
        )
        for document in order.documents
    ]
    writing = asyncio.gather(*(author.write_until(stopping) for author in authors))
    await link.commands.get()
    stopping.set()
    await writing
    await asyncio.gather(*(author.finish(FLUSH_SECONDS) for author in authors))
    link.phase("flushed")


async def begin(order: Crowd, link: Link) -> None:
    """Write the first mark of each document into the bucket, so that all build upon it."""
    for document in order.documents:
        author = Author(
            link, document, order.author, order.setup.config(), random.Random(0), order.pace
        )
        await author.write_one()


def watch_conflicts(link: Link) -> None:
    """Report every checkpoint that met another writer's version."""
    plain = Archive.save

    async def save(*args: object, **kwargs: object) -> WriteResult:
        saved: WriteResult = await plain(*args, **kwargs)  # type: ignore[arg-type]
        if saved.merged:
            link.count("conflicts")
            link.count("merged", len(saved.merged))
        return saved

    Archive.save = save  # type: ignore[method-assign]
