"""Autosave: a room saves its file only after edits."""

from __future__ import annotations

from typing import Any


def leave_unedited(room: Any) -> None:
    """Have a room write no file because of a tab that comes back and has nothing new.

    Each room notes the path of its file in the document, in an update of its own. A tab that comes
    back brings the note of the room that it was in before, which says the same and may replace the
    present one. jupyter_server_ydoc saves after any change of a document (`_on_document_change` in
    its rooms.py), and would rewrite a file that nobody has edited.
    """
    document = getattr(room, "_document", None)
    changed = getattr(room, "_on_document_change", None)
    if document is None or changed is None:
        return

    def edited(target: str, event: Any) -> None:
        if target != "state" or not _repeats_path(event.keys):
            changed(target, event)

    document.observe(edited)  # in place of the room's own


def _repeats_path(changes: dict[str, dict[str, Any]]) -> bool:
    """Whether a note of the path is all that came: it changes no key where the present one wins."""
    path = changes.get("path", {})
    return changes.keys() <= {"path"} and path.get("oldValue") == path.get("newValue")
