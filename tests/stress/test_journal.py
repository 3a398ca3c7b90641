"""The journal and the order: what the load and the command tell each other through files."""

from __future__ import annotations

import json
from pathlib import Path

from bookstore_y.stress.journal import Journal
from bookstore_y.stress.order import Order


def test_what_is_appended_is_read_once_and_whole_lines_alone(tmp_path: Path) -> None:
    file = tmp_path / "load.jsonl"
    journal = Journal(file)
    journal.read()
    assert journal.events == {}
    half, other = json.dumps({"tick": {"edits": 2}})[:10], json.dumps({"tick": {"edits": 2}})[10:]
    with file.open("a") as appending:
        appending.write(json.dumps({"event": "begun", "at": 1.5}) + "\n" + half)
        appending.flush()
        journal.read()
        assert (journal.events, journal.ticks) == ({"begun": 1.5}, [])
        appending.write(other + "\n")
        appending.flush()
        journal.read()
        journal.read()
    assert journal.ticks == [{"edits": 2}]


def test_an_order_is_what_it_was_and_has_no_token(tmp_path: Path) -> None:
    order = Order(
        scenario="typing",
        users=4,
        documents=["a.ipynb"],
        servers=["http://127.0.0.1:8888"],
        duration=30.0,
        settle_seconds=60.0,
        spawn_rate=5.0,
        directory=tmp_path,
        workers=2,
        listen_port=5557,
    )
    file = tmp_path / "order.json"
    order.write(file)
    assert Order.read(file) == order
    assert "token" not in file.read_text()
