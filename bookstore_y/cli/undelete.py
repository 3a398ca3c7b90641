"""`jupyter bookstore undelete`: bring back a deleted file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._errors import DONE
from ._options import add_command
from ._output import Output
from ._running import with_archive
from ._text import visible
from ._times import local

if TYPE_CHECKING:
    from ..archive.archive import Archive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "undelete",
        run,
        help="bring back a deleted file",
        description="Make the last version of a deleted file current again in the bucket. To "
        "get the file, use `pull` or `clone`.",
    )
    parser.add_argument("path", metavar="PATH", help="the path that the file had")


def run(args: argparse.Namespace) -> int:
    """Undelete; 0, also when it was not deleted."""
    return with_archive(args, _undelete)


async def _undelete(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    versions = await archive.undelete(args.path)
    out.document({"versions": [version.to_dict() for version in versions]})
    if not versions:
        out.say(f"{visible(args.path)} was not deleted.")
    for version in versions:
        out.say(
            f"{visible(version.path or args.path)} is back in the bucket: the {version.kind} "
            f"{visible(version.version_id)} from {local(version.last_modified)}."
        )
    if versions:
        out.say(
            "This does not write it to the disk of a running server; `jupyter bookstore pull` "
            "writes it to a directory."
        )
    return DONE
