"""Naming a version on the command line: an id, its beginning, a time, or `latest`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import DocumentNotFound, VersionNotFound
from ._errors import ASKED_WRONGLY, NOT_FOUND, CommandError
from ._text import visible
from ._times import local, moment

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..archive.version import Version

MIN_PREFIX = 4
"""Fewest characters of a version id that may stand for it."""

SHOWN_PREFIX = 8
"""Fewest characters of a version id that a table shows."""

HELP = (
    f"a version id, its first characters ({MIN_PREFIX} or more), 'latest', or @ and a time: "
    "@2h, '@yesterday 14:00', @2026-03-01T09:00"
)

ALL_KINDS = ("snapshot", "save", "published")
WORKED_ON = ("snapshot", "save")

_CANDIDATES = 8


async def choose(archive: Archive, path: str, name: str) -> Version:
    """The version of the file at `path` that `name` means; see `HELP`.

    Raises `CommandError` for a name that is too short, means several, or none, and
    `DocumentNotFound`.
    """
    if name == "latest":
        return await newest(archive, path)
    if name.startswith("@"):
        try:
            when = moment(name[1:])
        except argparse.ArgumentTypeError as error:
            raise CommandError(f"{error}.", ASKED_WRONGLY) from None
        return await archive.version_at(path, when)
    if len(name) < MIN_PREFIX:
        raise CommandError(
            f"{name!r} is too short for a version id; give {MIN_PREFIX} characters or more.",
            ASKED_WRONGLY,
        )
    try:
        return await archive.find(path, name)
    except VersionNotFound:
        return await _by_prefix(archive, path, name)


async def newest(archive: Archive, path: str) -> Version:
    """What the file says now. Raises `DocumentNotFound`."""
    return (await archive.read(path)).version


def short_ids(versions: Iterable[Version]) -> dict[str, str]:
    """Each version id, and as many of its first characters as tell it from the others."""
    ids = sorted({version.version_id for version in versions})
    length = SHOWN_PREFIX
    for one, other in pairwise(ids):
        if one[:length] == other[:length]:
            length = _common(one, other) + 1
    return {version_id: version_id[:length] for version_id in ids}


def kinds(chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds of versions that `--kind` chose; those that are worked on, if it was not given."""
    return tuple(dict.fromkeys(chosen)) if chosen else WORKED_ON


async def _by_prefix(archive: Archive, path: str, prefix: str) -> Version:
    found: dict[str, Version] = {}
    after = None
    try:
        while True:
            page = await archive.history(path, limit=1000, after=after, kinds=ALL_KINDS)
            for version in page.versions:
                if version.version_id.startswith(prefix):
                    found.setdefault(version.version_id, version)
            after = page.next
            if after is None:
                break
    except DocumentNotFound:
        raise DocumentNotFound(
            f"The bucket has nothing at {visible(path)}; check the path: `jupyter bookstore ls` "
            "lists all files."
        ) from None
    if not found:
        raise CommandError(
            f"{visible(path)} has no version whose id starts with {prefix!r}; `jupyter "
            "bookstore versions` lists them.",
            NOT_FOUND,
        )
    if len(found) > 1:
        listed = [
            f"  {version.version_id}  {local(version.last_modified)}  {version.kind}"
            for version in list(found.values())[:_CANDIDATES]
        ]
        more = len(found) - len(listed)
        listed += [f"  and {more:,} more"] if more else []
        raise CommandError(
            f"{prefix!r} matches {len(found):,} version ids of {visible(path)}; give more "
            "characters:\n" + "\n".join(listed),
            ASKED_WRONGLY,
        )
    (version,) = found.values()
    return await archive.find(path, version.version_id)


def _common(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
