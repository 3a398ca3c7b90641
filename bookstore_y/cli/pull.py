"""`jupyter bookstore pull`: write files of the archive, as they are or were, to a directory."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import ASKED_WRONGLY, DONE, FAILED, NOT_FOUND, CommandError
from ._options import add_command, complete
from ._output import Output
from ._running import with_archive
from ._text import number, visible
from ._times import HELP, local, moment

if TYPE_CHECKING:
    from ..archive.archive import Archive

_SHOWN = 20


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "pull",
        run,
        help="write files of the archive to a directory, as they are or were",
        description="Write a file, a directory or the whole workspace from the archive to DIR, "
        "with the same paths. Each file gets the content of its newest version, "
        "save or snapshot. Existing files with the same content are skipped, so "
        "you can run it again after an interruption. A file that can't be pulled "
        "doesn't stop the others; it is listed at the end, and the exit code is 1.",
    )
    parser.add_argument("path", metavar="PATH", help="file or directory; / is the whole workspace")
    directory = parser.add_argument(
        "directory", metavar="DIR", nargs="?", type=Path, default=Path(), help="default: ."
    )
    complete(directory, "directory")
    parser.add_argument("--at", type=moment, metavar="TIME", help=f"as of this time: {HELP}")
    parser.add_argument(
        "--published", action="store_true", help="published files instead of the workspace"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files in DIR with different content"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be written, and write nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Pull. 1 if a file was not pulled, `NOT_FOUND` if there is none."""
    if args.directory.exists() and not args.directory.is_dir():
        raise CommandError(f"{args.directory} is not a directory; name another.", ASKED_WRONGLY)
    return with_archive(args, _pull)


async def _pull(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    from ..tools.directory import Directory
    from ..tools.pulling import Pulled, Pulling
    from ._rows import Rows

    path = within_workspace(args.path)
    files = archive.files(path, at=args.at, published=args.published)
    directory = Directory(args.directory)
    pulling = Pulling(archive, directory, overwrite=args.overwrite, dry_run=args.dry_run)
    done: list[Pulled] = []
    counts: Counter[str] = Counter()
    with out.progress("Pulling", "file") as progress:
        async for pulled in pulling.run(files):
            counts[pulled.outcome] += 1
            progress.advance(bytes=pulled.size if pulled.outcome != "same" else 0)
            if out.as_json or args.dry_run or not pulled.is_well:
                done.append(pulled)
    done.sort(key=lambda pulled: pulled.path)
    amiss = [pulled for pulled in done if not pulled.is_well]
    then = f" at {local(args.at)}" if args.at else ""
    out.document(
        {
            "directory": str(directory.root),
            "at": args.at.isoformat() if args.at else None,
            "dry_run": args.dry_run,
            "counts": dict(counts),
            "bytes": progress.bytes,
            "seconds": round(progress.seconds, 3),
            "files": [pulled.to_dict() for pulled in done],
        }
    )
    if not counts:
        raise CommandError(
            f"The {archive.bucket.where} holds no file at or under {args.path!r}{then}; check the "
            "path and the workspace prefix.",
            NOT_FOUND,
        )
    if args.dry_run:
        rows = Rows("outcome", "version", "path", head="path", folds={"path": 24})
        for pulled in done[:_SHOWN]:
            when = local(pulled.version.last_modified)
            rows.add(pulled.outcome, when, visible(pulled.path))
        out.say(rows)
        if len(done) > _SHOWN:
            out.say(f"… and {number(len(done) - _SHOWN, 'file')} more; --json lists all.")
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    summary = progress.summary(rated=not args.dry_run)
    doing = "Would pull" if args.dry_run else "Pulled"
    out.say(f"{doing} {summary} into {visible(directory.root)}{then}: {told}.")
    for pulled in amiss:
        out.warn(f"{visible(pulled.path)} ({pulled.outcome}): {visible(pulled.reason)}")
    return FAILED if amiss else DONE


def within_workspace(path: str) -> str:
    """The path that an argument names; `/`, `.` and nothing name the whole workspace. Raises
    `CommandError` for what is no text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise CommandError(
            f"The path {visible(path)} is not encodable as UTF-8; check that the locale matches "
            "the terminal.",
            ASKED_WRONGLY,
        ) from None
    path = path.removeprefix("./").strip("/")
    return "" if path == "." else path
