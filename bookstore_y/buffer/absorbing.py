"""Copying another buffer's database into this one."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..keys import Document
from .records import DocumentRecord, Known, Replaced, document_ids
from .sqlite_file import ADD_MOVE, SET_BASE


class Absorbing:
    """Takes one database into another, whose last sequence number and document id it is given,
    and what that one holds. `seq` and `last_id` are the last ones used, then."""

    def __init__(self, seq: int, last_id: int, known: Sequence[Known]) -> None:
        self.seq = seq
        self.last_id = last_id
        self._ours = {(each.document, each.facts.lineage): each for each in known}

    def run(self, db: sqlite3.Connection, other: sqlite3.Connection) -> None:
        """Take `other` in, within a transaction of the caller's. Raises `sqlite3.Error`, and
        `InvalidPath`."""
        taken = {
            number: self._document(db, other, number, Document(path, kind), text, persisted)
            for number, path, kind, text, persisted in other.execute(
                "SELECT id, path, type, facts, persisted FROM documents ORDER BY id"
            ).fetchall()
        }
        for source, name, text, at, state in other.execute(
            "SELECT source, target, documents, at, state FROM moves ORDER BY id"
        ):
            ids = [taken[old] for old in document_ids(text) if old in taken]
            db.execute(ADD_MOVE, (source, name, json.dumps(ids), at, state))

    def _document(
        self,
        db: sqlite3.Connection,
        other: sqlite3.Connection,
        number: int,
        document: Document,
        text: str,
        persisted: int,
    ) -> int:
        """Take in the document of a number in `other`; its id here."""
        facts = DocumentRecord.from_json(text)
        held = self._ours.get((document, facts.lineage)) if facts.lineage else None
        if held is not None:
            target = held.id
            held = self._learned(db, held, held.facts.absorb(facts))
        else:
            self.last_id = target = self.last_id + 1
            db.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?)",
                (target, document.path, document.type, text, self.seq),
            )
        base = other.execute(
            "SELECT data, metadata, timestamp FROM bases WHERE document = ?", (number,)
        ).fetchone()
        if base is not None and held is None:
            db.execute(SET_BASE, (target, *base))
        elif base is not None:
            self._insert(db, "updates", target, base)
        theirs: list[int] = []
        ours: list[int] = []
        for seq, *row in other.execute(
            "SELECT seq, data, metadata, timestamp FROM updates WHERE document = ? ORDER BY seq",
            (number,),
        ):
            self._insert(db, "updates", target, row)
            theirs.append(seq)
            ours.append(self.seq)
            if held is None and seq <= persisted:
                db.execute("UPDATE documents SET persisted = ? WHERE id = ?", (self.seq, target))
        replaced = _renumbered(facts.replaced, theirs, ours)
        if replaced and held is not None:
            both = [*held.facts.replaced, *replaced]
            self._learned(db, held, replace(held.facts, replaced=both))
        elif facts.replaced:
            _set_facts(db, target, replace(facts, replaced=replaced))
        for row in other.execute(
            "SELECT data, metadata, timestamp FROM rejected WHERE document = ?", (number,)
        ):
            self._insert(db, "rejected", target, row)
        return target

    def _learned(self, db: sqlite3.Connection, held: Known, facts: DocumentRecord) -> Known:
        _set_facts(db, held.id, facts)
        held = self._ours[held.document, facts.lineage] = replace(held, facts=facts)
        return held

    def _insert(
        self, db: sqlite3.Connection, table: str, document: int, row: Sequence[Any]
    ) -> None:
        self.seq += 1
        db.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", (self.seq, document, *row))


def _set_facts(db: sqlite3.Connection, document: int, facts: DocumentRecord) -> None:
    db.execute("UPDATE documents SET facts = ? WHERE id = ?", (facts.to_json(), document))


def _renumbered(replaced: Sequence[Replaced], theirs: list[int], ours: list[int]) -> list[Replaced]:
    """What was replaced in another buffer, whose updates `theirs` have the numbers `ours` here."""
    found = []
    for each in replaced:
        before = bisect_right(theirs, each.seq)
        if before:
            found.append(each._replace(seq=ours[before - 1]))
    return found
