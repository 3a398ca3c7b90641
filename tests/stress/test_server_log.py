"""Tracebacks in a server's log are counted by what they end with."""

from __future__ import annotations

from pathlib import Path

from bookstore_y.stress.server_log import notes, tracebacks

LOG = """\
[E 12:00 ServerApp] Error while saving file: a
    Traceback (most recent call last):
      File "a.py", line 1, in save
        mkdir()
    FileExistsError: [Errno 17] File exists: 'a'
[I 12:00 ServerApp] all is well
Task exception was never retrieved
Traceback (most recent call last):
  File "b.py", line 2, in start
    raise RuntimeError("running")
RuntimeError: running
Traceback (most recent call last):
  File "b.py", line 2, in start
RuntimeError: running
"""


def test_each_is_counted_by_its_last_line() -> None:
    assert tracebacks(LOG) == {
        "FileExistsError: [Errno 17] File exists: 'a'": 1,
        "RuntimeError: running": 2,
    }


def test_they_are_said_in_one_sentence(tmp_path: Path) -> None:
    log, quiet = tmp_path / "server.log", tmp_path / "quiet.log"
    log.write_text(LOG)
    quiet.write_text("[I 12:00 ServerApp] all is well\n")
    (sentence,) = notes([log, quiet, tmp_path / "none.log"])
    assert sentence.startswith("3 tracebacks are in the servers' logs")
    assert "2 times RuntimeError: running" in sentence
    assert notes([quiet]) == []
