"""`jupyter bookstore versions`: list the versions of a file."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import DocumentNotFound
from ._errors import ASKED_WRONGLY, DONE, CommandError
from ._options import add_command
from ._output import Output
from ._running import with_archive
from ._text import size, visible
from ._times import HELP, age, local, moment
from ._versions import ALL_KINDS, kinds, short_ids

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..archive.version import Version
    from ._rows import Rows

_PAGE = 999
"""Versions that a page of the history has at most."""

_FOLDS = {"Label": 12, "Authors": 12, "Origin": 12, "Then at": 12}
"""Columns of text, and how narrow they may become."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "versions",
        run,
        help="list the versions of a file, newest first",
        description="List the versions of a file, newest first: saves and snapshots together, "
        "including those from before a rename. Other commands accept the first "
        "characters of an id. --json, pipes and files get whole ids.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "-n", "--limit", type=_limit, default=50, metavar="N", help="how many (default: 50)"
    )
    how_many.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help=f"not before this time: {HELP}"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="not after")
    parser.add_argument(
        "--kind",
        action="append",
        choices=ALL_KINDS,
        help="only of this kind; may be repeated (default: snapshot and save)",
    )
    parser.add_argument("--author", metavar="NAME", help="only by this author")
    parser.add_argument("--labelled", action="store_true", help="only with a label")
    parser.add_argument(
        "--details",
        action="store_true",
        help="also show authors, labels and origins, at one or two requests per version",
    )


def run(args: argparse.Namespace) -> int:
    """List the versions; 0."""
    if args.since and args.until and args.since > args.until:
        raise CommandError("--since is later than --until, so nothing can match.", ASKED_WRONGLY)
    return with_archive(args, _versions)


async def _versions(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    found: list[Version] = []
    after: str | None = None
    pages = args.all or args.limit > _PAGE
    bar = out.progress("Listing", "version") if pages else contextlib.nullcontext()
    with bar as progress:
        while True:
            wanted = _PAGE if args.all else min(args.limit - len(found), _PAGE)
            page = await archive.history(
                args.path,
                limit=wanted,
                after=after,
                kinds=kinds(args.kind),
                since=args.since,
                until=args.until,
                author=args.author,
                labelled=args.labelled,
                details=args.details,
            )
            found += page.versions
            if progress is not None:
                progress.advance(len(page.versions))
            after = page.next
            if after is None or (not args.all and len(found) >= args.limit):
                break
    out.document(
        {
            "path": args.path,
            "versions": [version.to_dict() for version in found],
            "complete": after is None,
        }
    )
    if found:
        detailed = args.details or args.labelled or args.author is not None
        out.say(_rows(args.path, found, detailed=detailed, whole=not out.is_terminal))
    elif not out.as_json:
        raise DocumentNotFound(f"No version of {args.path} matches; loosen the filters.")
    unread = [version.details_error for version in found if version.details_error]
    if unread:
        counted = "1 version" if len(unread) == 1 else f"{len(unread):,} versions"
        out.warn(f"The details of {counted} are not known. {unread[0]}")
    if after is not None and out.is_terminal:
        out.say("", f"These are the newest {len(found):,}; --limit N or --all lists more.")
    return DONE


def _rows(path: str, versions: Iterable[Version], *, detailed: bool, whole: bool) -> Rows:
    from rich.text import Text

    from ._rows import Rows

    versions = list(versions)
    moved = any(version.path != path for version in versions)
    columns = ["Version", "Written", "", "Size", "Kind"]
    columns += ["Label", "Authors", "Origin"] if detailed else []
    columns += ["Then at"] if moved else []
    rows = Rows(*columns, head="Version", folds=_FOLDS, right=["Size"])
    short = short_ids(versions)
    for version in versions:
        name = version.version_id if whole else short[version.version_id]
        cells: list[Text | str] = [
            Text(visible(name), "bold green" if version.is_latest else "cyan"),
            local(version.last_modified),
            Text(age(version.last_modified), "dim"),
            size(version.size),
            f"{version.kind}, cold" if version.cold else version.kind,
        ]
        if detailed:
            authors = "not known" if version.details_error else ", ".join(version.authors)
            cells += [
                Text(visible(version.label or ""), "bold yellow"),
                visible(authors),
                Text(visible(_origin(version.origin, short, whole=whole)), "dim"),
            ]
        cells += [visible(version.path)] if moved else []
        rows.add(*cells)
    return rows


def _origin(origin: str, short: dict[str, str], *, whole: bool) -> str:
    """An origin for a person: the path or the short version id in it."""
    from ..archive.version import former_path

    former = former_path(origin)
    if former is not None:
        return f"renamed from {former}"
    verb, _, version_id = origin.partition(":")
    if not version_id:
        return verb
    name = version_id if whole else short.get(version_id, version_id[:8])
    return f"{verb} of {name}"


def _limit(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
