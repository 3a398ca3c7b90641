"""What is known of a file is learned from everybody, and forgotten by nobody."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bookstore_y.buffer.database import Buffer
from bookstore_y.buffer.records import DocumentRecord
from bookstore_y.ydoc.summary import lineage_of

from ..support import Typist
from .common import NOTES, QUIET, Server


@pytest.mark.parametrize(
    ("ours", "theirs", "known"),
    [
        pytest.param("", ("here", ["a", "b"]), ("here", ["a", "b"]), id="nothing known"),
        pytest.param("ab", ("here", ["a"]), ("here", ["a", "b"]), id="older"),
        pytest.param("ab", ("here", ["b", "c"]), ("here", ["a", "b", "c"]), id="newer"),
        pytest.param("ab", ("there", ["x", "b"]), ("here", ["x", "a", "b"]), id="another disk"),
    ],
)
def test_what_others_know_of_a_file_is_learned(
    ours: str, theirs: tuple[str, list[str]], known: tuple[str, list[str]]
) -> None:
    """Last stays what the file was last on this disk."""
    facts = DocumentRecord(file_id="here" if ours else "", file_hashes=list(ours))
    facts = facts.learn_of_file(*theirs)
    assert (facts.file_id, facts.file_hashes) == known


async def test_a_save_that_another_file_knows_of_is_not_forgotten(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "buffer.db"
    update = Typist().type("saved")
    for name, hashes in ((str(path), ["h1"]), (f"{path}-2", ["h1", "h2"])):
        with closing(Buffer(name)) as buffer:
            facts = DocumentRecord(lineage=lineage_of(update), file_id="disk", file_hashes=hashes)
            document = buffer.new_id()
            await buffer.add(document, NOTES, facts)
            _, durable = buffer.append(document, update, b"", 1.0)
            assert durable is not None
            await durable

    async with server(path) as archive:
        entry = await archive.open(NOTES, QUIET)
        assert entry.facts.file_hashes == ["h1", "h2"]
