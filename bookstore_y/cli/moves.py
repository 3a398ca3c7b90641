"""`jupyter bookstore moves`: renames and deletions that the bucket has not followed."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._config import load_config, load_settings, require_bucket
from ._errors import ASKED_WRONGLY, DONE, FAILED, NOT_FOUND, CommandError
from ._options import add_command, complete
from ._output import Output
from ._running import output
from ._servers import ask, serving
from ._text import visible
from ._times import local

if TYPE_CHECKING:
    from ..buffer.recovery import BufferOptions
    from ..client._server import JupyterServer
    from ..settings import BookstoreSettings

Moves = list[dict[str, Any]]

MEANING = (
    "Dropping a change leaves the bucket as it is. A file that you deleted stays in the "
    "archive, and comes back on an empty disk. A file that you renamed also stays there under "
    "its old name, and its history under the new name may start with the next version. No "
    "version is removed."
)


@dataclass(frozen=True)
class Holder:
    """A running server, or a buffer file that no server has open, and what it has."""

    where: str
    moves: Moves
    retry: Callable[[int | None], Moves]
    drop: Callable[[int], dict[str, Any]]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "moves",
        run,
        help="list, retry or drop renames and deletions that the bucket has not followed",
        description="List the renames and deletions that the bucket has not followed, with the "
        "reason. This asks your running servers that use this bucket and prefix, "
        "and reads what stopped servers left on this machine. Exits with 1 if "
        f"there are any. {MEANING}",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--retry", action="store_true", help="retry all of them now")
    what.add_argument("--drop", metavar="ID", type=int, help="give up on this one")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--server", metavar="URL", help="only this Jupyter server (URL with its token)"
    )
    file = where.add_argument(
        "--file", metavar="FILE", help="only this buffer file, which no server may have open"
    )
    complete(file, "file")


def run(args: argparse.Namespace) -> int:
    """List, retry or drop; 0 when nothing is left that the bucket has not followed."""
    settings = load_settings(args)
    require_bucket(settings)
    out = output(args)
    chosen = _chosen(args, settings, out)
    if args.drop is not None:
        return _drop(chosen, args.drop, out)
    if args.retry:
        chosen = [
            Holder(each.where, each.retry(None) if each.moves else [], each.retry, each.drop)
            for each in chosen
        ]
    found = [(each.where, move) for each in chosen for move in each.moves]
    out.document({"moves": [{"where": where, **move} for where, move in found]})
    for where, move in found:
        _say(out, where, move)
    if not found:
        out.say("The bucket has followed all renames and deletions.")
    return FAILED if found else DONE


def _drop(chosen: list[Holder], number: int, out: Output) -> int:
    having = [each for each in chosen if any(move["id"] == number for move in each.moves)]
    if not having:
        raise CommandError(
            f"There is no waiting rename or deletion {number}; run `jupyter bookstore moves` to "
            "list them.",
            NOT_FOUND,
        )
    if len(having) > 1:
        places = ", ".join(visible(each.where) for each in having)
        raise CommandError(
            f"Each of {places} has a change {number}; choose one with --server or --file.",
            ASKED_WRONGLY,
        )
    dropped = having[0].drop(number)
    out.document({"dropped": {"where": having[0].where, **dropped}})
    out.say(f"Dropped: {named(dropped)}.", MEANING)
    return DONE


def _say(out: Output, where: str, move: dict[str, Any]) -> None:
    since = move["since"] or move["at"]
    when = local(datetime.fromtimestamp(since, timezone.utc))
    out.say(
        f"{move['id']:>4}  {named(move)}",
        f"      {move['state']} since {when}, in {visible(where)}",
        f"      {visible(move['reason'] or 'It has not been tried yet.')}",
    )


def named(move: dict[str, Any]) -> str:
    """A change in words."""
    path = visible(move["path"])
    if move["what"] == "rename":
        return f"rename of {path} to {visible(move['target'])}"
    return f"deletion of {path}" if move["what"] == "deletion" else f"last edits of {path}"


# -- who has them ----------------------------------------------------------------------------------


def _chosen(args: argparse.Namespace, settings: BookstoreSettings, out: Output) -> list[Holder]:
    from ..client._current import find_server

    if args.file is not None:
        if not Path(args.file).is_file():
            raise CommandError(f"There is no file {visible(args.file)}.", ASKED_WRONGLY)
        return [_of_file(Path(args.file).absolute(), settings, args)]
    if args.server is not None:
        return [_of_server(find_server(args.server, None))]
    return holders(args, settings, out)


def holders(args: argparse.Namespace, settings: BookstoreSettings, out: Output) -> list[Holder]:
    """All there are on this machine. Raises a `BookstoreError` when a server refuses."""
    found = [_of_server(server) for server in serving(settings)]
    return found + _of_files(args, settings, out)


def _of_files(args: argparse.Namespace, settings: BookstoreSettings, out: Output) -> list[Holder]:
    from ..buffer.sqlite_file import BufferInUse
    from ..errors import UpdateBufferError
    from ..tools.recovering import buffer_files

    found = []
    for path in buffer_files(settings, _options(args)):
        try:
            found.append(_of_file(path, settings, args))
        except BufferInUse:
            continue  # its server lives, and is asked itself
        except UpdateBufferError as error:
            out.warn(str(error))
    return found


def _options(args: argparse.Namespace) -> BufferOptions:
    from ..store import S3YStore

    return S3YStore("settings", config=load_config(args)).buffer_options()


def _of_file(path: Path, settings: BookstoreSettings, args: argparse.Namespace) -> Holder:
    from ..tools import recovering

    def retry(_: int | None) -> list[dict[str, Any]]:
        left = _options(args).recovery_dir
        return asyncio.run(recovering.retry_path_changes(settings, path, left))

    return Holder(
        str(path),
        recovering.path_changes_in(path),
        retry,
        lambda number: asyncio.run(recovering.drop_path_change(path, number)),
    )


def _of_server(server: JupyterServer) -> Holder:
    def retry(number: int | None) -> Moves:
        body = {} if number is None else {"id": number}
        return list(ask(server, "POST", "moves/retry", body)["moves"])

    def drop(number: int) -> dict[str, Any]:
        return dict(ask(server, "POST", "moves/drop", {"id": number})["dropped"])

    return Holder(server.url, ask(server, "GET", "moves")["moves"], retry, drop)
