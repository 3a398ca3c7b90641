"""`jupyter bookstore ls`: list the files in the archive."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._errors import DONE, NOT_FOUND, CommandError
from ._options import add_command
from ._output import Output
from ._running import with_archive
from ._text import number, size, visible
from ._times import HELP, local, moment
from .pull import within_workspace

if TYPE_CHECKING:
    from ..archive.archive import Archive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "ls",
        run,
        help="list the files in the archive",
        description="List the files in the archive, without deleted ones, with the time and "
        "size of the latest write. This takes one request per thousand versions.",
    )
    parser.add_argument(
        "path", metavar="PATH", nargs="?", default="", help="a file or directory (default: all)"
    )
    parser.add_argument("--at", type=moment, metavar="TIME", help=f"as of this time: {HELP}")
    parser.add_argument(
        "--published", action="store_true", help="published files instead of the workspace"
    )


def run(args: argparse.Namespace) -> int:
    """List. 0, or `NOT_FOUND` when there is nothing at the path that was given."""
    return with_archive(args, _ls)


async def _ls(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    from ._rows import Rows

    path = within_workspace(args.path)
    files = [file async for file in archive.files(path, at=args.at, published=args.published)]
    files.sort(key=lambda file: file.path)
    if path and not files:
        raise CommandError(
            f"The {archive.bucket.where} holds no file at or under {path!r}; check the path and "
            "the workspace prefix, or list what there was with --at.",
            NOT_FOUND,
        )
    out.document({"files": [file.to_dict() for file in files]})
    rows = Rows("Written", "Size", "Kinds", "Path", head="Path", folds={"Path": 24}, right=["Size"])
    total = 0
    for file in files:
        newest = file.newest
        total += newest.size
        kinds = sorted({version.kind for version in file.versions})
        rows.add(
            local(newest.last_modified), size(newest.size), ", ".join(kinds), visible(file.path)
        )
    if files:
        out.say(rows)
    if out.is_terminal or not files:
        out.say(
            f"{number(len(files), 'file')}, {size(total)}, in the {visible(archive.bucket.where)}"
        )
    return DONE
