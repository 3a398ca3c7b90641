"""What a document was made to say no more is a version of its own, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookstore_y.buffer.records import DocumentRecord, Replaced
from bookstore_y.keys import Document

from ..support import Outage, Typist
from .common import NOTES, QUIET, Server, all_texts, files, type_into


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(monkeypatch)


@pytest.mark.parametrize("buffered", ["in memory", "in a file"])
async def test_each_state_that_was_replaced_in_an_outage_becomes_a_version(
    server: Server, tmp_path: Path, outage: Outage, buffered: str
) -> None:
    typist = Typist()
    async with server(":memory:" if buffered == "in memory" else tmp_path / "b.db") as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("first"))
        await archive.checkpoint(entry)
        outage.begin()
        for words in (" typed", " agent", " typed again"):
            type_into(archive, entry, typist.type(words))
            archive.about_to_replace(entry, by_file=True)
            archive.keep_replaced(entry)
        type_into(archive, entry, typist.type(" last"))
        outage.end()
        assert await archive.flush(15) == {}
        assert entry.facts.replaced == []
    assert await all_texts(server, NOTES) == [
        "first typed agent typed again last",
        "first typed agent typed again",
        "first typed agent",
        "first typed",
        "first",
    ]


@pytest.mark.parametrize("kept", ["its own file", "a recovery file"])
async def test_a_restart_does_not_forget_what_was_replaced(
    server: Server, tmp_path: Path, directory: Path, outage: Outage, kept: str
) -> None:
    path = tmp_path / "b.db" if kept == "its own file" else ":memory:"
    typist = Typist()
    async with server(path) as archive:
        other = await archive.open(Document("other"), QUIET)
        type_into(archive, other, Typist().type("so that numbers differ after the restart"))
        await archive.checkpoint(other)
        entry = await archive.open(NOTES, QUIET)
        outage.begin()
        type_into(archive, entry, typist.type("replaced"))
        archive.about_to_replace(entry, by_file=True)
        type_into(archive, entry, typist.type(" and what came after"))
    outage.end()
    assert bool(files(directory)) == (kept == "a recovery file")

    async with server(path) as archive:
        assert await archive.flush(15) == {}
    assert await all_texts(server, NOTES) == ["replaced and what came after", "replaced"]


async def test_what_a_version_has_already_is_not_written_again(server: Server) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        type_into(archive, entry, typist.type("archived"))
        await archive.checkpoint(entry)
        archive.about_to_replace(entry, by_file=True)
        type_into(archive, entry, typist.type(" replaced it"))
        await archive.checkpoint(entry)
        assert entry.facts.replaced == []
    assert await all_texts(server, NOTES) == ["archived replaced it", "archived"]


async def test_the_log_names_the_version_that_a_file_replaced(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    typist = Typist()
    async with server() as archive:
        entry = await archive.open(NOTES, QUIET)
        for by_file in (False, True):
            type_into(archive, entry, typist.type("replaced "))
            archive.about_to_replace(entry, by_file=by_file)
            await archive.checkpoint(entry, replaced=True)
        replaced = entry.facts.version_id
        type_into(archive, entry, typist.type("and what came after"))
        await archive.checkpoint(entry)
    (said,) = [record.message for record in caplog.records if "Another program" in record.message]
    assert f"The replaced content is version {replaced} of" in said


def test_what_is_not_known_of_replaced_states_is_ignored() -> None:
    kept = DocumentRecord(replaced=[Replaced(3), Replaced(7, by_file=True)])
    assert DocumentRecord.from_json(kept.to_json()) == kept
    assert DocumentRecord.from_json('{"replaced":[[3],["a",true],5,[9,false]]}').replaced == [
        Replaced(9)
    ]
    assert DocumentRecord.from_json("{}").replaced == []
