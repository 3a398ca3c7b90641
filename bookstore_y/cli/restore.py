"""`jupyter bookstore restore`: have an old version back."""

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
        help="make a file say again what one of its versions says",
        description="Make a file say again what one of its versions says, as a new version on "
        "top: nothing is taken back, and it can be undone by restoring the version before. A file "
        "that is open in a Jupyter server has to be restored there, in its room. So a running "
        "server of yours that uses this bucket and prefix is asked to do it; without one the "
        "bucket alone is changed.",
    )
    parser.add_argument("path", metavar="PATH", help="the file, as `ls` lists it")
    parser.add_argument("version", metavar="VERSION", help=HELP)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--server", metavar="URL", help="the Jupyter server that has the file open (with its token)"
    )
    where.add_argument(
        "--no-server", action="store_true", help="change the bucket, whatever servers run"
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
    again = "again" if changed else "already"
    out.say(
        f"{visible(args.path)} says {again} what it said on {local(old.last_modified)}: version "
        f"{visible(restored['version_id'])}."
    )
    if changed and through is not None:
        out.say(f"The server at {visible(through)} did it; who has the file open sees it.")
    elif changed:
        out.warn(
            "The bucket was changed. If the file is open in a Jupyter server elsewhere, restore it "
            "there (--server URL): its room knows nothing of this."
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
            f"Several of your servers archive here ({urls}); name the one that has the file open "
            "with --server, or use --no-server if none has.",
            ASKED_WRONGLY,
        )
    return servers[0] if servers else None
