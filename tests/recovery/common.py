"""What the tests of recovery share: servers on one directory of recovery files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from bookstore_y.keys import Document
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState
from bookstore_y.replication.schedule import Policy

from ..support import NEVER, Reader, text_of

NOTES = Document("notes")
QUIET = Policy(interval=1_000_000, max_delay=NEVER, idle_delay=NEVER, ttl=NEVER)
SOON = Policy(interval=1_000_000, max_delay=0.05, idle_delay=0.05, ttl=NEVER)

Server = Callable[..., Checkpointer]


def type_into(archive: Checkpointer, entry: DocumentState, *updates: bytes) -> None:
    for update in updates:
        archive.append(entry, update, b"", 1.0)


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.db")) if directory.exists() else []


def says(reader: Reader, text: str, path: Document = NOTES) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await reader.text(path) == text

    return check


async def all_texts(server: Server, document: Document) -> list[str]:
    """What each version in the bucket says, newest first."""
    async with server() as archive:
        bucket = archive.archive
        return [
            text_of([await bucket.load(document, version.version_id)])
            for version in await bucket.versions(document)
        ]
