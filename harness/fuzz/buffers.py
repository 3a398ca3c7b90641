"""A buffer file that something has damaged."""

from __future__ import annotations

import asyncio
import functools
import logging
import tempfile
import time
from pathlib import Path

from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.records import DocumentRecord
from bookstore_y.buffer.recovery import BufferOptions, Recovery
from bookstore_y.errors import UpdateBufferError
from bookstore_y.keys import Document
from bookstore_y.settings import BookstoreSettings

from . import updates
from .target import Target, hold, only

_PATCH = 4
"""Bytes of one patch: three of the offset, one of the value."""

_SILENT = logging.getLogger("fuzz")
_SILENT.setLevel(logging.CRITICAL + 1)
"""Half of the files are set aside, and each time the log would say so."""


def buffer(data: bytes) -> None:
    """A damaged file opens, or is set aside as it is, or says what is wrong with it."""
    content = bytearray(_sound())
    for at in range(0, len(data) - _PATCH + 1, _PATCH):
        offset = int.from_bytes(data[at : at + 3], "big") % len(content)
        content[offset] = data[at + 3]
    with tempfile.TemporaryDirectory(prefix="bookstore-fuzz-", dir=_memory()) as directory:
        _open(Path(directory), bytes(content))


def _open(directory: Path, content: bytes) -> None:
    path = directory / "buffer.db"
    path.write_bytes(content)
    options = BufferOptions(str(path), str(directory / "recovery"))
    opened = None
    with only(UpdateBufferError):
        recovery = Recovery(BookstoreSettings(s3_bucket="fuzz"), options)
        recovery.log = _SILENT
        opened = recovery.open()
    try:
        if opened is not None:
            with only(UpdateBufferError):
                for known in opened.known():
                    asyncio.run(opened.read(known.id))
                opened.moves()
    finally:
        if opened is not None:
            opened.close()
    for other in directory.iterdir():
        if ".damaged" in other.name:
            same = _body(other.read_bytes()) == _body(content)
            hold(same, f"{other.name} was changed before it was set aside")


def _body(content: bytes) -> bytes:
    """Without the header, in which locking counts and laying out writes the format's number."""
    return content[100:]


@functools.cache
def _sound() -> bytes:
    """A buffer file with two documents, one of them with updates, a base and a rename."""
    with tempfile.TemporaryDirectory(prefix="bookstore-fuzz-") as directory:
        path = Path(directory) / "buffer.db"
        asyncio.run(_fill(str(path)))
        return path.read_bytes()


async def _fill(path: str) -> None:
    made = Buffer(path)
    for document in (Document("a.ipynb", "notebook"), Document("b.txt", None)):
        await made.add(
            made.new_id(), document, DocumentRecord("0" * 32, "version", "etag", "id", ["1"])
        )
    for update in updates.seeds()[1:4]:
        _, durable = made.append(1, update, b"", time.time())
        if durable is not None:
            await durable
    await made.set_base(1, updates.seeds()[-1], 0.0, DocumentRecord())
    made.close()


def _memory() -> str | None:
    """A directory in memory, where there is one: thousands of files are made."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def patched(found: bytes, by: bytes) -> bytes:
    """The input that writes `by` over the first place where a sound file has `found`."""
    at = _sound().index(found)
    patches = [(at + n).to_bytes(3, "big") + bytes([value]) for n, value in enumerate(by)]
    return b"".join(patches)


def seeds() -> list[bytes]:
    """Nothing; another format, size and program; and what a document's row says."""
    header = [(0, 0), (18, 9), (60, 1), (68, 0), (4096, 5)]
    return [
        b"",
        *(offset.to_bytes(3, "big") + bytes([value]) for offset, value in header),
        patched(b"a.ipynb", b"b.ipynb"),
        patched(b"0000", b"1111"),
        patched(b"CREATE TABLE", b"CREATE TXBLE"),
    ]


TARGET = Target("buffer", buffer, seeds, max_len=64)
