"""Judge: all copies of all documents, held against each other and against what was typed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import marks
from .copies import Content, content_of_update, marks_in
from .result import Failure, Verdict

_NAMED = 200
"""Failures that a verdict names one by one."""


@dataclass(frozen=True)
class Copy:
    """A document as somebody has it: a client, the bucket, a store."""

    holder: str
    document: str
    content: Content


@dataclass
class Evidence:
    """What is compared: every copy, and by document every mark and whether it is to be there."""

    copies: list[Copy] = field(default_factory=list)
    edits: defaultdict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))
    notes: list[str] = field(default_factory=list)
    """What clients ran into."""


def read_evidence(directory: Path, seeds: Mapping[str, Iterable[str]]) -> Evidence:
    """What the load left in `directory`, and the marks that the documents began with."""
    evidence = Evidence()
    for document, made in seeds.items():
        evidence.edits[document].update(dict.fromkeys(made, True))
    conflicts = refusals = 0
    for file in sorted(directory.glob("*.json")):
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        content = content_of_update(file.with_suffix(".y").read_bytes())
        evidence.copies.append(Copy(said["client"], said["document"], content))
        evidence.edits[said["document"]].update(said["edits"])
        conflicts += said["conflicts"]
        refusals += said["refusals"]
        if said["error"] is not None:
            evidence.notes.append(f"Client {said['client']} ended early: {said['error']}.")
    if conflicts:
        evidence.notes.append(f"{conflicts} updates were refused by the server as conflicts.")
    if refusals:
        evidence.notes.append(
            f"{refusals} sessions were refused when a client came back; each took a new one and "
            "kept its document."
        )
    return evidence


def judge(evidence: Evidence, seconds_to_converge: float | None) -> Verdict:
    """The verdict, without the versions that had what is lost. No copy at all of a document is
    no convergence."""
    failures: list[Failure] = []
    counts = {"lost": 0, "doubled": 0, "not deleted": 0}
    by_document: defaultdict[str, list[Copy]] = defaultdict(list)
    for copy in evidence.copies:
        by_document[copy.document].append(copy)
    diverged = False
    for document, edits in sorted(evidence.edits.items()):
        copies = by_document[document]
        differing = [copy for copy in copies if copy.content != copies[0].content]
        diverged |= bool(differing) or not copies
        failures += [
            Failure("diverged", document, copy.holder, "", copies[0].holder) for copy in differing
        ]
        for what, mark, holders in _wrong(copies, edits):
            counts[what] += 1
            failures.append(Failure(what, document, marks.author(mark), mark, ", ".join(holders)))
    every = [
        alive
        for edits in evidence.edits.values()
        for mark, alive in edits.items()
        if marks.author(mark) != marks.SEED
    ]
    return Verdict(
        converged=not diverged and seconds_to_converge is not None,
        edits=len(every),
        deleted=every.count(False),
        lost=counts["lost"],
        doubled=counts["doubled"],
        undeleted=counts["not deleted"],
        failures=failures[:_NAMED],
        seconds_to_converge=seconds_to_converge,
    )


def _wrong(
    copies: Iterable[Copy], edits: Mapping[str, bool]
) -> Iterable[tuple[str, str, list[str]]]:
    """(what, mark, holders of the copies that show it) of each edit that is not as it should be."""
    found: dict[tuple[str, str], list[str]] = {}
    for copy in copies:
        there = marks_in(copy.content)
        for mark, alive in edits.items():
            count = there[mark]
            if alive and not count:
                found.setdefault(("lost", mark), []).append(copy.holder)
            elif count and not alive:
                found.setdefault(("not deleted", mark), []).append(copy.holder)
            if count > 1:
                found.setdefault(("doubled", mark), []).append(copy.holder)
    for (what, mark), holders in found.items():
        yield what, mark, holders
