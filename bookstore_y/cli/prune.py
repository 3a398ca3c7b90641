"""`jupyter bookstore prune`: remove versions that a retention policy doesn't keep."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..tools.retention import FOREVER, Policy, duration
from ._errors import ASKED_WRONGLY, DONE, FAILED, CommandError
from ._options import add_command
from ._output import Output
from ._running import output, with_archive
from ._text import number, size, visible
from ._times import local
from .pull import within_workspace

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..tools.pruning import Plan, Removed

_SHOWN = 20

_OPTIONS = {
    "keep_all": "how long every version is kept",
    "hourly": "how long the last version of each hour is kept",
    "daily": "how long the last version of each day is kept",
    "monthly": "how long the last version of each month is kept",
    "deleted": "how long a deleted file's versions are kept after its deletion",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "prune",
        run,
        help="permanently remove old versions by a retention policy",
        description="Permanently remove versions that the policy no longer keeps. The last "
        "version of each hour, day and month, in UTC, is kept for as long as its "
        "option says. Current versions stay, and so do labelled versions, versions "
        "that connect the history of a renamed file, and everything published. The "
        "command shows its plan, and removes nothing until you confirm. DURATION "
        "is 12h, 7d, 6w, 3mo, 1y, 0 or forever.",
    )
    parser.add_argument(
        "path", metavar="PATH", nargs="?", default="/", help="file or directory (default: all)"
    )
    policy = Policy()
    for field in fields(policy):
        default = _in_words(getattr(policy, field.name))
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_duration,
            default=getattr(policy, field.name),
            metavar="DURATION",
            help=f"{_OPTIONS[field.name]} (default: {default})",
        )
    parser.add_argument("--dry-run", action="store_true", help="show the plan, and remove nothing")
    parser.add_argument("--yes", action="store_true", help="remove without asking")


def run(args: argparse.Namespace) -> int:
    """Plan, ask, and remove. 1 if a version could not be removed."""
    asks = not (args.yes or args.dry_run)
    if asks and (args.json or sys.stdin is None or not sys.stdin.isatty()):
        raise CommandError(
            "This is not a terminal, so nobody can confirm and nothing was removed; check the "
            "plan with --dry-run, then add --yes.",
            ASKED_WRONGLY,
        )
    out = output(args)
    policy = Policy(**{field.name: getattr(args, field.name) for field in fields(Policy)})
    plans: list[Plan] = []
    removed: list[Removed] = []

    async def plan(archive: Archive, args: argparse.Namespace, out: Output) -> int:
        from ..tools.pruning import Pruning

        with out.progress("Reading versions", "request") as progress:
            path = within_workspace(args.path)
            plans.append(await Pruning(archive).plan(policy, path, looked=progress.advance))
        return DONE

    async def remove(archive: Archive, args: argparse.Namespace, out: Output) -> int:
        from ..tools.pruning import Pruning

        with out.progress("Removing", "version", plans[0].count) as progress:
            async for done in Pruning(archive).remove(plans[0]):
                removed.append(done)
                progress.advance(bytes=0 if done.reason else done.entry.size)
        failed = [done for done in removed if done.reason and not done.spared]
        for done in failed:
            what = f"{done.key.key} version {done.entry.version_id}"
            out.warn(f"{visible(what)} was not removed: {visible(done.reason)}")
        spared = sum(done.spared for done in removed)
        told = f", {spared:,} kept after all" if spared else ""
        gone = len(removed) - len(failed) - spared
        out.say(f"Removed {number(gone, 'version')}, {size(progress.bytes)}{told}.")
        return FAILED if failed else DONE

    with_archive(args, plan)
    _show(plans[0], out)
    code = DONE
    if plans[0].count and not args.dry_run:
        if asks and not _agreed(plans[0]):
            raise CommandError("Nothing was removed.")
        code = with_archive(args, remove)
    out.document(_document(plans[0], policy, removed, dry_run=args.dry_run))
    return code


def _show(plan: Plan, out: Output) -> None:
    from ._rows import Rows

    stays = plan.seen - plan.count
    if not plan.seen:
        out.say("There is nothing to prune: the bucket has no versions there.")
        return
    if not plan.count:
        out.say(f"There is nothing to prune: all {number(plan.seen, 'version')} stay.")
        return
    columns = ("go", "stay", "size", "oldest to remove", "newest to remove", "path", "kind")
    rows = Rows(*columns, head="path", folds={"path": 12}, right=("go", "stay", "size"))
    largest = sorted(plan.keys, key=lambda key: len(key.going), reverse=True)
    for key in largest[:_SHOWN]:
        times = sorted(entry.last_modified for entry in key.going)
        path = visible(key.place.path)
        span = local(times[0]), local(times[-1])
        kind = key.place.type or key.place.kind
        rows.add(f"{len(key.going):,}", f"{key.stays:,}", size(key.size), *span, path, kind)
    out.say(rows)
    if len(largest) > _SHOWN:
        out.say(f"… and {number(len(largest) - _SHOWN, 'key')} more; --json lists all.")
    going = number(plan.count, "version")
    out.say(f"{going} ({size(plan.size)}) would be removed, {stays:,} would stay.")


def _agreed(plan: Plan) -> bool:
    # On stderr, since stdout may be redirected: `input` would ask there.
    sys.stderr.write(f"Permanently remove {number(plan.count, 'version')}? [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):  # after Ctrl-D and Ctrl-C
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _document(
    plan: Plan, policy: Policy, removed: list[Removed], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "now": plan.now.isoformat(),
        "policy": {field.name: _in_words(getattr(policy, field.name)) for field in fields(policy)},
        "seen": plan.seen,
        "bytes": plan.size,
        "planned": plan.to_list(),
        "removed": sum(not done.reason for done in removed),
        "not_removed": [done.to_dict() for done in removed if done.reason],
    }


def _in_words(length: timedelta) -> str:
    if length == FOREVER:
        return "forever"
    days, rest = divmod(length, timedelta(days=1))
    return f"{days}d" if not rest else f"{int(length.total_seconds())}s"


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
