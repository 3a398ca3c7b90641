"""Where documents are in the bucket before it has followed all path changes.

Pure functions of the changes that it has not followed, in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .path_change import (
    Part,
    PathChange,
    Spot,
    moved,
    of_file,
)


def places(changes: Sequence[PathChange], spot: Spot) -> list[tuple[Spot, str]]:
    """Where the bucket may have what is at a spot now, the best place first, each with the one
    version that is meant there; empty for the current one. Nowhere if it has been deleted."""
    found: list[tuple[Spot, str]] = []
    for change in reversed(changes):
        if change.displaced is not None:
            continue
        former = moved(spot.path, change.target, change.source) if change.target else None
        if former is not None:
            old = spot.at(former)
            part = change.parts.get(old) if change.parts is not None else None
            if change.parts is not None and (part is None or part.copied):
                break
            if spot in change.taken:
                found.append((spot, ""))
            if part is not None:
                return [*found, (old, part.version_id)]
            spot = old
        elif moved(spot.path, change.source, "") is not None:
            if change.parts is None and spot not in change.taken:
                return found
            break
    return [*found, (spot, "")]


def place(changes: Sequence[PathChange], spot: Spot) -> Spot | None:
    """The best of the places; None if all that is there is deleted, as far as is known."""
    for found, version_id in places(changes, spot):
        if version_id or not gone(changes, found) or is_taken(changes, found):
            return found
    return None


def gone(changes: Iterable[PathChange], spot: Spot) -> frozenset[str]:
    """The versions at a spot that have been deleted or renamed, though they may be current."""
    parts = (_part(change, spot) for change in changes)
    return frozenset(part.version_id for part in parts if part is not None)


def is_gone(changes: Iterable[PathChange], spot: Spot, version_id: str) -> bool:
    """Whether a version is one of those."""
    return version_id in gone(changes, spot)


def is_taken(changes: Iterable[PathChange], spot: Spot) -> bool:
    """Whether something has been written at a spot since a change."""
    return any(spot in change.taken for change in changes)


def replaced(changes: Sequence[PathChange], spot: Spot) -> Part | None:
    """The deleted or renamed version that is current at a spot, as far as is known."""
    for change in reversed(changes):
        part = _part(change, spot)
        if part is not None and spot not in change.taken:
            return part
    return None


def archived_at(changes: Sequence[PathChange], path: str) -> str | None:
    """Where the bucket has what is at `path` now, documents and saves alike; None if it has
    nothing but what was deleted or renamed."""
    names = {path}
    for change in reversed(changes):
        if change.target:
            former = [moved(name, change.target, change.source) for name in names]
            names.update(name for name in former if name is not None)
    known = {spot.at(path) for spot in _spots(changes) if spot.path in names}
    found = [place(changes, spot) for spot in known or {of_file(path)}]
    there = {spot.path for spot in found if spot is not None}
    return path if path in there else min(there, default=None)


def now_at(changes: Sequence[PathChange], path: str) -> str | None:
    """Where the file or directory is that the bucket has at `path`; None if it was deleted, or
    has gone on under another name already."""
    here = {spot for spot in _spots(changes) if moved(spot.path, path, "") is not None}
    there = {_now_at(changes, spot, path) for spot in here or {of_file(path)}}
    return path if path in there else min(filter(None, there), default=None)


def went(changes: Sequence[PathChange], spot: Spot, since: float) -> Spot | None:
    """Where that is now which was at a spot at a moment, in seconds since the epoch, as far as
    changes say that the bucket has not followed; None if it has been deleted since."""
    for change in changes:
        there = moved(spot.path, change.source, change.target or "")
        done = change.parts is not None and spot not in change.parts
        if change.displaced is not None or there is None or done or change.at < since:
            continue
        if change.target is None:
            return None
        spot = spot.at(there)
    return spot


def _now_at(changes: Sequence[PathChange], spot: Spot, path: str) -> str | None:
    """Where `path` is now, which is that of a spot, or above it."""
    for change in changes:
        there = moved(spot.path, change.source, change.target or "")
        if change.displaced is not None or there is None or spot in change.taken:
            continue
        part = _part(change, spot)
        if change.parts is not None and part is None:
            continue  # it came since, or is done
        if change.target is None or (part is not None and part.copied):
            return None
        spot = spot.at(there)
        path_there = moved(path, change.source, change.target)
        if path_there is None or spot in change.taken:
            return None
        path = path_there
    return path


def _spots(changes: Iterable[PathChange]) -> set[Spot]:
    return {spot for change in changes for spot in (*(change.parts or ()), *change.taken)}


def _part(change: PathChange, spot: Spot) -> Part | None:
    return change.parts.get(spot) if change.parts is not None else None
