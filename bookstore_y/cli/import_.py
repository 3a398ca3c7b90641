"""`jupyter bookstore import`: import another store's documents, or a tree of files."""

from __future__ import annotations

import argparse
import re
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from ._config import load_config
from ._errors import ASKED_WRONGLY, DONE, FAILED, CommandError
from ._options import add_command, complete
from ._output import Output
from ._running import with_archive
from ._text import number, size, visible
from .pull import within_workspace

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..tools.importing import Imported

_SHOWN = 20

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "import",
        run,
        help="import an existing YStore database, or a tree of files",
        description="Import SOURCE into the archive: the database of pycrdt's SQLiteYStore "
        "(.jupyter_ystore.db) or of QYStore, or a directory or file. Each document "
        "of a database becomes one snapshot with its history, so returning "
        "clients' edits merge; files become saved files. SOURCE is not changed. "
        "The import skips what the archive already has, so you can run it again "
        "after an interruption. It leaves newer content in the archive alone, "
        "lists it at the end, and exits with 1. Stop any server that uses the "
        "database first.",
    )
    source = parser.add_argument("source", metavar="SOURCE", type=Path)
    complete(source, "file")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also import files whose content in the bucket is newer or different; everything "
        "stays a version",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, and write nothing"
    )
    store = parser.add_argument_group(
        "for a database", "How the file ids of its documents become paths."
    )
    ids = store.add_argument(
        "--file-ids",
        type=Path,
        metavar="DB",
        help="jupyter_server_fileid's database (default: as configured, or file_id_manager.db in "
        "Jupyter's data directory)",
    )
    complete(ids, "file")
    root = store.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="the server's root directory (default: as configured, or where SOURCE is)",
    )
    complete(root, "directory")
    store.add_argument(
        "--map",
        action="append",
        default=[],
        type=_mapping,
        metavar="ID=PATH",
        help="the path of a file id; can be repeated",
    )
    tree = parser.add_argument_group("for files")
    tree.add_argument(
        "--as-file", action="store_true", help="archive SOURCE as a file, even if it is a database"
    )
    tree.add_argument(
        "--to",
        default="",
        metavar="DIR",
        help="target directory in the workspace (default: its top)",
    )
    tree.add_argument(
        "--hidden", action="store_true", help="also files and directories that start with a dot"
    )
    tree.add_argument(
        "--max-size",
        type=_size,
        default=100 * 10**6,
        metavar="SIZE",
        help="skip larger files; bytes, or a size such as 500k or 2G (default: 100M)",
    )


def run(args: argparse.Namespace) -> int:
    """Import. 1 if anything is not in the archive afterwards."""
    _require_files(args.source)
    return with_archive(args, _import)


def _require_files(source: Path) -> None:
    """Raise `CommandError` unless it is a file or a directory."""
    try:
        mode = source.stat().st_mode
    except FileNotFoundError:
        raise CommandError(
            f"There is no file or directory {visible(source)}; name one that exists.", ASKED_WRONGLY
        ) from None
    except OSError as error:
        raise CommandError(
            f"{visible(source)} can't be accessed ({error.strerror}); name another.",
            ASKED_WRONGLY,
        ) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise CommandError(
            f"{visible(source)} is neither a file nor a directory, so nothing was imported; "
            "name a file or a directory.",
            ASKED_WRONGLY,
        )


async def _import(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    from ..tools.ystore_db import is_database
    from ._rows import Rows

    if not args.dry_run:
        await archive.check()
    from_store = args.source.is_file() and not args.as_file and is_database(args.source)
    one = "document" if from_store else "file"
    done: list[Imported] = []
    counts: Counter[str] = Counter()
    with out.progress("Importing", one) as progress:
        if from_store:
            names, run = _store(archive, args)
            progress.expect(names)
        else:
            run = _tree(archive, args)
        async for imported in run:
            counts[imported.outcome] += 1
            if imported.outcome != "left out":
                moved = imported.size if imported.outcome in ("written", "beneath") else 0
                progress.advance(bytes=moved)
            if out.as_json or args.dry_run or not imported.is_well:
                done.append(imported)
    done.sort(key=lambda imported: (imported.path, imported.source))
    out.document(
        {
            "source": str(args.source),
            "dry_run": args.dry_run,
            "counts": dict(counts),
            "bytes": progress.bytes,
            "seconds": round(progress.seconds, 3),
            f"{one}s": [imported.to_dict() for imported in done],
        }
    )
    if not counts:
        raise CommandError(f"There is nothing to import in {args.source}.")
    if args.dry_run:
        rows = Rows("outcome", "size", "path", head="path", folds={"path": 24}, right=["size"])
        for imported in done[:_SHOWN]:
            path = visible(imported.path or imported.source)
            rows.add(imported.outcome, size(imported.size), path)
        out.say(rows)
        if len(done) > _SHOWN:
            out.say(f"… and {number(len(done) - _SHOWN, one)} more; --json lists all.")
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    doing = "Would import" if args.dry_run else "Imported"
    out.say(f"{doing} {progress.summary(rated=not args.dry_run)}: {told}.")
    amiss = [imported for imported in done if not imported.is_well]
    for imported in amiss:
        name = imported.path or imported.source
        out.warn(f"{visible(name)} ({imported.outcome}): {visible(imported.reason)}")
    return FAILED if amiss else DONE


def _store(archive: Archive, args: argparse.Namespace) -> tuple[int, AsyncIterator[Imported]]:
    from ..tools.import_ystore import YStoreImport
    from ..tools.ystore_db import YStoreDatabase, paths_of_file_ids, room_of

    database = YStoreDatabase(args.source, archive.settings.max_document_size)
    names = database.names()
    paths: dict[str, str] = {}
    if any(room_of(name) for name in names):
        known, root = _file_ids(args)
        if known is not None:
            paths = paths_of_file_ids(known, root)
    paths.update(args.map)
    importing = YStoreImport(archive, database, paths, force=args.force, dry_run=args.dry_run)
    return len(names), importing.run(names)


def _file_ids(args: argparse.Namespace) -> tuple[Path | None, Path]:
    """The database of file ids, and the directory that paths in it are below."""
    from jupyter_core.paths import jupyter_data_dir

    config = load_config(args)
    root = args.root or config.get("ServerApp", {}).get("root_dir") or args.source.parent
    known = args.file_ids
    for name in ("BaseFileIdManager", "ArbitraryFileIdManager", "LocalFileIdManager"):
        known = known or config.get(name, {}).get("db_path")
    if known is None:
        known = Path(jupyter_data_dir()) / "file_id_manager.db"
        if not known.is_file():
            known = None
    return (None if known is None else Path(known)), Path(root).absolute()


def _tree(archive: Archive, args: argparse.Namespace) -> AsyncIterator[Imported]:
    from ..tools.import_tree import TreeImport

    importing = TreeImport(
        archive,
        args.source,
        to=within_workspace(args.to),
        hidden=args.hidden,
        max_size=args.max_size,
        force=args.force,
        dry_run=args.dry_run,
    )
    return importing.run()


def _mapping(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=PATH")
    return name, path


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15})([kmg]?)b?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 500k, 100M or 2G")
    return int(match[1]) * _UNITS[match[2]]
