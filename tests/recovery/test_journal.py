"""A file that was saved is never newer than what survives a crash."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from traitlets.config import Config

from ..support import Reader, Typist, text_of
from .common import NOTES, QUIET, Server, files, type_into

_KILLED = """
import asyncio, os, signal, sys
from traitlets.config import Config
from bookstore_y import BookstoreSettings
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.schedule import Policy
from bookstore_y.keys import Document
from bookstore_y.buffer.recovery import BufferOptions

async def main():
    settings = BookstoreSettings(**eval(sys.argv[1]))
    archive = Checkpointer(settings, BufferOptions(recovery_dir=sys.argv[2]))
    await archive.__aenter__()
    entry = await archive.open(Document("notes"), Policy(10**6, 3600.0, 3600.0, 3600.0))
    updates = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    for number, update in enumerate(updates):
        archive.append(entry, update, b"", 1.0)
        if number == 1:
            await archive.checkpoint(entry)
        if number in (2, 3):
            entry.save_begun(f"hash-{number}")
            archive.about_to_save(entry)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_file_was_saved_from_survives_a_kill(
    server: Server, directory: Path, config: Config, reader: Reader
) -> None:
    typist = Typist()
    updates = [typist.type(word) for word in ("a ", "b ", "c ", "saved ")]
    after = typist.type("in memory alone")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _KILLED, repr(dict(config.BookstoreSettings)), str(directory)],
        input=" ".join(update.hex() for update in [*updates, after]).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr.decode()

    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        assert text_of((await archive.load(entry)).updates()) == "a b c saved "
        assert entry.facts.saving == "hash-3"
        assert await archive.flush(15) == {}
    assert await reader.text(NOTES) == "a b c saved "
    assert files(directory) == []


async def test_the_journal_keeps_no_more_than_is_pending(server: Server, directory: Path) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("a"))
        await archive.checkpoint(entry)
        archive.about_to_save(entry)
        assert files(directory) == []  # the bucket has all that the file is saved from

        type_into(archive, entry, typist.type("b"), typist.type("c"))
        archive.about_to_save(entry)
        (file,) = files(directory)
        await archive.checkpoint(entry)
        archive.about_to_save(entry)
    assert not file.exists()
