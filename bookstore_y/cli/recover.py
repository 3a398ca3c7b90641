"""`jupyter bookstore recover`: archive what a recovery file holds."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ._config import load_config
from ._errors import ASKED_WRONGLY, DONE, FAILED, CommandError
from ._options import add_command, complete
from ._output import Output
from ._running import output, with_archive
from ._text import number, size, visible
from ._times import local

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..tools.recovering import Recovered


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "recover",
        run,
        help="archive what a server left in a recovery file",
        description="Archive the content of FILE: a recovery file or update buffer that a "
        "server left when it could not archive everything. The next server adopts "
        "such files by itself. Use this command for files from another machine or "
        "bucket, for backups, and for damaged files, which it reads as far as "
        "possible. It skips what the bucket already has, so nothing is doubled in "
        "any order. The file is removed when all of it is in the bucket.",
    )
    file = parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        nargs="?",
        help="a server leaves such files in c.S3YStore.recovery_dir, by default bookstore_y/ "
        "in the data directory that `jupyter --paths` shows; without FILE, list them",
    )
    complete(file, "file")
    parser.add_argument(
        "--list",
        "--dry-run",
        action="store_true",
        dest="dry_run",
        help="show its content, and write nothing",
    )
    parser.add_argument(
        "--other-bucket",
        action="store_true",
        help="even if it was meant for another bucket",
    )
    parser.add_argument("--keep", action="store_true", help="keep the file")


def run(args: argparse.Namespace) -> int:
    """Recover. 1 if anything that it holds is not in the bucket afterwards."""
    directory = _directory(args)
    if args.file is None:
        return _list_files(directory, output(args))
    if not args.file.is_file():
        raise CommandError(
            f"There is no file {visible(args.file)}; `jupyter bookstore recover` lists the "
            f"recovery files in {visible(directory)}.",
            ASKED_WRONGLY,
        )
    return with_archive(args, _recover)


def _directory(args: argparse.Namespace) -> Path:
    """Where servers of this configuration leave their recovery files."""
    from ..buffer.recovery import base_of

    return base_of(str(load_config(args).get("S3YStore", {}).get("recovery_dir", "")))


def _list_files(directory: Path, out: Output) -> int:
    from ..buffer.recovery import files_below
    from ._rows import Rows

    found = files_below(directory)
    out.document({"directory": str(directory), "files": [str(file) for file in found]})
    if not found:
        out.say(f"There is no recovery file in {visible(directory)}.")
        return DONE
    rows = Rows("written", "size", "file", head="file", folds={"file": 24}, right=["size"])
    for file in found:
        try:
            about = file.stat()
        except FileNotFoundError:
            continue  # a server has just taken it up
        written = datetime.fromtimestamp(about.st_mtime, tz=timezone.utc)
        rows.add(local(written), size(about.st_size), visible(file))
    out.say(rows, "", "`jupyter bookstore recover FILE --list` shows the content of one.")
    return DONE


async def _recover(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    from ..tools.recovering import look, recover

    if args.dry_run:
        recovered = await look(archive, args.file)
    else:
        directory = load_config(args).get("S3YStore", {}).get("recovery_dir", "")
        recovered = await recover(
            archive,
            args.file,
            recovery_dir=str(directory),
            other_bucket=args.other_bucket,
            keep=args.keep,
        )
    _tell(recovered, archive, args, out)
    return DONE if args.dry_run or recovered.is_well else FAILED


def _tell(recovered: Recovered, archive: Archive, args: argparse.Namespace, out: Output) -> None:
    from ._rows import Rows

    out.document(
        {
            "file": str(recovered.file),
            "dry_run": args.dry_run,
            "fit": recovered.fit.name.lower(),
            "documents": [document.to_dict() for document in recovered.documents],
            "moves": list(recovered.moves),
            "lost": list(recovered.lost),
            "removed": recovered.removed,
        }
    )
    if recovered.documents:
        rows = Rows(
            "outcome",
            "updates",
            "size",
            "first",
            "last",
            "path",
            head="path",
            folds={"path": 24},
            right=["updates", "size"],
        )
        for each in recovered.documents:
            name = each.path if each.type is None else f"{each.path} ({each.type})"
            rows.add(
                each.outcome,
                f"{each.updates:,}",
                size(each.size),
                local(each.first),
                local(each.last),
                visible(name),
            )
        out.say(rows)
    count = number(len(recovered.documents), "document")
    if args.dry_run:
        out.say(
            f"{visible(recovered.file)} holds pending edits of {count}. About them, the "
            f"{archive.bucket.where} says: {recovered.fit.value}."
        )
    else:
        then = "The file was removed." if recovered.removed else "The file was kept."
        out.say(f"Read {count} from {visible(recovered.file)}. {then}")
    for move in recovered.moves:
        out.warn(f"The bucket has not followed {visible(move)}.")
    for lost in recovered.lost:
        out.warn(f"{visible(lost)}.")
    for each in recovered.documents:
        if each.reason:
            out.warn(f"{visible(each.path)} ({each.outcome}): {visible(each.reason)}")
