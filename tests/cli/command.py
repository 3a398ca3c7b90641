"""`jupyter bookstore`, run in this process on one bucket, and the archive in that bucket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from jupyter_ydoc import ydocs

from bookstore_y import Archive, BookstoreSettings, Version
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.cli import main
from bookstore_y.keys import Document
from bookstore_y.ydoc.summary import lineage_of
from harness.servers import S3Server, s3_options

T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that it printed."""
        return json.loads(self.out)


class Bookstore:
    """One bucket, through the command line and through the Python API."""

    def __init__(
        self, server: S3Server, bucket: str, capsys: pytest.CaptureFixture[str], **traits: Any
    ) -> None:
        self.server, self.bucket = server, bucket
        self._capsys = capsys
        self._traits = {"conditional_writes": server.conditional_writes, **traits}

    def __call__(self, command: str, *arguments: object) -> Ran:
        """Run a command."""
        options = {**s3_options(self.server, self.bucket), **self._traits}
        settings = [f"--BookstoreSettings.{name}={value}" for name, value in options.items()]
        self._capsys.readouterr()
        try:
            code = main([command, *map(str, arguments), *settings])
        except SystemExit as error:
            code = int(error.code or 0)
        printed = self._capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    def json(self, command: str, *arguments: object) -> Any:
        """What a command prints with `--json`."""
        return self(command, *arguments, "--json").document

    @property
    def settings(self) -> BookstoreSettings:
        return BookstoreSettings(**s3_options(self.server, self.bucket), **self._traits)

    def archive(self, work: Callable[[Archive], Awaitable[T]]) -> T:
        """What `work` gives for an archive in the bucket."""

        async def run() -> T:
            async with Archive(self.settings) as archive:
                return await work(archive)

        return asyncio.run(run())

    def save(self, path: str, body: str | bytes) -> Version:
        """Save a file."""
        return self.fill({path: body})[path]

    def fill(self, files: Mapping[str, str | bytes]) -> dict[str, Version]:
        """Save files, given by their paths."""

        async def save(archive: Archive) -> dict[str, Version]:
            saved = {}
            for path, body in files.items():
                raw = body.encode() if isinstance(body, str) else body
                version = await archive.save_file(path, raw)
                assert version is not None
                saved[path] = version
            return saved

        return self.archive(save)

    def checkpoint(self, path: str, content: Any, type: str = "file") -> Version:
        """Save a snapshot of a document that says `content`, under a history of its own."""
        return self.archive(lambda archive: checkpoint(archive, path, content, type))


async def checkpoint(
    archive: Archive, path: str, content: Any, type: str = "file", origin: str = "checkpoint"
) -> Version:
    """Save a snapshot of a document that says `content`, under a history of its own."""
    document = Document(path, type)
    doc = ydocs[type]()
    doc.set(content)
    update = doc.ydoc.get_update()
    facts = VersionMetadata(lineage=lineage_of(update), origin=origin)
    saved = await archive.save(document, update, facts)
    return await archive.snapshots.version(document, saved.version_id)


def notebook(*sources: str) -> dict[str, Any]:
    """A notebook of these code cells."""
    cells: list[dict[str, Any]] = [
        {
            "id": f"cell-{index}",
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for index, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
