"""`jupyter bookstore label` and `unlabel`: name versions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._errors import ASKED_WRONGLY, DONE, CommandError
from ._options import accept_version_ids, add_command
from ._output import Output
from ._running import with_archive
from ._text import visible
from ._times import local
from ._versions import HELP, choose

if TYPE_CHECKING:
    from ..archive.archive import Archive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of both commands."""
    label = add_command(
        subparsers,
        "label",
        run,
        help="label a version",
        description="Label a version, replacing its label if it has one. `prune` keeps "
        "labelled versions.",
    )
    label.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    label.add_argument("version", metavar="VERSION", help=HELP)
    label.add_argument("text", metavar="TEXT", nargs="?", help="the label")
    label.add_argument("--remove", action="store_true", help="remove the label, as unlabel does")
    unlabel = add_command(
        subparsers,
        "unlabel",
        run,
        help="remove a version's label",
        description="Remove the label of a version. The version stays.",
    )
    unlabel.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    unlabel.add_argument("version", metavar="VERSION", help=HELP)
    unlabel.set_defaults(remove=True, text=None)
    for parser in (label, unlabel):
        accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Label or unlabel; 0."""
    if args.remove and args.text is not None:
        raise CommandError("Give a label or --remove, not both.", ASKED_WRONGLY)
    if not args.remove and args.text is None:
        raise CommandError(
            "The label is missing: `jupyter bookstore label PATH VERSION TEXT`. To remove a "
            "label, run `jupyter bookstore unlabel PATH VERSION`.",
            ASKED_WRONGLY,
        )
    return with_archive(args, _label)


async def _label(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    chosen = await choose(archive, args.path, args.version)
    version = await archive.find(args.path, chosen.version_id)  # with its label
    if args.remove:
        labelled = await archive.unlabel(args.path, version.version_id)
        had = f"no longer has the label '{visible(version.label)}'"
        said = had if version.label is not None else "had no label"
    else:
        labelled = await archive.label(args.path, version.version_id, args.text)
        said = f"has the label '{visible(labelled.label)}'"
        if version.label not in (None, labelled.label):
            said += f", replacing '{visible(version.label)}'"
    out.document({"version": labelled.to_dict()})
    out.say(
        f"The version of {visible(args.path)} from {local(version.last_modified)} "
        f"({visible(version.version_id)}) {said}."
    )
    return DONE
