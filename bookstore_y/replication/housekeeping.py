"""Housekeeping: what keeps a document in the buffer small."""

from __future__ import annotations

import asyncio

from ..aio import run_in_thread_if_large
from ..buffer.database import Buffer
from ..buffer.records import Row
from ..ydoc.squash import condense, squash
from ..ydoc.updates import state_vector
from .document import DocumentState
from .schedule import Policy


async def condense_pending(buffer: Buffer, entry: DocumentState) -> None:
    """Squash what the buffer holds of a document: what is pending, and what is not."""
    async with entry.lock, entry.writing:
        held = await buffer.read(entry.id)
        pending = held.pending
        if not pending or entry.checkpoint_through is not None:
            return
        base = held.base.data if held.base else None
        known = [row.data for row in held.rows if row.seq <= held.persisted]
        data = [row.data for row in pending]
        whole, update = await asyncio.to_thread(condense, base, known, data)
        first, last = pending[0].seq, pending[-1].seq
        await buffer.condense(entry.id, whole if known else None, update, first, last)
        await buffer.vacuum()
        size = sum(map(len, data))
        entry.counted(1 - len(pending), len(update) - size)
        if known:
            entry.base_folded(entry.state_vector)


async def fold(buffer: Buffer, entry: DocumentState) -> None:
    """Keep what the buffer holds of a document within its history window: the oldest updates
    become part of the base."""
    async with entry.lock, entry.writing:
        held = await buffer.read(entry.id)
        rows = [row for row in _oldest(held.rows, entry.policy) if row.seq <= held.persisted]
        if not rows:
            return
        older = [] if held.base is None else [held.base.data]
        base = await asyncio.to_thread(squash, older + [row.data for row in rows])
        last = rows[-1]
        folded = Row(last.seq, base, last.metadata, last.timestamp)
        await buffer.mark_persisted(entry.id, last.seq, entry.facts, folded)
        entry.base_folded(await run_in_thread_if_large(len(base), state_vector, base))


def are_too_many(count: int, size: int, policy: Policy) -> bool:
    """Whether so many updates of so many bytes are beyond the history window."""
    return count > policy.history_updates or size > policy.history_bytes


def _oldest(rows: list[Row], policy: Policy) -> list[Row]:
    """Those to fold into the base, to keep within the history window.

    Half the window is left, so that folding is done once in many checkpoints.
    """
    count, size = len(rows), sum(len(row.data) for row in rows)
    if not are_too_many(count, size, policy):
        return []
    fold = 0
    while fold < len(rows) and (
        count > policy.history_updates // 2 or size > policy.history_bytes // 2
    ):
        count -= 1
        size -= len(rows[fold].data)
        fold += 1
    return rows[:fold]
