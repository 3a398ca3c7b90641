"""`jupyter bookstore restore`: restore an old version."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from ._errors import ASKED_WRONGLY, DONE, CommandError
from ._options import accept_version_ids, add_command
from ._output import Output
from ._running import with_archive
from ._servers import ask, serving
from ._text import visible
from ._times import local
from ._versions import HELP, choose

if TYPE_CHECKING:
    from ..archive.archive import Archive
    from ..client._server import JupyterServer


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "restore",
        run,
        help="restore a version of a file",
        description="Give a file the content of one of its versions, as a new version on top. "
        "Nothing is removed; to undo it, restore the version before. A file that "
        "is open in a Jupyter server must be restored there, in its room. So the "
        "command asks a running server of yours that uses this bucket and prefix. "
        "Without one, it changes only the bucket.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    parser.add_argument("version", metavar="VERSION", help=HELP)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--server",
        metavar="URL",
        help="the Jupyter server that has the file open (URL with its token)",
    )
    where.add_argument(
        "--no-server", action="store_true", help="change the bucket, regardless of running servers"
    )
    accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Restore; 0."""
    return with_archive(args, _restore)


async def _restore(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    old = await choose(archive, args.path, args.version)
    server = await asyncio.to_thread(_server, archive, args)
    if server is not None:
        from ..client._server import quoted

        call = f"restore/{quoted(args.path)}"
        said = await asyncio.to_thread(ask, server, "POST", call, {"version_id": old.version_id})
        restored, changed, through = said["version"], said["changed"], server.url
    else:
        before = await _recent(archive, args.path)
        restored = (await archive.restore(args.path, old.version_id)).to_dict()
        changed, through = not await _recent(archive, args.path) <= before, None
    out.document(
        {"restored": old.to_dict(), "version": restored, "changed": changed, "server": through}
    )
    now = "now" if changed else "already"
    out.say(
        f"{visible(args.path)} {now} has the content from {local(old.last_modified)}: version "
        f"{visible(restored['version_id'])}."
    )
    if changed and through is not None:
        out.say(
            f"The server at {visible(through)} restored it; everyone who has the file open "
            "sees the change."
        )
    elif changed:
        out.warn(
            "Only the bucket was changed. If the file is open in a Jupyter server elsewhere, "
            "restore it there (--server URL): its room doesn't see this change."
        )
    return DONE


async def _recent(archive: Archive, path: str) -> set[str]:
    """The ids of the newest versions, among which there is one more after a change."""
    return {version.version_id for version in (await archive.history(path, limit=10)).versions}


def _server(archive: Archive, args: argparse.Namespace) -> JupyterServer | None:
    """The server to ask; None to change the bucket. Raises `CommandError` when several could be."""
    if args.no_server:
        return None
    if args.server is not None:
        from ..client._current import find_server

        return find_server(args.server, None)
    servers = serving(archive.settings)
    if len(servers) > 1:
        urls = ", ".join(server.url for server in servers)
        raise CommandError(
            f"Several of your servers use this bucket and prefix ({urls}); name the one that "
            "has the file open with --server, or use --no-server if none has it open.",
            ASKED_WRONGLY,
        )
    return servers[0] if servers else None
