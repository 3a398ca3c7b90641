"""The judge: what is lost, doubled, not deleted, or differs, and in whose copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_ydoc import YNotebook

from bookstore_y.stress import marks
from bookstore_y.stress.judge import Copy, Evidence, judge, read_evidence
from bookstore_y.stress.notebooks import seed

ONE, TWO, THREE = (marks.make("c0", number, at=number) for number in range(3))


def content(*sources: str) -> dict[str, Any]:
    return {"cells": [{"id": str(n), "source": each} for n, each in enumerate(sources)], "meta": {}}


def evidence(edits: dict[str, bool], **copies: dict[str, Any]) -> Evidence:
    found = Evidence([Copy(holder, "a.ipynb", said) for holder, said in copies.items()])
    found.edits["a.ipynb"].update(edits)
    return found


def test_equal_copies_with_every_edit_once_pass() -> None:
    said = content(ONE, TWO)
    verdict = judge(evidence({ONE: True, TWO: True, THREE: False}, c0=said, bucket=said), 1.5)
    assert verdict.passed
    assert (verdict.edits, verdict.deleted, verdict.failures) == (3, 1, [])
    assert verdict.seconds_to_converge == 1.5


def test_what_one_copy_lacks_is_lost_and_that_copy_is_named() -> None:
    found = evidence({ONE: True}, c0=content(ONE), c1=content(ONE), bucket=content(""))
    verdict = judge(found, 1.0)
    assert not verdict.passed
    assert (verdict.converged, verdict.lost) == (False, 1)
    lost = next(failure for failure in verdict.failures if failure.what == "lost")
    assert (lost.client, lost.mark, lost.where) == ("c0", ONE, "bucket")


def test_what_all_copies_lack_is_lost_though_they_are_equal() -> None:
    verdict = judge(evidence({ONE: True}, c0=content(""), bucket=content("")), 1.0)
    assert (verdict.converged, verdict.lost, verdict.passed) == (True, 1, False)


def test_what_is_there_twice_is_doubled() -> None:
    said = content(ONE, ONE)
    verdict = judge(evidence({ONE: True}, c0=said, bucket=said), 1.0)
    assert (verdict.doubled, verdict.lost, verdict.passed) == (1, 0, False)


def test_what_was_deleted_on_purpose_has_to_be_gone() -> None:
    said = content(ONE)
    verdict = judge(evidence({ONE: False}, c0=said, bucket=said), 1.0)
    assert (verdict.undeleted, verdict.lost, verdict.passed) == (1, 0, False)


def test_copies_that_never_became_equal_did_not_converge() -> None:
    said = content(ONE)
    assert not judge(evidence({ONE: True}, c0=said), None).converged


def test_a_run_without_edits_shows_nothing() -> None:
    assert not judge(evidence({}, c0=content("")), 1.0).passed


def test_a_document_that_nobody_has_did_not_converge() -> None:
    assert not judge(evidence({ONE: True}), 1.0).passed


def test_what_the_notebook_began_with_is_checked_and_is_no_edit() -> None:
    began = marks.make(marks.SEED, 0, at=0)
    verdict = judge(evidence({began: True, ONE: True}, c0=content(ONE)), 1.0)
    assert (verdict.edits, verdict.lost) == (1, 1)


def test_copies_and_edits_are_read_from_what_the_load_left(tmp_path: Path) -> None:
    notebook = YNotebook()
    notebook.set(seed(1))
    (tmp_path / "a.c0.y").write_bytes(notebook.ydoc.get_update())
    said = {
        "client": "c0",
        "document": "a.ipynb",
        "edits": {ONE: False},
        "conflicts": 2,
        "refusals": 0,
        "error": None,
    }
    (tmp_path / "a.c0.json").write_text(json.dumps(said))
    began = [marks.make(marks.SEED, number, at=0) for number in range(2)]
    found = read_evidence(tmp_path, {"a.ipynb": began})
    assert found.notes == ["2 updates were refused by the server as conflicts."]
    verdict = judge(found, 1.0)
    assert verdict.passed
    assert (verdict.edits, verdict.deleted) == (1, 1)
