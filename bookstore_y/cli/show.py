"""`jupyter bookstore show`: show a version's content."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import _cells
from ._errors import ASKED_WRONGLY, DONE, CommandError
from ._options import accept_version_ids, add_command
from ._output import Output, write
from ._running import with_archive
from ._times import HELP, moment
from ._versions import HELP as VERSION_HELP
from ._versions import choose

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..archive.file_content import FileContent


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "show",
        run,
        help="show the content of a version",
        description="Show a version of a file: the cells of a notebook, or the text. The "
        "default is the newest version.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="VERSION", help=VERSION_HELP)
    which.add_argument("--at", type=moment, metavar="TIME", help=f"as of this time: {HELP}")
    parser.add_argument("--raw", action="store_true", help="write only the bytes of the file")
    accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Show it; 0."""
    if args.raw and args.json:
        raise CommandError(
            "--raw writes the file's bytes and --json writes a document; choose one.", ASKED_WRONGLY
        )
    return with_archive(args, _show)


async def _show(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    shown = await _content(archive, args)
    if args.raw:
        write(shown.raw())
        return DONE
    out.document({"version": shown.version.to_dict(), "model": shown.model()})
    if not out.as_json:
        out.say(_cells.heading(shown.version), "", *_cells.content(shown))
    return DONE


async def _content(archive: Archive, args: argparse.Namespace) -> FileContent:
    if args.at is not None:
        return await archive.content(await archive.version_at(args.path, args.at))
    if args.version is None:
        return await archive.read(args.path)
    return await archive.content(await choose(archive, args.path, args.version))
