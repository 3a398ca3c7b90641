"""Inside a process under test: authors who write documents through stores, and never tire."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pycrdt
from pycrdt.store import YDocNotFound
from traitlets.config import Config

from bookstore_y.errors import BookstoreError
from bookstore_y.store import S3YStore

from ..servers import S3Server, s3_options
from .read_back import ROOT
from .worker import Link


@dataclass(frozen=True)
class Setup:
    """Where and how stores keep their documents."""

    server: S3Server
    bucket: str
    settings: dict[str, Any] = field(default_factory=dict)
    """Traits of `BookstoreSettings` besides those that reach the bucket."""
    store: dict[str, Any] = field(default_factory=dict)
    """Traits of `S3YStore`."""

    def config(self) -> Config:
        return Config(
            {
                "BookstoreSettings": {**s3_options(self.server, self.bucket), **self.settings},
                "S3YStore": self.store,
            }
        )


@dataclass(frozen=True)
class Pace:
    """How an author writes; each is a range to choose from."""

    burst: tuple[int, int]
    """Updates between two pauses."""
    pause: tuple[float, float]
    """Seconds."""
    bursts: tuple[int, int]
    """Bursts until the store is closed and opened anew."""


class Typist:
    """Someone who puts marks at the end of a document of their own."""

    def __init__(self, author: str, first: int = 0) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.text = self.doc.get(ROOT, type=pycrdt.Text)
        self._author = author
        self._next = first
        self._updates: list[bytes] = []

    def ready(self) -> None:
        """What comes into the document from now on is what is typed."""
        self._subscription = self.doc.observe(lambda event: self._updates.append(event.update))

    def type(self) -> tuple[str, bytes]:
        """Put the next mark at the end. Returns it with the update."""
        mark = f"{self._author}{self._next}"
        self._next += 1
        self._updates.clear()
        self.text += f"{mark};"
        (update,) = self._updates
        return mark, update


class Author:
    """Writes one document through stores that it opens and closes, until told to stop."""

    def __init__(
        self,
        link: Link,
        document: str,
        name: str,
        config: Config,
        chance: random.Random,
        pace: Pace,
        *,
        known: bool = False,
        show: float = 0.0,
        tolerant: bool = False,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """`known` says that the document has acknowledged updates. `show` is how often what it
        says when opened is reported. `tolerant` means that the bucket is allowed to fail."""
        self._link = link
        self._document = document
        self._name = name
        self._config = config
        self._chance = chance
        self._pace = pace
        self._known = known
        self._show = show
        self._tolerant = tolerant
        self._written = written
        self._count = 0

    async def write_until(self, stopping: asyncio.Event) -> None:
        """Write until `stopping`; then see all of it into the bucket."""
        while not stopping.is_set():
            await self._session(stopping)

    async def write_one(self) -> None:
        """Write one mark and see it into the bucket. Raises `BookstoreError`."""
        async with self.store() as store:
            typist = Typist(self._name)
            typist.ready()
            mark, update = typist.type()
            await store.write(update)
            await store.checkpoint()
            self._link.acknowledge(self._document, mark)

    async def finish(self, seconds: float) -> None:
        """Open and close the document, trying again until all of it was checkpointed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            try:
                async with self.store():
                    pass
                return
            except BookstoreError as error:
                if loop.time() > deadline:
                    self._link.wrong(f"{self._document} was not flushed: {error}")
                    return
            await asyncio.sleep(0.1)

    def store(self) -> S3YStore:
        """A store of the document, not open yet."""
        return S3YStore(self._document, config=self._config)

    async def _session(self, stopping: asyncio.Event) -> None:
        try:
            async with self.store() as store:
                typist = await self._load(store)
                if typist is not None:
                    await self._type(store, typist, stopping)
        except BookstoreError as error:  # what kept it from the bucket; it is still in the buffer
            if not self._tolerant:
                self._link.wrong(f"{self._document} was not stored: {error}")
            await asyncio.sleep(self._chance.uniform(0.0, 0.2))

    async def _load(self, store: S3YStore) -> Typist | None:
        typist = Typist(self._name, self._count)
        try:
            await store.apply_updates(typist.doc)
        except YDocNotFound as error:
            if self._known:
                self._link.wrong(f"{self._document} was not found: {error}")
                return None
        except BookstoreError as error:
            self._link.count("refused")
            if not self._tolerant:
                self._link.wrong(f"{self._document} could not be opened: {error}")
            await asyncio.sleep(self._chance.uniform(0.0, 0.2))
            return None
        self._link.count("opened")
        typist.ready()
        if self._known and self._chance.random() < self._show:
            if store.entry is not None and store.entry.pending:
                self._link.count("behind")
            self._link.says(self._document, str(typist.text))
        return typist

    async def _type(self, store: S3YStore, typist: Typist, stopping: asyncio.Event) -> None:
        if self._chance.random() < 0.3:  # someone who reads for a while, before writing
            await asyncio.sleep(self._chance.uniform(*self._pace.pause))
        for _ in range(self._chance.randint(*self._pace.bursts)):
            for _ in range(self._chance.randint(*self._pace.burst)):
                mark, update = typist.type()
                self._count += 1
                await store.write(update)
                self._link.acknowledge(self._document, mark)
                self._known = True
                self._written()
            await asyncio.sleep(self._chance.uniform(*self._pace.pause))
            if stopping.is_set():
                return
