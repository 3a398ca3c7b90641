"""A disk that was kept, and a bucket that others went on with."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually

from ..support import Outage, Typist, text_of
from .common import NOTES, QUIET, SOON, Server, type_into


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_document_that_another_server_went_on_with_opens_as_it_is_now(
    server: Server, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "buffer.db" if kind == "file" else ":memory:"
    typist = Typist()
    async with server(path) as here:
        entry = await here.open(NOTES, QUIET)
        type_into(here, entry, typist.type("here"))
        await here.checkpoint(entry)
        entry.closed()
        if kind == "file":
            await here.__aexit__()
            here = server(path)
            await here.__aenter__()
        async with server() as there:
            elsewhere = await there.open(NOTES, QUIET)
            await there.load(elsewhere)
            type_into(there, elsewhere, typist.type(", and there"))
            await there.checkpoint(elsewhere)

        entry = await here.open(NOTES, QUIET)
        assert text_of((await here.load(entry)).updates()) == "here, and there"
        if kind == "file":
            await here.__aexit__()


async def test_the_state_is_told_once_each_time_it_changes(
    server: Server, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    states: list[tuple[str, bool]] = []
    async with server() as archive:
        archive.on_state = lambda state: states.append(
            (state["status"], state["retrying_since"] is not None)
        )
        entries = [await archive.open(Document(f"doc{n}"), SOON) for n in range(3)]
        outage.begin()
        for entry in entries:
            type_into(archive, entry, Typist().type("pending"))
        await eventually(lambda: bool(states), "the outage is told")
        tries = outage.refused
        await eventually(lambda: outage.refused > tries + 3, "it is tried again")
        outage.end()
        await eventually(lambda: len(states) > 1, "the end of it is told")
        await archive.flush(15)

    assert states == [("retrying", True), ("ok", False)]
    assert caplog.text.count("Archiving is paused") == 1
    assert caplog.text.count("works again") == 1
