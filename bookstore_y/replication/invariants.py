"""What must hold of a document's state, whatever has happened."""

from __future__ import annotations

import os

from .document_view import Base, DocumentView, Task

CHECKED = bool(os.environ.get("BOOKSTORE_CHECK"))
"""Debug mode: the invariants are checked after each change of a state."""


def broken_invariants(state: DocumentView) -> list[str]:
    """Which of what must hold does not, in words."""
    base, task, facts = state.base, state.task, state.facts
    baseline = state.live_baseline
    must_hold = {
        "what only the bucket has is not in the buffer": base is not Base.BUCKET_ONLY
        or not (state.has_base or facts.has_full_history),
        "a live document covers what is buffered alone": baseline is None
        or (state.synced and baseline.live in state.live),
        "only a whole document is written": task is not Task.WRITING
        or (base is not Base.BUCKET_ONLY and (state.is_complete or state.is_orphaned)),
        "base, rows and version change under `writing`": task is Task.IDLE
        or state.writing.locked(),
        "a PUT is under way only while a version is written": state.put_ends is None
        or task is Task.WRITING,
        "what is pending takes bytes": (state.pending == 0) == (state.pending_bytes == 0)
        and min(state.pending, state.pending_bytes) >= 0,
        "the bucket has a version of what is buffered, unless it has none": not state.synced
        or (base is Base.NONE) == (not facts.version_id),
        "an ETag is that of a version": not facts.etag or bool(facts.version_id),
        "a deleted document has no current version": not (facts.deleted and facts.etag),
        "versions of what was replaced are due in order": list(facts.replaced)
        == sorted(facts.replaced),
        "who has handed it out has it open": state.users >= (1 if state.live else 0),
        "what failed began to fail": state.trouble is None
        or not state.attempts
        or state.trouble.failing_since is not None,
    }
    return [rule for rule, holds in must_hold.items() if not holds]


def check_invariants(state: DocumentView) -> None:
    """Raises `AssertionError` with what does not hold of a document, and its state."""
    broken = broken_invariants(state)
    if broken:
        raise AssertionError(f"Not so that {'; that '.join(broken)}: {state!r}")
