"""Whatever happens in whatever order, an update that was acknowledged is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pycrdt
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
from pycrdt.store import YDocNotFound
from traitlets.config import Config

from bookstore_y import BookstoreSettings, S3YStore
from bookstore_y.buffer.records import DocumentRecord
from bookstore_y.buffer.sqlite_file import files_of, move, remove
from bookstore_y.errors import BookstoreError
from bookstore_y.replication import health, invariants
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.replication.document_view import Name
from bookstore_y.replication.invariants import check_invariants
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.requests import Requests
from bookstore_y.ydoc.frame import decompress
from harness.servers import S3Server, connect

from .support import Outage, Refusals, Typist, config_for

T = TypeVar("T")

STEP_SECONDS = 30.0
"""Longest that any one step may take."""

CLIENTS = 3
SERVERS = 2
IN_FILE = 1
"""The server whose buffer is in a file."""


class Stall:
    """Keeps one server's writes to the bucket from ever ending: before they land, or after."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bucket: Bucket | None = None
        self.when = ""
        self.reached = asyncio.Event()
        call = Requests.call

        async def stalling(requests: Requests, what: str, request: Any) -> Any:
            writes = self._is_ours(requests) and what.startswith("write")
            if writes and self.when == "before":
                await self._stall()
            answer = await call(requests, what, request)
            if writes and self.when == "after":
                await self._stall()
            return answer

        patch.setattr(Requests, "call", stalling)

    def _is_ours(self, requests: Requests) -> bool:
        return self.bucket is not None and requests is self.bucket.requests

    async def _stall(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


class Server:
    """A server with a disk and a buffer of its own, and its store of the document while open."""

    def __init__(self, config: Config, disk: Path, *, in_file: bool) -> None:
        self.disk = disk
        self.store: S3YStore | None = None
        self._file = disk / "buffer.db"
        self._config = Config(config)
        self._config.S3YStore = Config(
            {**config.S3YStore, "recovery_dir": str(disk / "recovery")},
            **({"db_path": str(self._file)} if in_file else {}),
        )

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
        store = S3YStore(path, config=self._config)
        await store.start(from_context_manager=True)
        self.store = store

    async def close(self) -> None:
        """What cannot be written stays in the buffer's file, or in a recovery file."""
        store, self.store = self.opened, None
        store._task_group = _NoTasks()  # type: ignore[assignment]
        with contextlib.suppress(BookstoreError):
            await store.stop()

    async def delete(self, path: str, *, closed: bool) -> None:
        """Have the document's file deleted, after closing it or before."""
        checkpointer = self.checkpointer
        async with checkpointer:
            if closed:
                await self.close()
            await checkpointer.path_changes.delete(path)
            assert await checkpointer.flush(STEP_SECONDS) == {}
            if not closed:
                await self.close()

    async def crash(self, stall: Stall, when: str) -> None:
        """Be gone as after a SIGKILL, with what the file holds at this moment.

        `when` may say that this is before or after a checkpoint lands in the bucket.
        """
        checkpointer = self.checkpointer
        stall.bucket, stall.when = checkpointer.archive.bucket, when
        stall.reached.clear()
        checkpoint = asyncio.ensure_future(self.opened.checkpoint() if when else asyncio.sleep(0))
        stalled = asyncio.ensure_future(stall.reached.wait())
        await asyncio.wait([checkpoint, stalled], return_when=asyncio.FIRST_COMPLETED)
        left = self.disk / "left.db"
        await checkpointer.buffer._run(lambda db: _copy(self._file, left), False)

        # What follows only tidies up: whatever it does to the file is undone.
        for task in (checkpoint, stalled):
            task.cancel()
        await asyncio.gather(checkpoint, stalled, return_exceptions=True)
        self.store = None
        await checkpointer.__aexit__()
        stall.bucket = None
        remove(self._file)
        move(left, self._file)

    async def held(self) -> list[bytes]:
        """All updates of the document in its buffer, or on its disk while it is not running."""
        if self.store is None:
            return [update for file in self.disk.rglob("*.db") for update in _updates_in(file)]
        checkpointer = self.checkpointer
        entries = [*checkpointer.entries.values(), *checkpointer.path_changes.displaced]
        held = [await checkpointer.buffer.read(each.id) for each in entries if not each.deleted]
        return [update for each in held for update in each.updates()]

    async def check(self) -> None:
        """See that the state of each document is one that there may be, and that the buffer says
        the same as soon as nothing is on its way there."""
        checkpointer = self.checkpointer
        registered = checkpointer.entries.items()
        assert all(entry.document == document for document, entry in registered)
        assert not [entry for _, entry in registered if entry.name is Name.DISPLACED]
        displaced = checkpointer.path_changes.displaced
        assert all(entry.name is Name.DISPLACED for entry in displaced)
        entries = [*checkpointer.entries.values(), *displaced]
        assert len({entry.id for entry in entries}) == len(entries)
        for entry in entries:
            check_invariants(entry)
            await self._check_buffered(entry)

    async def _check_buffered(self, entry: DocumentState) -> None:
        buffer = self.checkpointer.buffer
        for _ in range(100):
            if entry.lock.locked() or entry.writing.locked():
                return  # it is being changed
            before = entry.pending, entry.has_base, entry.facts
            held = await buffer.read(entry.id)
            (text,) = await buffer._run(
                lambda db: db.execute(
                    "SELECT facts FROM documents WHERE id = ?", (entry.id,)
                ).fetchone()
            )
            kept = len(held.pending), held.base is not None, DocumentRecord.from_json(text)
            if kept == before:
                return
            await asyncio.sleep(0.01)
        assert kept == before

    @property
    def has_to_write(self) -> bool:
        """Whether the bucket has not all that is in its buffer."""
        return self.checkpointer._unarchived()

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


def _copy(file: Path, target: Path) -> None:
    for each in files_of(file):
        shutil.copy(each, target.with_name(target.name + each.name.removeprefix(file.name)))


def _updates_in(file: Path) -> list[bytes]:
    """The updates in a buffer file, which stays as it is; not those of a deleted document."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "copy.db"
        _copy(file, copy)
        with closing(sqlite3.connect(copy)) as db:
            rows = db.execute(
                "SELECT data FROM (SELECT document, data FROM bases UNION ALL "
                "SELECT document, data FROM updates) JOIN documents ON id = document "
                "WHERE NOT coalesce(json_extract(facts, '$.deleted'), 0)"
            )
            return [data for (data,) in rows]


class World:
    """What outlives a run of the machine: the loop, the bucket and the way to it."""

    def __init__(
        self, server: S3Server, bucket: str, directory: Path, patch: pytest.MonkeyPatch
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.outage = Outage(patch)
        self.refusals = Refusals(patch)
        self.stall = Stall(patch)
        self.runs = itertools.count()
        self._s3 = connect(server)
        self._bucket = bucket
        self._config = config_for(server, bucket, history_updates=3)
        self._directory = directory
        self._kept_open = Bucket(BookstoreSettings(config=self._config))
        self.run(self._kept_open.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, STEP_SECONDS))

    def servers(self, run: int) -> list[Server]:
        """One with its buffer in memory, and one with its buffer in a file."""
        return [
            Server(self._config, self._directory / f"{run}-{number}", in_file=number == IN_FILE)
            for number in range(SERVERS)
        ]

    def archived(self, path: str) -> list[bytes]:
        """The current snapshot, as plain boto3 sees it; nothing if there is none."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self.key(path))
        except self._s3.exceptions.NoSuchKey:
            return []
        return [decompress(answer["Body"].read(), 2**30)]

    def versions(self, path: str, former: set[str]) -> dict[str, bytes]:
        """Version id -> snapshot, of all but the former there are, also where it was deleted."""
        key = self.key(path)
        listed = self._s3.list_object_versions(Bucket=self._bucket, Prefix=key)
        ids = {each["VersionId"] for each in listed.get("Versions", []) if each["Key"] == key}
        answers = {
            each: self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=each)
            for each in ids - former
        }
        return {each: decompress(answers[each]["Body"].read(), 2**30) for each in answers}

    def key(self, path: str) -> str:
        """Where its snapshots are."""
        return f"workspace/{path}.y.zst"

    def close(self) -> None:
        self.run(self._kept_open.__aexit__())
        self._s3.close()
        self.loop.close()


class Acknowledged:
    """What the servers have acknowledged: the document as it has to be."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.restored = False
        self._document = Typist()

    def add(self, update: bytes) -> None:
        self._document.receive(update)

    def is_all_in(self, updates: Iterable[bytes]) -> None:
        """See that these updates make the very document: no edit is missing, and none is there
        that nobody made, as of a history that was begun anew."""
        found = Typist(*updates)
        assert _clocks(found) == _clocks(self._document)
        assert str(found) == str(self._document)
        if not self.restored:  # which takes words away, and may bring some back twice
            assert Counter(str(found)[1:-1].split("><")) == Counter(
                word[1:-1] for word in self.words
            )


def _clocks(typist: Typist) -> dict[int, int]:
    """Client id -> number of its operations."""
    decoder = pycrdt.Decoder(typist.doc.get_state())
    return {
        decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())
    }


def _replace(typist: Typist, text: str) -> bytes:
    """Have the document say `text`, by new edits. Returns the update."""
    before = typist.doc.get_state()
    with typist.doc.transaction():
        typist.text.clear()
        typist.text += text
    return typist.doc.get_update(before)


def machine_in(world: World) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """Clients type through two servers that share a bucket; things go wrong meanwhile.

        Left out, since two servers do not tell each other of files: a rename or a deletion while
        one of them is closed, which it would not hear of, and a deletion while the bucket is
        down, which the slower one would follow when there is a new document of that name. Left
        out, since no more is promised: a crash of the server whose buffer is in memory.
        """

        def __init__(self) -> None:
            super().__init__()
            run = next(world.runs)
            self.path = f"run-{run}"
            self.paths = [self.path]
            self.servers = world.servers(run)
            self.words = (f"<{number}>" for number in itertools.count())
            self.former: set[str] = set()
            """Versions of documents of that name that were deleted."""
            self.down = False
            self.refused = ""

        @initialize()
        def begin(self) -> None:
            """The document has one history from the start: what builds on nothing is another."""
            self.acknowledged = Acknowledged()
            self.clients = [Typist() for _ in range(CLIENTS)]
            world.run(self.servers[0].open(self.path))
            self._write(0, 0)
            assert world.run(self.servers[0].checkpointer.flush(STEP_SECONDS)) == {}
            for client in self.clients:
                client.receive(*world.archived(self.path))
            world.run(self.servers[1].open(self.path))

        def _write(self, client: int, server: int) -> None:
            word = next(self.words)
            update = self.clients[client].type(word)
            world.run(self.servers[server].opened.write(update))
            self.acknowledged.add(update)
            self.acknowledged.words.append(word)

        def _checkpoint(self, server: int) -> None:
            with self._excused():
                world.run(self.servers[server].opened.checkpoint())

        def _is_open(self, server: int) -> bool:
            return self.servers[server].store is not None

        def _all_open(self) -> bool:
            return all(server.store is not None for server in self.servers)

        def _has_refused(self) -> bool:
            """Whether a rename has not been followed, of which the other server may know."""
            running = [server for server in self.servers if server.store is not None]
            return any(server.checkpointer.path_changes.waiting for server in running)

        def _is_worth_deleting(self) -> bool:
            return len(self.acknowledged.words) > 5

        def _excused(self) -> contextlib.suppress:
            """What asks the bucket may fail while it is down, or when its answer gets lost."""
            excused = self.down or world.outage.lose_answer or self.refused == "read"
            return contextlib.suppress(*[BookstoreError] if excused else [])

        @rule(
            client=st.integers(0, CLIENTS - 1),
            server=st.integers(0, SERVERS - 1),
            count=st.integers(1, 4),
            archived=st.booleans(),
        )
        def types(self, client: int, server: int, count: int, archived: bool) -> None:
            if self._is_open(server):
                for _ in range(count):
                    self._write(client, server)
                if archived:  # at once, since most that goes wrong takes several versions
                    self._checkpoint(server)

        @rule(client=st.integers(0, CLIENTS - 1), server=st.integers(0, SERVERS - 1))
        def reads(self, client: int, server: int) -> None:
            if self._is_open(server):
                # The document exists, so YDocNotFound would be a lie.
                with self._excused():
                    world.run(self.servers[server].opened.apply_updates(self.clients[client].doc))

        @rule(server=st.integers(0, SERVERS - 1))
        def checkpoint(self, server: int) -> None:
            if self._is_open(server):
                self._checkpoint(server)

        @rule(server=st.integers(0, SERVERS - 1))
        def evict(self, server: int) -> None:
            if self._is_open(server):
                world.run(self.servers[server].evict())

        @rule(server=st.integers(0, SERVERS - 1))
        def close(self, server: int) -> None:
            if self._is_open(server):
                world.run(self.servers[server].close())

        @precondition(lambda self: self._is_open(IN_FILE))
        @rule(when=st.sampled_from(["", "before", "after"]))
        def crash(self, when: str) -> None:
            world.run(self.servers[IN_FILE].crash(world.stall, when))

        @precondition(lambda self: not self._all_open())
        @rule()
        def open(self) -> None:
            for server in self.servers:
                if server.store is None:
                    world.run(server.open(self.path))

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

        @precondition(lambda self: not self.refused)
        @rule(request=st.sampled_from(["delete", "copy", "read"]))
        def refuses(self, request: str) -> None:
            """As where a policy denies it, or the current object has gone to GLACIER: renames are
            set aside, and the document goes on under its new name."""
            self.refused = request
            former = f" '{world.key(self.path)}'" if request == "read" else ""
            world.refusals.of(f"{request}{former}")

        @precondition(lambda self: self.refused and not self.down)
        @rule()
        def allows(self) -> None:
            self.refused = ""
            world.refusals.of()
            for server in self.servers:
                if server.store is not None:
                    world.run(server.checkpointer.path_changes.try_again())

        @rule()
        def loses_an_answer(self) -> None:
            world.outage.lose_answer = True

        @precondition(lambda self: self._all_open())
        @rule()
        def rename(self) -> None:
            source, self.path = self.path, f"{self.paths[0]}-{len(self.paths)}"
            self.paths.append(self.path)
            for server in self.servers:
                world.run(server.checkpointer.path_changes.rename(source, self.path))

        @precondition(lambda self: not self.down)
        @rule(
            client=st.integers(0, CLIENTS - 1),
            server=st.integers(0, SERVERS - 1),
            age=st.integers(0, 5),
        )
        def restore(self, client: int, server: int, age: int) -> None:
            """What an old version says becomes new edits on top of what there is."""
            if not self._is_open(server):
                return
            store, typist = self.servers[server].opened, self.clients[client]
            with self._excused():
                versions = world.run(store.versions())
                if not versions:
                    return  # a rename that is still to be followed
                version_id = versions[age % len(versions)].version_id
                old = Typist()
                world.run(store.apply_version(old.doc, version_id))
                world.run(store.apply_updates(typist.doc))
                update = _replace(typist, str(old))
                world.run(store.write(update))
                self.acknowledged.add(update)
                self.acknowledged.restored = True
                version, new = world.run(store.checkpoint_as(f"restore:{version_id}"))
                assert not new or version.origin == f"restore:{version_id}"

        @precondition(lambda self: self._all_open() and not self.down and self._is_worth_deleting())
        @precondition(lambda self: not self.refused and not self._has_refused())
        @rule(closed=st.booleans())
        def delete(self, closed: bool) -> None:
            """The bucket keeps all that was acknowledged; a new file is another document."""
            for server in self.servers:
                world.run(server.delete(self.path, closed=closed))
            assert world.archived(self.path) == []
            versions: dict[str, bytes] = {}
            for path in self.paths:
                versions |= world.versions(path, self.former)
            self.acknowledged.is_all_in(versions.values())
            self.former |= versions.keys()
            for server in self.servers:
                world.run(server.open(self.path))
                with pytest.raises(YDocNotFound):
                    world.run(server.opened.apply_updates(pycrdt.Doc()))
                world.run(server.close())
            self.begin()

        @invariant()
        def nothing_is_lost(self) -> None:
            """It is in the bucket, in a buffer, or in a file that a stopped server left."""
            # The buffers first: a checkpoint may end in between, and nothing goes the other way.
            known = [update for server in self.servers for update in world.run(server.held())]
            known += [update for path in self.paths for update in world.archived(path)]
            self.acknowledged.is_all_in(known)

        @invariant()
        def every_state_is_one_that_there_may_be(self) -> None:
            for server in self.servers:
                if server.store is not None:
                    world.run(server.check())

        @invariant()
        def the_bucket_has_what_nobody_has_to_write(self) -> None:
            if self._all_open() and not any(server.has_to_write for server in self.servers):
                self.acknowledged.is_all_in(world.archived(self.path))

        def teardown(self) -> None:
            """When all is well again, the bucket's current version alone has all of it."""
            world.outage.end()
            world.refusals.of()
            world.outage.lose_answer = False
            try:
                for server in self.servers:
                    if server.store is None:
                        world.run(server.open(self.path))
                for server in self.servers:
                    assert world.run(server.checkpointer.path_changes.try_again()) == []
                for server in self.servers:
                    assert world.run(server.checkpointer.flush(STEP_SECONDS)) == {}
                self.acknowledged.is_all_in(world.archived(self.path))
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
    monkeypatch.setattr(invariants, "CHECKED", True)
    world = World(moto_server, moto_bucket, tmp_path, monkeypatch)
    yield world
    world.close()


QUICKLY = settings(
    max_examples=20,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(600)
def test_no_acknowledged_update_is_ever_lost(world: World) -> None:
    run_state_machine_as_test(machine_in(world), settings=QUICKLY)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_acknowledged_update_is_ever_lost_in_runs_never_tried_before(world: World) -> None:
    thoroughly = settings(
        QUICKLY, max_examples=50, stateful_step_count=30, derandomize=False, print_blob=True
    )
    run_state_machine_as_test(machine_in(world), settings=thoroughly)
