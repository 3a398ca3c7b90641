"""Whatever happens in whatever order, an update that was acknowledged is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from traitlets.config import Config

from bookstore_y import BookstoreSettings, S3YStore, health
from bookstore_y.bucket import Bucket
from bookstore_y.checkpointer import Checkpointer
from bookstore_y.errors import BookstoreError
from bookstore_y.snapshot import decompress

from .servers import S3Server, connect
from .support import Outage, Typist, config_for, text_of

T = TypeVar("T")

STEP_SECONDS = 30.0
"""Longest that any one step may take."""

CLIENTS = 3
SERVERS = 2


class Server:
    """A server with a buffer of its own, and its store of the document while that is open."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store: S3YStore | None = None

    @property
    def opened(self) -> S3YStore:
        assert self.store is not None
        return self.store

    @property
    def checkpointer(self) -> Checkpointer:
        found = self.opened._checkpointer
        assert found is not None
        return found

    async def open(self, path: str) -> None:
        store = S3YStore(path, config=self.config)
        await store.start(from_context_manager=True)
        self.store = store

    async def close(self) -> None:
        """What cannot be written stays in the buffer."""
        store, self.store = self.opened, None
        store._task_group = _NoTasks()  # type: ignore[assignment]
        with contextlib.suppress(BookstoreError):
            await store.stop()

    async def held(self) -> list[bytes]:
        """What the buffer holds of the document, asking no bucket."""
        entry = self.opened.entry
        assert entry is not None
        return (await self.checkpointer.buffer.read(entry.id)).updates()

    async def evict(self) -> None:
        entry = self.opened.entry
        assert entry is not None
        await self.checkpointer._evict(entry)


class _NoTasks:
    """Stands for the task group of `async with`, which cannot span the steps of a machine."""

    class cancel_scope:
        @staticmethod
        def cancel() -> None:
            return


class World:
    """What outlives a run of the machine: the loop, the bucket and the way to it."""

    def __init__(self, server: S3Server, bucket: str, directory: Path, outage: Outage) -> None:
        self.loop = asyncio.new_event_loop()
        self.outage = outage
        self.runs = itertools.count()
        self._s3 = connect(server)
        self._bucket = bucket
        self.config = config_for(server, bucket, history_updates=3)
        self._directory = directory
        self._kept_open = Bucket(BookstoreSettings(config=self.config))
        self.run(self._kept_open.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, STEP_SECONDS))

    def servers(self, run: int) -> list[Server]:
        """One with its buffer in memory, and one with its buffer in a file."""
        in_file = Config(self.config)
        in_file.S3YStore = Config(
            {**self.config.S3YStore, "db_path": str(self._directory / f"{run}.db")}
        )
        return [Server(self.config), Server(in_file)]

    def archived(self, path: str) -> list[bytes]:
        """The current snapshot, as plain boto3 sees it."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"workspace/{path}.y.zst")
        except self._s3.exceptions.NoSuchKey:
            return []
        return [decompress(answer["Body"].read(), 2**30)]

    def close(self) -> None:
        self.run(self._kept_open.__aexit__())
        self._s3.close()
        self.loop.close()


def machine_in(world: World) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """Clients type through two servers that share a bucket; things go wrong meanwhile.

        Left out: renames while a server is closed, which it could not hear of, and while the
        bucket is down, which both would follow at once when it is back. `test_checkpointer` has
        the latter.
        """

        def __init__(self) -> None:
            super().__init__()
            run = next(world.runs)
            self.path = f"run-{run}"
            self.paths = [self.path]
            self.servers = world.servers(run)
            self.clients = [Typist() for _ in range(CLIENTS)]
            self.words = (f"<{number}>" for number in itertools.count())
            self.acknowledged: list[str] = []
            self.down = False

        def _write(self, client: int, server: int) -> None:
            word = next(self.words)
            world.run(self.servers[server].opened.write(self.clients[client].type(word)))
            self.acknowledged.append(word)

        @initialize()
        def begin(self) -> None:
            """The document has one history from the start: what builds on nothing is another."""
            world.run(self.servers[0].open(self.path))
            self._write(0, 0)
            world.run(self.servers[0].opened.checkpoint())
            first = world.archived(self.path)
            for client in self.clients:
                client.receive(*first)
            world.run(self.servers[1].open(self.path))

        def _is_open(self, server: int) -> bool:
            return self.servers[server].store is not None

        def _all_open(self) -> bool:
            return all(server.store is not None for server in self.servers)

        @rule(
            client=st.integers(0, CLIENTS - 1),
            server=st.integers(0, SERVERS - 1),
            count=st.integers(1, 4),
        )
        def types(self, client: int, server: int, count: int) -> None:
            if self._is_open(server):
                for _ in range(count):
                    self._write(client, server)

        @rule(client=st.integers(0, CLIENTS - 1), server=st.integers(0, SERVERS - 1))
        def reads(self, client: int, server: int) -> None:
            if self._is_open(server):
                # The document exists, so YDocNotFound would be a lie.
                with contextlib.suppress(*[BookstoreError] if self.down else []):
                    world.run(self.servers[server].opened.apply_updates(self.clients[client].doc))

        @rule(server=st.integers(0, SERVERS - 1))
        def checkpoint(self, server: int) -> None:
            if self._is_open(server):
                excused = self.down or world.outage.lose_answer
                with contextlib.suppress(*[BookstoreError] if excused else []):
                    world.run(self.servers[server].opened.checkpoint())

        @rule(server=st.integers(0, SERVERS - 1))
        def evict(self, server: int) -> None:
            if self._is_open(server):
                world.run(self.servers[server].evict())

        @rule(server=st.integers(0, SERVERS - 1))
        def close(self, server: int) -> None:
            if self._is_open(server):
                world.run(self.servers[server].close())

        @rule(server=st.integers(0, SERVERS - 1))
        def open(self, server: int) -> None:
            if not self._is_open(server):
                world.run(self.servers[server].open(self.path))

        @precondition(lambda self: not self.down)
        @rule()
        def goes_down(self) -> None:
            world.outage.begin()
            self.down = True

        @precondition(lambda self: self.down)
        @rule()
        def comes_back(self) -> None:
            world.outage.end()
            self.down = False

        @rule()
        def loses_an_answer(self) -> None:
            world.outage.lose_answer = True

        @precondition(lambda self: self._all_open() and not self.down)
        @rule()
        def rename(self) -> None:
            source, self.path = self.path, f"{self.paths[0]}-{len(self.paths)}"
            self.paths.append(self.path)
            for server in self.servers:
                world.run(server.checkpointer.moves.rename(source, self.path))
                world.run(server.checkpointer.flush(STEP_SECONDS))

        @invariant()
        def nothing_is_lost(self) -> None:
            if not self.acknowledged or not self._all_open():
                return
            known = [update for path in self.paths for update in world.archived(path)]
            for server in self.servers:
                known += world.run(server.held())
            self._has_all(text_of(known))

        def _has_all(self, text: str) -> None:
            assert sorted(text[1:-1].split("><")) == sorted(
                word[1:-1] for word in self.acknowledged
            )

        def teardown(self) -> None:
            world.outage.end()
            world.outage.lose_answer = False
            try:
                for server in self.servers:
                    if server.store is None and self.acknowledged:
                        world.run(server.open(self.path))
                if self.acknowledged:
                    for server in self.servers:
                        assert world.run(server.checkpointer.flush(STEP_SECONDS)) == {}
                    self._has_all(text_of(world.archived(self.path)))
            finally:
                for server in self.servers:
                    if server.store is not None:
                        world.run(server.close())

    return Machine


@pytest.fixture
def world(
    moto_server: S3Server,
    moto_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setattr(health, "RETRY_CAP", 0.05)
    world = World(moto_server, moto_bucket, tmp_path, Outage(monkeypatch))
    yield world
    world.close()


def test_no_acknowledged_update_is_ever_lost(world: World) -> None:
    run_state_machine_as_test(
        machine_in(world),
        settings=settings(
            max_examples=50,
            stateful_step_count=25,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
