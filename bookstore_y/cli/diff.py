"""`jupyter bookstore diff`: what changed between two versions."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from . import _cells
from ._errors import DONE
from ._options import accept_version_ids, add_command
from ._output import Output
from ._running import with_archive
from ._versions import HELP, choose

if TYPE_CHECKING:
    from ..archive.archive import Archive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "diff",
        run,
        help="show what changed between two versions",
        description="Show what changed from one version to another, cell by cell for notebooks "
        "and line by line for other text. For a notebook, --json prints nbdime's "
        "diff.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    parser.add_argument("before", metavar="VERSION", help=HELP)
    parser.add_argument(
        "after", metavar="OTHER", nargs="?", default="latest", help="default: latest"
    )
    accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Show the difference; 0, whether or not there is one."""
    return with_archive(args, _diff)


async def _diff(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    from ..archive.diff import diff_of

    before = await choose(archive, args.path, args.before)
    after = await choose(archive, args.path, args.after)
    contents = await asyncio.gather(archive.content(before), archive.content(after))
    diff = await asyncio.to_thread(diff_of, *contents)
    out.document(diff.to_dict())
    if not out.as_json:
        from rich.text import Text

        for sign, style, content in (("-", "red", diff.before), ("+", "green", diff.after)):
            out.say(Text.assemble((f"{sign} ", style), _cells.heading(content.version)))
        out.say(*_cells.difference(diff))
    return DONE
