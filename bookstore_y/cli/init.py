"""`jupyter bookstore init`: create a versioned bucket, and print the policy its users need."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Any

from ._config import load_settings, require_bucket
from ._errors import ASKED_WRONGLY, DONE, CommandError
from ._lifecycle import abort_uploads, difference, expire_noncurrent, merged, same
from ._options import add_command
from ._output import Output
from ._policy import policy
from ._running import output
from ._text import visible

if TYPE_CHECKING:
    from ..s3.bucket import Bucket
    from ..settings import BookstoreSettings


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "init",
        run,
        help="create the bucket, with versioning enabled, and print the IAM policy it needs",
        description="Create the bucket, enable versioning, add the lifecycle rules you ask "
        "for, and print the minimal IAM policy for the archive. It leaves "
        "everything that is already right unchanged, so you can run it again.",
    )
    parser.add_argument(
        "--expire-noncurrent-days",
        type=_positive,
        metavar="N",
        help="add a lifecycle rule that removes versions of the workspace N days after they "
        "were replaced. S3 can't keep labelled versions; `prune` can",
    )
    parser.add_argument(
        "--keep-noncurrent",
        type=_positive,
        metavar="N",
        help="with --expire-noncurrent-days: always keep the N newest replaced versions of each "
        "document (100 at most)",
    )
    parser.add_argument(
        "--abort-uploads-days",
        type=_positive,
        metavar="N",
        help="add a lifecycle rule that removes the remains of interrupted uploads after N days",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, and change nothing"
    )
    parser.add_argument(
        "--print-policy", action="store_true", help="print the policy and do nothing else"
    )
    parser.add_argument(
        "--allow-prune",
        action="store_true",
        help="let the policy allow removing versions permanently, as `prune` does",
    )


def run(args: argparse.Namespace) -> int:
    """Make of the bucket what it should be; 0."""
    settings = load_settings(args)
    require_bucket(settings)
    out = output(args)
    allowed = policy(settings, prune=args.allow_prune)
    if args.print_policy:
        out.document({"policy": allowed})
        out.say(json.dumps(allowed, indent=2))
        return DONE
    if args.keep_noncurrent and not args.expire_noncurrent_days:
        raise CommandError(
            "--keep-noncurrent needs --expire-noncurrent-days; add it.",
            ASKED_WRONGLY,
        )
    if (args.keep_noncurrent or 0) > 100:
        raise CommandError(
            "S3 keeps at most 100 noncurrent versions; give a smaller number.", ASKED_WRONGLY
        )
    done = asyncio.run(_init(settings, args, out))
    out.document({**done, "policy": allowed, "dry_run": args.dry_run})
    out.say("", "The minimal IAM policy for its users:", json.dumps(allowed, indent=2))
    return DONE


async def _init(
    settings: BookstoreSettings, args: argparse.Namespace, out: Output
) -> dict[str, Any]:
    from ..errors import BucketNotFound, VersioningNotEnabled
    from ..s3 import setup
    from ..s3.bucket import Bucket

    asked = settings.create_bucket
    settings.create_bucket, settings.allow_unversioned = False, False
    would = "would be " if args.dry_run else ""
    done: dict[str, Any] = {"bucket": settings.require_bucket(), "created": False}
    done["versioning_enabled"] = False
    async with Bucket(settings) as bucket:
        where = visible(bucket.where)
        exists = True
        try:
            await setup.check(bucket)
            out.say(f"The {where} exists and keeps versions.")
        except BucketNotFound:
            exists = False
            done["created"] = done["versioning_enabled"] = True
            if not args.dry_run:
                await setup.create(bucket)
            out.say(f"The {where} {would or 'was '}created, with versioning enabled.")
        except VersioningNotEnabled:
            done["versioning_enabled"] = True
            if not args.dry_run:
                await setup.enable_versioning(bucket)
            out.say(f"Versioning {would or 'was '}enabled on the {where}.")
        done["lifecycle"] = await _lifecycle(bucket, args, out, exists=exists or not args.dry_run)
    settings.create_bucket = asked
    return done


async def _lifecycle(
    bucket: Bucket, args: argparse.Namespace, out: Output, *, exists: bool
) -> dict[str, Any] | None:
    """Add the rules that were asked for; None if none were."""
    from rich.text import Text

    from ..s3 import setup

    prefix = bucket.settings.workspace_prefix
    wanted = []
    if args.expire_noncurrent_days:
        days, keep = args.expire_noncurrent_days, args.keep_noncurrent or 0
        wanted.append(expire_noncurrent(prefix, days, keep))
        out.warn(
            "S3's lifecycle rules can't exclude labelled versions, so those are removed too. "
            "`jupyter bookstore prune` keeps them. Published versions stay."
        )
    if args.abort_uploads_days:
        wanted.append(abort_uploads("", args.abort_uploads_days))
    if not wanted:
        return None
    before = await setup.lifecycle(bucket) if exists else []
    after = merged(before, wanted)
    if same(before, after):
        out.say("The lifecycle rules are already right.")
        return {"changed": False, "rules": json.loads(json.dumps(after, default=str))}
    if not args.dry_run:
        await setup.set_lifecycle(bucket, after)
    out.say("The lifecycle rules " + ("would be:" if args.dry_run else "are now:"))
    styles = {"+": "green", "-": "red"}
    for line in difference(before, after):
        out.say(Text("  " + visible(line), styles.get(line[:1], "")))
    return {"changed": True, "rules": json.loads(json.dumps(after, default=str))}


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return number
