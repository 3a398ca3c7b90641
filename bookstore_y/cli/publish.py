"""`jupyter bookstore publish`: share a version with others."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._errors import DONE
from ._options import accept_version_ids, add_command
from ._output import Output
from ._running import with_archive
from ._text import visible
from ._versions import HELP, choose

if TYPE_CHECKING:
    from ..archive.archive import Archive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "publish",
        run,
        help="publish a version of a file",
        description="Copy a version of a file, by default the newest, to the published prefix. "
        "Publishing the same content again makes no new version.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    parser.add_argument("--version", metavar="VERSION", default="latest", help=HELP)
    accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Publish; 0."""
    return with_archive(args, _publish)


async def _publish(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    version = await choose(archive, args.path, args.version)
    published = await archive.publish(args.path, version.version_id)
    out.document({"version": published.to_dict(), "bucket": archive.bucket.name})
    where = f"s3://{archive.bucket.name}/{published.key}"
    out.say(f"Published as {visible(where)}, version {visible(published.version_id)}.")
    return DONE
