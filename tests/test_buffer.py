"""The buffer keeps every update, in order, until it is told that the bucket has it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.records import DocumentRecord, Row
from bookstore_y.buffer.sqlite_file import FORMAT, DamagedBuffer, NewerBuffer
from bookstore_y.errors import UpdateBufferError
from bookstore_y.keys import Document

Open = Callable[[], Buffer]

DOCUMENT = Document("notes.ipynb", "notebook")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "buffer.db")


@pytest.fixture
def buffers(path: str) -> Iterator[Open]:
    """Opens the buffer at `path`; the test's last one is closed at its end."""
    opened: list[Buffer] = []

    def open_again() -> Buffer:
        while opened:
            opened.pop().close()
        opened.append(Buffer(path))
        return opened[-1]

    yield open_again
    while opened:
        opened.pop().close()


@pytest.fixture(params=["memory", "file"])
def buffer(request: pytest.FixtureRequest, path: str) -> Iterator[Buffer]:
    buffer = Buffer(":memory:" if request.param == "memory" else path)
    yield buffer
    buffer.close()


async def add(buffer: Buffer, document: Document, facts: DocumentRecord) -> int:
    """Take a document in. Returns its id."""
    new = buffer.new_id()
    await buffer.add(new, document, facts)
    return new


async def append(buffer: Buffer, document: int, *updates: bytes) -> int:
    """Append until durable. Returns the last sequence number."""
    seq = 0
    for update in updates:
        seq, durable = buffer.append(document, update, b"", 1.0)
        if durable is not None:
            await durable
    return seq


async def held(buffer: Buffer, document: int) -> list[bytes]:
    return (await buffer.read(document)).updates()


async def pending(buffer: Buffer, document: int) -> list[bytes]:
    return [row.data for row in (await buffer.read(document)).pending]


async def test_updates_come_back_in_order_with_metadata_and_time(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    other = await add(buffer, Document("other"), DocumentRecord())

    for number in range(50):
        buffer.append(document, b"%d" % number, b"m%d" % number, 1000.5 + number)
        buffer.append(other, b"another's", b"", 0.0)
    rows = (await buffer.read(document)).rows

    assert [row.data for row in rows] == [b"%d" % number for number in range(50)]
    assert [row.metadata for row in rows] == [b"m%d" % number for number in range(50)]
    assert [row.timestamp for row in rows] == [1000.5 + number for number in range(50)]
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})


async def test_a_read_sees_an_append_that_nobody_has_awaited(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())

    _, durable = buffer.append(document, b"at once", b"", 1.0)

    assert await held(buffer, document) == [b"at once"]
    assert (durable is not None) == buffer.durable


async def test_metadata_may_come_late(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    first, _ = buffer.append(document, b"one", b"", 1.0)
    buffer.append(document, b"two", b"own", 1.0)

    await buffer.set_metadata(first, b"late")

    assert [row.metadata for row in (await buffer.read(document)).rows] == [b"late", b"own"]


async def test_what_arrives_during_a_put_stays_pending(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    await append(buffer, document, b"one", b"two")
    put = (await buffer.read(document)).pending[-1].seq
    await append(buffer, document, b"three")

    await buffer.mark_persisted(document, put, DocumentRecord(version_id="v1"))

    assert await pending(buffer, document) == [b"three"]
    assert await held(buffer, document) == [b"one", b"two", b"three"]
    assert buffer.known()[0].facts == DocumentRecord(version_id="v1")


async def test_an_older_acknowledgement_takes_nothing_back(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    first = await append(buffer, document, b"one")
    second = await append(buffer, document, b"two")

    await buffer.mark_persisted(document, second, DocumentRecord())
    await buffer.mark_persisted(document, first, DocumentRecord())

    assert await pending(buffer, document) == []


async def test_folding_replaces_the_oldest_updates_by_a_base(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    seq = await append(buffer, document, b"one", b"two")
    last = await append(buffer, document, b"three")
    await buffer.mark_persisted(document, last, DocumentRecord())

    await buffer.mark_persisted(document, 0, DocumentRecord(), Row(seq, b"one+two", b"meta", 7.0))
    now = await buffer.read(document)

    assert now.updates() == [b"one+two", b"three"]
    assert now.base is not None
    assert (now.base.metadata, now.base.timestamp) == (b"meta", 7.0)


async def test_folding_never_takes_a_pending_update(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    first = await append(buffer, document, b"one")
    second = await append(buffer, document, b"two")
    await buffer.mark_persisted(document, first, DocumentRecord())

    await buffer.mark_persisted(document, 0, DocumentRecord(), Row(second, b"base", b"", 7.0))

    assert await held(buffer, document) == [b"base", b"two"]
    assert await pending(buffer, document) == [b"two"]


async def test_a_base_is_read_before_the_updates(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    await append(buffer, document, b"update")

    await buffer.set_base(document, b"from the bucket", 5.0, DocumentRecord())

    assert await held(buffer, document) == [b"from the bucket", b"update"]


async def test_evicting_refuses_what_is_pending(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    seq = await append(buffer, document, b"one")
    await buffer.mark_persisted(document, seq, DocumentRecord())
    await append(buffer, document, b"two")

    assert not await buffer.evict(document)
    assert await held(buffer, document) == [b"one", b"two"]


async def test_evicting_forgets_the_document(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    other = await add(buffer, Document("other"), DocumentRecord())
    await buffer.set_base(document, b"base", 1.0, DocumentRecord())
    await append(buffer, other, b"another's")
    seq = await append(buffer, document, b"one")
    await buffer.mark_persisted(document, seq, DocumentRecord())

    assert await buffer.evict(document)

    assert (await buffer.read(document)).empty
    assert [known.document for known in buffer.known()] == [Document("other")]
    assert await held(buffer, other) == [b"another's"]


async def test_evicting_can_keep_what_is_known_of_the_document(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    seq = await append(buffer, document, b"one")
    await buffer.mark_persisted(document, seq, DocumentRecord(version_id="v1"))

    assert await buffer.evict(document, keep=True)

    assert (await buffer.read(document)).empty
    assert buffer.known()[0].facts.version_id == "v1"
    await append(buffer, document, b"two")
    assert await pending(buffer, document) == [b"two"]


async def test_evicting_gives_the_space_back(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    seq = await append(buffer, document, *[bytes(100_000)] * 20)
    await buffer.mark_persisted(document, seq, DocumentRecord())
    full = buffer.size()

    await buffer.evict(document)

    assert full > 2_000_000
    assert buffer.size() < 100_000


async def test_what_is_known_lists_documents_with_what_is_pending(buffer: Buffer) -> None:
    facts = DocumentRecord("lineage", "version", "etag", "file id", ["hash"], "saving")
    document = await add(buffer, DOCUMENT, facts)
    await add(buffer, Document("plain"), DocumentRecord())
    seq, _ = buffer.append(document, b"one", b"", 10.0)
    buffer.append(document, b"two", b"", 20.0)
    buffer.append(document, b"three", b"", 30.0)
    await buffer.mark_persisted(document, seq, facts)

    first, second = buffer.known()

    assert (first.document, first.facts) == (DOCUMENT, facts)
    assert (first.pending, first.pending_bytes, first.newest) == (2, 8, 30.0)
    assert (second.document, second.pending, second.newest) == (Document("plain"), 0, 0.0)


async def test_a_document_can_move_and_its_facts_change(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    await append(buffer, document, b"one")

    await buffer.set_document(document, Document("moved.ipynb", "notebook"))
    await buffer.set_facts(document, DocumentRecord(etag="new"))

    (known,) = buffer.known()
    assert (known.document.path, known.facts.etag, known.pending) == ("moved.ipynb", "new", 1)


async def test_moves_are_kept_in_order_until_removed(buffer: Buffer) -> None:
    first = await buffer.add_move("a", "b")
    second = await buffer.add_move("b", None, [7])
    assert [(m.id, m.source, m.target, m.documents) for m in buffer.moves()] == [
        (first, "a", "b", []),
        (second, "b", None, [7]),
    ]

    await buffer.remove_move(first)

    assert [move.id for move in buffer.moves()] == [second]


# -- files -----------------------------------------------------------------------------------------


async def test_reopening_a_file_finds_everything(buffers: Open) -> None:
    buffer = buffers()
    document = await add(buffer, DOCUMENT, DocumentRecord(lineage="l"))
    await buffer.set_base(document, b"base", 1.0, DocumentRecord())
    seq = await append(buffer, document, b"one")
    await buffer.mark_persisted(document, seq, DocumentRecord(lineage="l", version_id="v1"))
    await append(buffer, document, b"two")
    rename = await buffer.add_move("a", "b")

    buffer = buffers()

    (known,) = buffer.known()
    assert (known.document, known.facts) == (DOCUMENT, DocumentRecord(lineage="l", version_id="v1"))
    assert await held(buffer, known.id) == [b"base", b"one", b"two"]
    assert await pending(buffer, known.id) == [b"two"]
    assert [move.id for move in buffer.moves()] == [rename]


@pytest.mark.parametrize("how", ["folded", "evicted"])
async def test_an_update_after_reopening_is_pending_though_older_ones_are_gone(
    buffers: Open, how: str
) -> None:
    buffer = buffers()
    document = await add(buffer, DOCUMENT, DocumentRecord())
    seq = await append(buffer, document, b"one", b"two", b"three")
    await buffer.mark_persisted(document, seq, DocumentRecord())
    if how == "folded":
        await buffer.mark_persisted(document, 0, DocumentRecord(), Row(seq, b"all", b"", 1.0))
    else:
        await buffer.evict(document, keep=True)

    buffer = buffers()
    await append(buffer, document, b"four")

    assert await pending(buffer, document) == [b"four"]


async def test_appends_that_are_queued_survive_closing(buffers: Open) -> None:
    buffer = buffers()
    document = await add(buffer, DOCUMENT, DocumentRecord())
    durable = [buffer.append(document, b"%d" % number, b"", 1.0)[1] for number in range(500)]

    buffer = buffers()  # closes the first, which nobody has given time to write

    assert await held(buffer, document) == [b"%d" % number for number in range(500)]
    assert all(waiting is not None for waiting in durable)


async def test_an_append_whose_waiting_is_cancelled_is_kept(buffers: Open) -> None:
    buffer = buffers()
    document = await add(buffer, DOCUMENT, DocumentRecord())

    async def write() -> None:
        _, durable = buffer.append(document, b"one", b"", 1.0)
        assert durable is not None
        await durable

    task = asyncio.create_task(write())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    buffer = buffers()

    assert await held(buffer, document) == [b"one"]


async def test_what_is_durable_is_there_after_a_crash(path: str) -> None:
    writer = (
        "import asyncio, os, sys\n"
        "from bookstore_y.buffer.database import Buffer, DocumentRecord\n"
        "from bookstore_y.keys import Document\n"
        "async def main():\n"
        "    buffer = Buffer(sys.argv[1])\n"
        "    document = buffer.new_id()\n"
        "    await buffer.add(document, Document('notes'), DocumentRecord())\n"
        "    for number in range(20):\n"
        "        await buffer.append(document, b'%d' % number, b'', 1.0)[1]\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    crashed = await asyncio.create_subprocess_exec(sys.executable, "-c", writer, path)
    assert await asyncio.wait_for(crashed.wait(), 60) == 9

    with closing(Buffer(path)) as buffer:
        (known,) = buffer.known()
        assert await held(buffer, known.id) == [b"%d" % number for number in range(20)]


def test_a_newer_format_is_refused_and_left_as_it_is(path: str) -> None:
    Buffer(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = Path(path).read_bytes()

    with pytest.raises(NewerBuffer, match="newer"):
        Buffer(path)

    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("version", [0, FORMAT, FORMAT + 1])
def test_the_database_of_another_program_is_refused_and_left_as_it_is(
    path: str, version: int
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (something TEXT)")
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()
    before = Path(path).read_bytes()

    with pytest.raises(UpdateBufferError, match="db_path"):
        Buffer(path)

    assert Path(path).read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: str) -> None:
    Path(path).write_bytes(b"a diary, not a database" * 100)

    with pytest.raises(DamagedBuffer):
        Buffer(path)

    assert Path(path).read_bytes() == b"a diary, not a database" * 100


def test_a_path_that_cannot_be_a_file_is_an_error_of_the_buffer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UpdateBufferError, match="db_path"):
        Buffer(str(tmp_path / "file" / "buffer.db"))


@pytest.mark.parametrize("opened", ["new", "reopened"])
def test_a_second_process_is_refused(path: str, opened: str) -> None:
    if opened == "reopened":
        Buffer(path).close()
    program = (
        "import sys\n"
        "from bookstore_y.buffer.database import Buffer\n"
        "from bookstore_y.errors import UpdateBufferError\n"
        "try:\n"
        "    Buffer(sys.argv[1])\n"
        "except UpdateBufferError as error:\n"
        "    sys.exit(str(error))\n"
    )

    with closing(Buffer(path)):
        second = subprocess.run(
            [sys.executable, "-c", program, path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert second.returncode == 1
    assert "Another process uses the update buffer" in second.stderr


async def test_one_bad_update_does_not_fail_those_beside_it(buffer: Buffer) -> None:
    document = await add(buffer, DOCUMENT, DocumentRecord())
    nothing: bytes = None  # type: ignore[assignment]

    waiting = []
    for data in (b"one", nothing, b"two"):
        try:
            waiting.append(buffer.append(document, data, b"", 1.0)[1])
        except UpdateBufferError:
            assert data is nothing
    for durable in waiting:
        if durable is not None:
            await asyncio.gather(durable, return_exceptions=True)

    assert await held(buffer, document) == [b"one", b"two"]


async def test_whatever_goes_wrong_the_writer_goes_on(path: str) -> None:
    with closing(Buffer(path)) as buffer:
        document = await add(buffer, DOCUMENT, DocumentRecord())
        _, durable = buffer.append(document, b"one", "\ud800", 1.0)  # type: ignore[arg-type]
        assert durable is not None
        with pytest.raises(UpdateBufferError):
            await durable
        with pytest.raises(UpdateBufferError):
            await buffer.set_base(document, object(), 1.0, DocumentRecord())  # type: ignore[arg-type]

        await append(buffer, document, b"two")
        assert await asyncio.wait_for(held(buffer, document), 15) == [b"two"]


async def test_numbers_of_what_was_set_aside_are_not_given_again(buffers: Open) -> None:
    buffer = buffers()
    document = await add(buffer, DOCUMENT, DocumentRecord())
    last = await append(buffer, document, b"one", b"unusable")
    await buffer.reject(document, [last])

    buffer = buffers()
    again = await append(buffer, document, b"unusable")
    await buffer.reject(document, [again])

    assert again > last
    assert await held(buffer, document) == [b"one"]
